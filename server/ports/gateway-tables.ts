import type { AccountId, DeviceId, GatewayId, KeyId, TransferId } from '../domain/ids.ts';
import type { TableShape } from './table-shape.ts';

/** A bridge on somebody's site: one key, and the devices it may speak for. */
export interface GatewayRow {
  id: GatewayId;
  account_id: AccountId;
  name: string;
  /** Its key; another one after `rekey`. */
  key_id: KeyId;
  created_at_ms: number;
  version: number;
}

/** One device a gateway may speak for. */
export interface GatewayDeviceRow {
  /** `<gateway>/<device>`. */
  id: string;
  gateway_id: GatewayId;
  device_id: DeviceId;
  /** The gateway holds the device's key, because the device cannot. */
  holds_key: boolean | null;
  created_at_ms: number;
  version: number;
}

/** How far the messages of a device under one key have come: none is taken twice, and none that is older. */
export interface MessageCounterRow {
  /** `<device>/<fingerprint>`. */
  id: string;
  boot: number;
  sequence: number;
  version: number;
}

/** A link handed over for a device behind a gateway. Kept until its file is burned. */
export interface DeliveryRow {
  id: string;
  account_id: AccountId;
  device_id: DeviceId;
  transfer_id: TransferId;
  /** The link's token, sealed under FUSELINK_SECRET. */
  sealed_token: Uint8Array;
  /** Why the device did not take it; null: it has not said so. */
  refused: string | null;
  created_at_ms: number;
  version: number;
}

export interface GatewayTables {
  gateways: GatewayRow;
  gateway_devices: GatewayDeviceRow;
  message_counters: MessageCounterRow;
  deliveries: DeliveryRow;
}

export const GATEWAY_TABLES: { readonly [T in keyof GatewayTables]: TableShape<GatewayTables[T]> } = {
  gateways: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      name: 'text',
      key_id: 'text',
      created_at_ms: 'int',
      version: 'int',
    },
    unique: [['account_id', 'name'], ['key_id']],
    indexes: [['account_id', 'created_at_ms', 'id']],
  },
  gateway_devices: {
    key: 'id',
    columns: {
      id: 'text',
      gateway_id: 'text',
      device_id: 'text',
      holds_key: 'bool?',
      created_at_ms: 'int',
      version: 'int',
    },
    unique: [],
    indexes: [
      ['gateway_id', 'id'],
      ['device_id', 'id'],
    ],
  },
  message_counters: {
    key: 'id',
    columns: { id: 'text', boot: 'int', sequence: 'int', version: 'int' },
    unique: [],
    indexes: [],
  },
  deliveries: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      device_id: 'text',
      transfer_id: 'text',
      sealed_token: 'bytes',
      refused: 'text?',
      created_at_ms: 'int',
      version: 'int',
    },
    unique: [],
    indexes: [['account_id', 'id']],
  },
};

import type { AccountId, DeviceId } from '../domain/ids.ts';
import type { TableShape } from './table-shape.ts';

/** A public key whose signature makes an image one of the account's own. */
export interface FirmwareKeyRow {
  /** `<account>/<public key>`. */
  id: string;
  account_id: AccountId;
  /** Ed25519, 64 hex characters. */
  public_key: string;
  name: string;
  created_at_ms: number;
  version: number;
}

export interface FirmwareImageRow {
  id: string;
  account_id: AccountId;
  /** The version it calls itself. */
  release: string;
  /** The line of JSON that is signed (sdk/protocol/file-manifest.ts). */
  manifest: string;
  /** Base64url. */
  signature: string;
  /** The public key it was verified with. */
  signer: string;
  size: number;
  state: 'uploading' | 'ready';
  created_at_ms: number;
  version: number;
}

/** One block of an image, sealed under FUSELINK_SECRET. */
export interface FirmwareBlockRow {
  /** `<image>/<number of the block, 6 digits>`. */
  id: string;
  image_id: string;
  bytes: Uint8Array;
  version: number;
}

/** The image a device is to have, or has. */
export interface DeviceFirmwareRow {
  device_id: DeviceId;
  account_id: AccountId;
  image_id: string;
  /** The one it had before, to go back to. */
  previous_image_id: string | null;
  campaign_id: string | null;
  /** `wanted` until the device says otherwise; `withdrawn`: no longer wanted before it was there. */
  state: 'wanted' | 'staged' | 'running' | 'failed' | 'withdrawn';
  reason: string | null;
  at_ms: number;
  version: number;
}

export interface FirmwareTables {
  firmware_keys: FirmwareKeyRow;
  firmware_images: FirmwareImageRow;
  firmware_blocks: FirmwareBlockRow;
  device_firmware: DeviceFirmwareRow;
}

export const FIRMWARE_TABLES: { readonly [T in keyof FirmwareTables]: TableShape<FirmwareTables[T]> } = {
  firmware_keys: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      public_key: 'text',
      name: 'text',
      created_at_ms: 'int',
      version: 'int',
    },
    unique: [],
    indexes: [['account_id', 'id']],
  },
  firmware_images: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      release: 'text',
      manifest: 'text',
      signature: 'text',
      signer: 'text',
      size: 'int',
      state: 'text',
      created_at_ms: 'int',
      version: 'int',
    },
    unique: [['account_id', 'release']],
    indexes: [['account_id', 'created_at_ms', 'id']],
  },
  firmware_blocks: {
    key: 'id',
    columns: { id: 'text', image_id: 'text', bytes: 'bytes', version: 'int' },
    unique: [],
    indexes: [['image_id', 'id']],
  },
  device_firmware: {
    key: 'device_id',
    columns: {
      device_id: 'text',
      account_id: 'text',
      image_id: 'text',
      previous_image_id: 'text?',
      campaign_id: 'text?',
      state: 'text',
      reason: 'text?',
      at_ms: 'int',
      version: 'int',
    },
    unique: [],
    indexes: [
      ['account_id', 'state', 'device_id'],
      ['image_id', 'state'],
    ],
  },
};

import type { AccountId, DeviceId } from '../domain/ids.ts';
import type { RotationRow } from '../domain/rotation/types.ts';
import type { TableShape } from './table-shape.ts';

/** What a device last said of itself, in a status report. */
export interface DeviceReport {
  at_ms: number;
  phase: string;
  generation: number | null;
  boot: number;
  sequence: number;
  boot_tag: string;
}

/** The rotation of one device: the domain's row whole, and beside it what queries filter by. */
export interface RotationRecordRow {
  device_id: DeviceId;
  account_id: AccountId;
  rotation: RotationRow;
  /** `rotation.state`. */
  state: string;
  /** `rotation.campaignId`. */
  campaign_id: string | null;
  /** When time alone moves the row: a deadline, or the end of a pending key. */
  due_at_ms: number | null;
  /** SHA-256("fuselink recovery v1" ‖ recovery secret), sealed; null for devices enrolled without one. */
  sealed_recovery: Uint8Array | null;
  /** base64url(SHA-256(key)) of the keys in `rotation.proposals`, by fingerprint. */
  proposed: Record<string, string>;
  report: DeviceReport | null;
  /** When each kind of alarm last went into the audit (Unix ms). */
  alarmed_at: Record<string, number>;
  /** When a request said that the device is in LIMBO; null once it was heard under a key that holds. */
  limbo_at_ms: number | null;
  /** When the device was first heard since its campaign asked it; null until then. */
  heard_at_ms: number | null;
  version: number;
}

export interface RotationTables {
  rotations: RotationRecordRow;
}

export const ROTATION_TABLES: { readonly [T in keyof RotationTables]: TableShape<RotationTables[T]> } = {
  rotations: {
    key: 'device_id',
    columns: {
      device_id: 'text',
      account_id: 'text',
      rotation: 'json',
      state: 'text',
      campaign_id: 'text?',
      due_at_ms: 'int?',
      sealed_recovery: 'bytes?',
      proposed: 'json',
      report: 'json?',
      alarmed_at: 'json',
      limbo_at_ms: 'int?',
      heard_at_ms: 'int?',
      version: 'int',
    },
    unique: [],
    indexes: [['due_at_ms'], ['account_id', 'state', 'device_id'], ['campaign_id', 'state', 'device_id']],
  },
};

/** A device's rotation as the server sees it (DESIGN §6.2). `GONE` is the end: the device was deleted. */
export type RotationStateName = 'IDLE' | 'WANTED' | 'MINTED' | 'PROVEN' | 'OVERDUE' | 'QUARANTINED' | 'LOST' | 'GONE';

export type RotationSource = 'self' | 'offer' | 'manual';

/** What a deadline does to a device that was not seen: by default nothing. */
export type DeadlinePolicy = 'keep' | 'quarantine' | 'revoke';

/** State of one device key. `quarantined`: it may only report, and is told so. `revoked` is for ever. */
export type DeviceKeyState = 'active' | 'pending' | 'retiring' | 'quarantined' | 'revoked';

/**
 * Where in its life a device was when it sent a request. `boot` counts boots durably, `sequence` counts requests
 * within a boot, `bootTag` is drawn at random once a boot: the same boot with two tags is two devices.
 */
export interface Position {
  boot: number;
  sequence: number;
  bootTag: string;
}

/** A fingerprint the device staged while in quarantine, waiting for an operator to approve it. */
export interface Proposal {
  generation: number;
  fingerprint: string;
}

/**
 * The one row a device has. Keys are named by fingerprint (16 hex characters), times are server milliseconds, null is
 * "none". `incident`: the rotation began in quarantine, so the old key is never trusted again.
 */
export interface RotationRow {
  state: RotationStateName;
  generation: number;
  source: RotationSource;
  /** Null only in LOST and GONE. In QUARANTINED it is quarantined, in every other state the server accepts it. */
  active: string | null;
  pending: string | null;
  retiring: string | null;
  incident: boolean;
  campaignId: string | null;
  policy: DeadlinePolicy;
  deadlineAtMs: number | null;
  pendingExpiresAtMs: number | null;
  soakUntilMs: number | null;
  soakMs: number;
  pendingTtlMs: number;
  /** Contacts under the old key, with none under the new, after which the device is taken to have lost the new one. */
  oldContactsMax: number;
  oldContacts: number;
  /** Generation under which `active` was proven: what `settledGeneration` becomes. */
  provenGeneration: number | null;
  /** The last generation whose old key was revoked after proof: what `settled` tells the device. */
  settledGeneration: number | null;
  /** Where the device was when it first reported PROVEN under the new key. */
  provenAt: Position | null;
  lastBoot: { boot: number; bootTag: string } | null;
  proposals: Proposal[];
}

/** What a rotation is to be like; from its campaign. */
export interface RotationPlan {
  source: RotationSource;
  campaignId: string | null;
  policy: DeadlinePolicy;
  deadlineAtMs: number | null;
  soakMs: number;
  pendingTtlMs: number;
  oldContactsMax: number;
}

/**
 * What can happen to a row. `by` is the fingerprint of the device's own key that authenticated the request: checked by
 * `judgeKey` before. `paused` is the campaign's, read in the same transaction. `recover` means that the proof with the
 * recovery secret was verified.
 */
export type RotationCommand =
  | { kind: 'select'; plan: RotationPlan }
  | {
      kind: 'register';
      by: string;
      generation: number;
      fingerprint: string;
      paused: boolean;
      /** The key is already recorded for this device, as this; null where it is not. */
      known: DeviceKeyState | null;
    }
  /** The device asks for its offer; `fingerprint` is of a key freshly drawn, thrown away unless the arrow is taken. */
  | { kind: 'ask'; by: string; generation: number; fingerprint: string; paused: boolean }
  /** An operator makes a key by hand. */
  | { kind: 'issue'; fingerprint: string; paused: boolean }
  /** An upload or status report of the device was committed: the only proof there is. */
  | { kind: 'commit'; by: string; position: Position | null; reportsProven: boolean }
  /** Any other authenticated request of the device. */
  | { kind: 'contact'; by: string; position: Position | null }
  | { kind: 'tick' }
  | { kind: 'abort' }
  | { kind: 'rollBack' }
  | { kind: 'quarantine'; reason: string }
  | { kind: 'lose'; reason: string }
  | { kind: 'release' }
  | { kind: 'approve'; fingerprint: string }
  | {
      kind: 'recover';
      generation: number;
      base: string;
      fingerprint: string;
      paused: boolean;
      known: DeviceKeyState | null;
    }
  | { kind: 'reprovision'; fingerprint: string }
  | { kind: 'remove' };

export type CommandKind = RotationCommand['kind'];

/** A key's new state, to be stored in the transaction of the row. `revoked` on an unknown key records it as such. */
export interface KeyChange {
  fingerprint: string;
  to: DeviceKeyState;
}

/** Suspicion that the key was copied. */
export type Alarm = 'old-key-after-proof' | 'registration-on-old-key' | 'two-devices-in-one-boot';

/** What the device is answered where its request wanted something of the row. */
export type Reply = 'done' | 'repeat' | 'wait' | 'refused' | 'proposed' | 'newer-generation';

/** One entry an arrow, or an alarm: what the audit says, with its evidence. */
export interface RotationAudit {
  action: string;
  from: RotationStateName;
  to: RotationStateName;
  generation: number;
  evidence: Record<string, string | number | boolean | null>;
}

/**
 * What a command does. Store `row` and `keys` in one transaction, only where the stored row still has `expect`;
 * otherwise read again and decide again. `moved`: an arrow was taken. `stayed`: no arrow; `row` may count something and
 * `keys` may record a refused registration. `audit` has one entry for the arrow, then one for each alarm.
 */
export interface RotationOutcome {
  kind: 'moved' | 'stayed';
  expect: { state: RotationStateName; generation: number };
  row: RotationRow;
  keys: KeyChange[];
  reply: Reply;
  alarms: Alarm[];
  audit: RotationAudit[];
}

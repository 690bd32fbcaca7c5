import { KEY_PREFIX_CHARS } from '#sdk/protocol';
import type { KeyId } from '../../domain/ids.ts';
import {
  type Alarm,
  brokenByOutcome,
  type DeviceKeyState,
  type Invariant,
  InvariantBroken,
  type KeyStates,
  type RotationCommand,
  type RotationOutcome,
  transition,
} from '../../domain/rotation/index.ts';
import type { AuditWrite, Write } from '../../ports/metadata-store.ts';
import type { KeyRow, RotationRecordRow } from '../../ports/tables.ts';
import { newsWrite } from '../campaign/news.ts';
import type { Deps } from '../deps.ts';
import { newId } from '../new-id.ts';
import { dueAtMs, type LoadedRotation, livingKeys } from './record.ts';

/** Characters of a SHA-256 in base64url. */
const KEY_HASH_CHARS = 43;

/** An alarm of one kind about one device goes into the audit this often: a thief must not be able to fill it. */
export const ALARM_EVERY_MS = 3_600_000;

/** Who is behind a command, as the audit names them. */
export interface Author {
  actor: string;
  from: string;
}

/** A key that is not in the store yet: registered by its digest, or drawn by the server. */
export interface NewDeviceKey {
  fingerprint: string;
  /** base64url(SHA-256(key bytes)). */
  hash: string;
  /** First characters as shown, where the server has seen them. */
  prefix: string;
  sealedDeviceSecret: Uint8Array | null;
}

export interface Decision {
  outcome: RotationOutcome;
  /** The record as it will be. */
  record: RotationRecordRow;
  /** To be committed whole, alone or inside the commit of an upload. Empty: nothing changes. */
  writes: Write[];
  /** A pending key came to be: the campaign's pause must be part of the same commit. */
  minted: boolean;
}

export interface DecideContext {
  author: Author;
  paused?: boolean;
  newKey?: NewDeviceKey;
  /** Changes of the record beside the rotation itself. */
  also?: Partial<Pick<RotationRecordRow, 'report' | 'limbo_at_ms' | 'sealed_recovery'>>;
}

/**
 * One command to a device's rotation, decided on what was loaded: the writes that store it by compare-and-set on the
 * row, with its keys and exactly one audit entry an arrow. Throws where an invariant of DESIGN §6.3 would be broken:
 * that is a bug, and nothing is stored.
 */
export async function decideRotation(
  deps: Deps,
  loaded: LoadedRotation,
  command: RotationCommand,
  context: DecideContext,
): Promise<Decision> {
  const { record } = loaded;
  const nowMs = deps.clock.nowMs();
  const outcome = transition(record.rotation, command, nowMs);
  const moved = outcome.kind === 'moved' || outcome.keys.length > 0;
  const keys = moved ? await livingKeys(deps, record.device_id) : [];
  // Row and keys are two reads: where somebody moved both in between, what was read belongs to no moment, and the
  // assertions below would take that for a bug. A write that cannot hold makes the caller read again.
  if (moved && !(await stillIs(deps, loaded))) {
    const { device_id: key, version } = record;
    return { outcome, record, writes: [{ kind: 'expect', table: 'rotations', key, version }], minted: false };
  }
  if (moved) assertInvariants(deps, { record, keys, command, outcome, paused: context.paused === true });

  const alarms = outcome.alarms.filter((alarm) => nowMs - (record.alarmed_at[alarm] ?? 0) >= ALARM_EVERY_MS);
  const next: RotationRecordRow = {
    ...record,
    ...context.also,
    rotation: outcome.row,
    proposed: proposedAfter(record, outcome, context.newKey),
    state: outcome.row.state,
    campaign_id: outcome.row.campaignId,
    due_at_ms: dueAtMs(outcome.row),
    alarmed_at: { ...record.alarmed_at, ...Object.fromEntries(alarms.map((alarm) => [alarm, nowMs])) },
    heard_at_ms: heardAtMs(record, command, outcome, nowMs),
    version: loaded.stored ? record.version + 1 : 1,
  };
  if (!moved && alarms.length === 0 && sameBut(record, next)) return { outcome, record, writes: [], minted: false };
  const row: Write = loaded.stored
    ? { kind: 'update', table: 'rotations', row: next, expectVersion: record.version }
    : { kind: 'insert', table: 'rotations', row: next };
  const newKey = context.newKey ?? proposedKey(record, outcome);
  const changed = outcome.keys.flatMap(({ fingerprint, to }) =>
    keyWrite(deps, { record: next, keys, fingerprint, to, newKey, nowMs }),
  );
  const writes: Write[] = [row, ...changed, ...auditWrites(context.author, { record, outcome, alarms, nowMs })];
  if (record.campaign_id !== null && isNews(record, next, outcome)) {
    writes.push(newsWrite(record.campaign_id, record.device_id, next.version));
  }
  return { outcome, record: next, writes, minted: outcome.kind === 'moved' && next.state === 'MINTED' };
}

async function stillIs(deps: Deps, { record, stored }: LoadedRotation): Promise<boolean> {
  const now = await deps.store.get('rotations', { device_id: record.device_id });
  return (now?.version ?? 0) === (stored ? record.version : 0);
}

/** When the device was first heard since it was asked: under a key of its own, and not under one that is done with. */
function heardAtMs(
  record: RotationRecordRow,
  command: RotationCommand,
  outcome: RotationOutcome,
  nowMs: number,
): number | null {
  if (command.kind === 'select' && outcome.kind === 'moved') return null;
  if (record.campaign_id === null || record.heard_at_ms !== null || !('by' in command)) return record.heard_at_ms;
  const { active, pending, retiring } = record.rotation;
  return [active, pending, retiring].includes(command.by) ? nowMs : null;
}

/** Whether the device's campaign has to look at it: an arrow, a first word, a call for help, or its end. */
function isNews(before: RotationRecordRow, after: RotationRecordRow, outcome: RotationOutcome): boolean {
  return (
    outcome.kind === 'moved' || before.heard_at_ms !== after.heard_at_ms || before.limbo_at_ms !== after.limbo_at_ms
  );
}

/** The digests of the keys that wait for approval: kept with the record, because nothing else knows them. */
function proposedAfter(
  record: RotationRecordRow,
  { row, reply }: RotationOutcome,
  newKey: NewDeviceKey | undefined,
): Record<string, string> {
  const all = { ...record.proposed };
  if (reply === 'proposed' && newKey !== undefined) all[newKey.fingerprint] = newKey.hash;
  return Object.fromEntries(
    row.proposals.flatMap(({ fingerprint }) => {
      const hash = all[fingerprint];
      return hash === undefined ? [] : [[fingerprint, hash]];
    }),
  );
}

/** The key an approval is about, from its proposal. */
function proposedKey(record: RotationRecordRow, { row }: RotationOutcome): NewDeviceKey | undefined {
  const hash = row.pending === null ? undefined : record.proposed[row.pending];
  if (hash === undefined || row.pending === null) return undefined;
  return { fingerprint: row.pending, hash, prefix: '', sealedDeviceSecret: null };
}

function sameBut(before: RotationRecordRow, after: RotationRecordRow): boolean {
  const seen = (row: RotationRecordRow) =>
    JSON.stringify([row.rotation, row.report, row.limbo_at_ms, row.heard_at_ms, row.due_at_ms]);
  return seen(before) === seen(after);
}

function assertInvariants(
  deps: Pick<Deps, 'metrics'>,
  at: {
    record: RotationRecordRow;
    keys: readonly KeyRow[];
    command: RotationCommand;
    outcome: RotationOutcome;
    paused: boolean;
  },
): void {
  const keys: KeyStates = Object.fromEntries(at.keys.map((key) => [key.fingerprint, key.state]));
  const broken = brokenByOutcome({ row: at.record.rotation, keys }, at.command, at.outcome, at.paused);
  if (broken === null) return;
  const { device_id: id, state } = at.record;
  throw invariantBroken(deps, broken.invariant, `${at.command.kind} of ${id} in ${state}: ${broken.what}`);
}

/** Counted, so that it is seen even where a request swallows it. */
function invariantBroken(deps: Pick<Deps, 'metrics'>, invariant: Invariant, detail: string): InvariantBroken {
  deps.metrics.count('fuselink_invariants_broken_total', { invariant });
  return new InvariantBroken(invariant, detail);
}

/** A key's own row follows the rotation's; a key that is not there yet is recorded, also where it is refused for good. */
function keyWrite(
  deps: Deps,
  change: {
    record: RotationRecordRow;
    keys: readonly KeyRow[];
    fingerprint: string;
    to: DeviceKeyState;
    newKey: NewDeviceKey | undefined;
    nowMs: number;
  },
): Write[] {
  const { record, fingerprint, to, newKey, nowMs } = change;
  const revokedAt = to === 'revoked' ? nowMs : null;
  const known = change.keys.find((key) => key.fingerprint === fingerprint);
  if (known !== undefined) {
    if (known.state === to) return [];
    const row: KeyRow = { ...known, state: to, revoked_at_ms: revokedAt, version: known.version + 1 };
    return [{ kind: 'update', table: 'api_keys', row, expectVersion: known.version }];
  }
  if (newKey === undefined || newKey.fingerprint !== fingerprint) {
    if (to === 'revoked') return [];
    throw invariantBroken(
      deps,
      'I5',
      `the key ${fingerprint} of ${record.device_id} became ${to} and nobody knows its digest`,
    );
  }
  if (newKey.prefix.length > KEY_PREFIX_CHARS || newKey.hash.length !== KEY_HASH_CHARS) {
    throw invariantBroken(
      deps,
      'I11',
      `more than a digest and a prefix of a key of ${record.device_id} would be stored`,
    );
  }
  const row: KeyRow = {
    id: newId(deps, 'key') as KeyId,
    account_id: record.account_id,
    kind: 'device',
    device_id: record.device_id,
    name: `generation ${record.rotation.generation}`,
    prefix: newKey.prefix,
    hash: newKey.hash,
    fingerprint,
    role: 'operator',
    state: to,
    generation: record.rotation.generation,
    created_at_ms: nowMs,
    last_used_at_ms: null,
    revoked_at_ms: revokedAt,
    sealed_device_secret: newKey.sealedDeviceSecret,
    version: 1,
  };
  return [{ kind: 'insert', table: 'api_keys', row }];
}

function auditWrites(
  author: Author,
  at: { record: RotationRecordRow; outcome: RotationOutcome; alarms: readonly Alarm[]; nowMs: number },
): AuditWrite[] {
  const { record, outcome, nowMs } = at;
  const told = outcome.audit.filter(
    ({ action }) =>
      !action.startsWith('rotation.alarm.') || at.alarms.some((alarm) => action === `rotation.alarm.${alarm}`),
  );
  return told.map(({ action, from, to, generation, evidence }) => ({
    kind: 'audit',
    entry: {
      chain: record.account_id,
      at_ms: nowMs,
      actor: author.actor,
      action,
      subject: record.device_id,
      outcome: 'done',
      detail: { from, to, generation, ...evidence },
      from: author.from,
    },
  }));
}

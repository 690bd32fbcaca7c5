import { judgeKey, type RotationCommand, type RotationOutcome, tellDevice, transitionWith } from '#server';
import type { RotationEvent } from './device-tables.ts';
import type { ModelOptions } from './options.ts';
import type { KeyState, Request, ServerSide } from './world.ts';

/** Times in the model: `BEFORE` everything that can run out, or `AFTER` it. Rows keep `DUE` or null. */
export const BEFORE = 0;
const DUE = 1;
export const AFTER = 2;

export interface ServerEnd {
  server: ServerSide;
  outcome: RotationOutcome;
  answers: readonly RotationEvent[];
  broken: string | null;
}

function dueOrNull(timeMs: number | null): number | null {
  return timeMs === null ? null : DUE;
}

/** Leaves out of a row what no decision in the model rests on, so that equal situations are equal states. */
function plainRow(row: ServerSide['row']): ServerSide['row'] {
  return {
    ...row,
    deadlineAtMs: dueOrNull(row.deadlineAtMs),
    pendingExpiresAtMs: dueOrNull(row.pendingExpiresAtMs),
    soakUntilMs: dueOrNull(row.soakUntilMs),
    oldContacts: Math.min(row.oldContacts, row.oldContactsMax),
    provenAt: null,
    lastBoot: null,
  };
}

/** The state the store is in after an outcome was written to it. */
export function stored(server: ServerSide, outcome: RotationOutcome): ServerSide {
  const keys: Record<string, KeyState> = { ...server.keys };
  for (const change of outcome.keys) keys[change.fingerprint] = change.to;
  const sorted = Object.fromEntries(Object.entries(keys).sort(([one], [other]) => (one < other ? -1 : 1)));
  return { row: plainRow(outcome.row), keys: sorted };
}

function count(keys: ServerSide['keys'], states: readonly KeyState[]): number {
  return Object.values(keys).filter((state) => states.includes(state)).length;
}

/** The server's invariants over one arrow. Null where all hold. */
export function brokenByArrow(
  before: ServerSide,
  after: ServerSide,
  arrow: { command: RotationCommand; outcome: RotationOutcome; paused: boolean; mayAlarm: boolean },
): string | null {
  const { command, outcome } = arrow;
  if (count(after.keys, ['pending']) > 1) return 'I4: two pending keys';
  if (count(after.keys, ['active', 'pending', 'retiring']) > 2) return 'I6: more than two valid keys';
  if (after.row.generation < before.row.generation) return 'I9: a generation fell';
  const revived = Object.keys(before.keys).find(
    (key) => before.keys[key] === 'revoked' && after.keys[key] !== 'revoked',
  );
  if (revived !== undefined) return `revocation was undone for ${revived}`;
  const proof = command.kind === 'commit' && command.by === before.row.pending;
  const proves = outcome.kind === 'moved' && after.row.state === 'PROVEN' && before.row.state === 'MINTED';
  if (proves && !proof) return 'I2: PROVEN without an upload or report under the new key';
  if (outcome.audit.length - outcome.alarms.length !== (outcome.kind === 'moved' ? 1 : 0)) {
    return 'I14: not one audit entry for one arrow';
  }
  const minted = outcome.kind === 'moved' && after.row.state === 'MINTED';
  const healing = before.row.state === 'QUARANTINED' || after.row.incident;
  if (minted && arrow.paused && !healing) {
    return 'I13: a paused campaign minted a key';
  }
  if (outcome.alarms.length > 0 && !arrow.mayAlarm) return `an honest device set off ${outcome.alarms[0]}`;
  return null;
}

/** Decides and stores one command. */
export function serverEnd(
  options: ModelOptions,
  server: ServerSide,
  command: RotationCommand,
  at: { nowMs: number; paused: boolean; mayAlarm: boolean },
): ServerEnd {
  const outcome = transitionWith(options.server, server.row, command, at.nowMs);
  const after = stored(server, outcome);
  const broken = brokenByArrow(server, after, { command, outcome, ...at });
  return { server: after, outcome, answers: told(after), broken };
}

/** What the server now tells whoever asks under one of the device's keys; the network may bring it at any time. */
export function told(server: ServerSide): RotationEvent[] {
  const answers: RotationEvent[] = [];
  const { active, pending, retiring } = server.row;
  for (const fingerprint of [active, pending, retiring]) {
    if (fingerprint === null) continue;
    const telling = tellDevice(server.row, { fingerprint, keyState: server.keys[fingerprint]!, paused: false });
    if (telling.wanted !== null) answers.push({ kind: 'wanted', ...telling.wanted });
    if (telling.settledGeneration !== null) {
      answers.push({ kind: 'settled', generation: telling.settledGeneration });
    }
  }
  return answers;
}

/** What a request becomes at the server: refused by its key, or a command. */
export function commandOf(
  server: ServerSide,
  request: Request,
  context: { paused: boolean; newKey: string },
): RotationCommand | null {
  const by = request.by;
  if (by !== null) {
    const state = server.keys[by];
    const stored = state === undefined ? null : { fingerprint: by, state, validFromMs: null };
    const verdict = judgeKey(stored, BEFORE);
    if (!verdict.ok) return null;
  }
  switch (request.kind) {
    case 'commit':
      return { kind: 'commit', by: request.by, position: { boot: 1, sequence: 1, bootTag: 't' }, reportsProven: false };
    case 'ask': {
      const { generation } = request;
      return { kind: 'ask', by: request.by, generation, fingerprint: context.newKey, paused: context.paused };
    }
    case 'register': {
      const { generation, base, fingerprint } = request.record;
      const known = server.keys[fingerprint] ?? null;
      if (request.recovery) {
        return { kind: 'recover', generation, base, fingerprint, paused: context.paused, known };
      }
      if (by === null) return null;
      return { kind: 'register', by, generation, fingerprint, paused: context.paused, known };
    }
  }
}

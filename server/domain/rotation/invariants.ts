import type { DeviceKeyState, RotationCommand, RotationOutcome, RotationRow } from './types.ts';

/** The states of a device's keys, by fingerprint. Revoked ones need not be there. */
export type KeyStates = Readonly<Record<string, DeviceKeyState>>;

/** The key states that hold once an outcome is stored. */
export function keysAfter(before: KeyStates, outcome: Pick<RotationOutcome, 'keys'>): Record<string, DeviceKeyState> {
  const keys: Record<string, DeviceKeyState> = { ...before };
  for (const change of outcome.keys) keys[change.fingerprint] = change.to;
  return keys;
}

function count(keys: KeyStates, states: readonly DeviceKeyState[]): number {
  return Object.values(keys).filter((state) => states.includes(state)).length;
}

/** Where the row names a key, the key's own row must agree. */
function strayKey(row: RotationRow, keys: KeyStates): string | null {
  const named: readonly [string | null, readonly DeviceKeyState[]][] = [
    [row.active, ['active', 'quarantined']],
    [row.pending, ['pending']],
    [row.retiring, ['retiring', 'quarantined']],
  ];
  for (const [fingerprint, states] of named) {
    if (fingerprint !== null && !states.includes(keys[fingerprint] ?? 'revoked')) return fingerprint;
  }
  const ends = Object.keys(keys).filter((key) => keys[key] !== 'revoked');
  return ends.find((key) => ![row.active, row.pending, row.retiring].includes(key)) ?? null;
}

/** DESIGN §6.3, and where each of the fourteen is held. */
export const INVARIANTS = {
  I1: 'here: no arrow leaves a device without a key that nobody ordered so; the slots are the device’s (test/rotation)',
  I2: 'here: proven only by a commit under the pending key, settled only by a request under the new one',
  I3: 'sdk/core and its drivers: a key is sent from the slot it reads back from, or not at all',
  I4: 'here: at most one pending key',
  I5: 'here: the row and the keys that live agree, so none is left behind',
  I6: 'here: at most two valid keys',
  I7: 'here and in the commit: what was decided on is what is replaced, by compare-and-set',
  I8: 'here: a revocation is never undone; sdk/core drops a key only when it is named',
  I9: 'here: a generation never falls',
  I10: 'by construction: no command says what time the device has',
  I11: 'in the use case that stores keys: a digest and the first eight characters, and nothing else',
  I12: 'in the upload’s own commit and in the device’s spool: stored once, or counted as dropped',
  I13: 'here and in the commit, which expects the campaign’s row as it was read',
  I14: 'here: one entry an arrow',
} as const;

export type Invariant = keyof typeof INVARIANTS;

/** A bug: nothing is stored. Its message has fingerprints and states, never a key. */
export class InvariantBroken extends Error {
  override name = 'InvariantBroken';
  readonly invariant: Invariant;

  constructor(invariant: Invariant, detail: string) {
    super(`${invariant}: ${detail}`);
    this.invariant = invariant;
  }
}

interface Broken {
  invariant: Invariant;
  what: string;
}

/** Whether somebody ordered, at some time, that the device may end without any key. */
function isOrdered(before: RotationRow, { kind }: RotationCommand): boolean {
  return kind === 'lose' || kind === 'remove' || (kind === 'tick' && before.policy === 'revoke');
}

/** What an arrow would break of how keys stand. */
function brokenOfKeys(before: { row: RotationRow; keys: KeyStates }, outcome: RotationOutcome): Broken | null {
  const keys = keysAfter(before.keys, outcome);
  if (count(keys, ['pending']) > 1) return { invariant: 'I4', what: 'two pending keys' };
  if (count(keys, ['active', 'pending', 'retiring']) > 2) return { invariant: 'I6', what: 'more than two valid keys' };
  const revived = Object.keys(before.keys).find((key) => before.keys[key] === 'revoked' && keys[key] !== 'revoked');
  if (revived !== undefined) return { invariant: 'I8', what: `the revocation of ${revived} was undone` };
  const stray = strayKey(outcome.row, keys);
  return stray === null ? null : { invariant: 'I5', what: `the row and the key ${stray} do not agree` };
}

/**
 * What an arrow would break, or null: asserted by the server before anything is stored. `paused` is the campaign's at the
 * moment of the decision.
 */
export function brokenByOutcome(
  before: { row: RotationRow; keys: KeyStates },
  command: RotationCommand,
  outcome: RotationOutcome,
  paused: boolean,
): Broken | null {
  const after = outcome.row;
  const { state, generation } = outcome.expect;
  if (state !== before.row.state || generation !== before.row.generation)
    return { invariant: 'I7', what: 'decided on another row than the one that is replaced' };
  if (after.generation < before.row.generation) return { invariant: 'I9', what: 'a generation fell' };
  const moved = outcome.kind === 'moved';
  const ended = after.state === 'LOST' || after.state === 'GONE';
  if (after.active === null && !ended) return { invariant: 'I1', what: `a device in ${after.state} without a key` };
  if (moved && ended && !isOrdered(before.row, command))
    return { invariant: 'I1', what: 'every key was revoked and nobody ordered it' };
  const proof = command.kind === 'commit' && command.by === before.row.pending;
  if (moved && after.state === 'PROVEN' && !proof)
    return { invariant: 'I2', what: 'proven without an upload or report under the new key' };
  const settles = moved && before.row.state === 'PROVEN' && after.settledGeneration !== before.row.settledGeneration;
  const heard = (command.kind === 'commit' || command.kind === 'contact') && command.by === before.row.active;
  if (settles && !heard)
    return { invariant: 'I2', what: 'the old key was revoked without a request under the new one' };
  const healing = before.row.state === 'QUARANTINED' || after.incident;
  if (moved && after.state === 'MINTED' && paused && !healing)
    return { invariant: 'I13', what: 'a paused campaign minted a key' };
  if (outcome.audit.length - outcome.alarms.length !== (moved ? 1 : 0))
    return { invariant: 'I14', what: 'not one audit entry for one arrow' };
  return brokenOfKeys(before, outcome);
}

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

/**
 * What an arrow would break, or null: asserted by the server before anything is stored. I1, I3, I8, I10 and I12 are the
 * device's and the fleet's; the rest of DESIGN §6.3 is here. `paused` is the campaign's at the moment of the decision.
 */
export function brokenByOutcome(
  before: { row: RotationRow; keys: KeyStates },
  command: RotationCommand,
  outcome: RotationOutcome,
  paused: boolean,
): string | null {
  const after = outcome.row;
  const keys = keysAfter(before.keys, outcome);
  if (count(keys, ['pending']) > 1) return 'I4: two pending keys';
  if (count(keys, ['active', 'pending', 'retiring']) > 2) return 'I6: more than two valid keys';
  if (after.generation < before.row.generation) return 'I9: a generation fell';
  const revived = Object.keys(before.keys).find((key) => before.keys[key] === 'revoked' && keys[key] !== 'revoked');
  if (revived !== undefined) return `I8: the revocation of ${revived} was undone`;
  const moved = outcome.kind === 'moved';
  const proof = command.kind === 'commit' && command.by === before.row.pending;
  if (moved && after.state === 'PROVEN' && !proof) return 'I2: proven without an upload or report under the new key';
  const settles = moved && before.row.state === 'PROVEN' && after.settledGeneration !== before.row.settledGeneration;
  const heard = (command.kind === 'commit' || command.kind === 'contact') && command.by === before.row.active;
  if (settles && !heard) return 'I2: the old key was revoked without a request under the new one';
  if (outcome.audit.length - outcome.alarms.length !== (moved ? 1 : 0)) return 'I14: not one audit entry for one arrow';
  const healing = before.row.state === 'QUARANTINED' || after.incident;
  if (moved && after.state === 'MINTED' && paused && !healing) return 'I13: a paused campaign minted a key';
  const stray = strayKey(after, keys);
  return stray === null ? null : `I5: the row and the key ${stray} do not agree`;
}

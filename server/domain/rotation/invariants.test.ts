import { describe, expect, test } from 'vitest';
import {
  brokenByOutcome,
  enrolled,
  INVARIANTS,
  type KeyStates,
  type RotationCommand,
  type RotationOutcome,
  type RotationPlan,
  type RotationRow,
  transition,
} from './index.ts';

const plan: RotationPlan = {
  source: 'self',
  campaignId: 'c1',
  policy: 'keep',
  deadlineAtMs: null,
  soakMs: 0,
  pendingTtlMs: 1000,
  oldContactsMax: 3,
};
const idle = enrolled('K1', 1);
const wanted = transition(idle, { kind: 'select', plan }, 0).row;
const register: RotationCommand = {
  kind: 'register',
  by: 'K1',
  generation: 2,
  fingerprint: 'K2',
  paused: false,
  known: null,
};
const minted = transition(wanted, register, 0).row;
const commit: RotationCommand = { kind: 'commit', by: 'K2', position: null, reportsProven: false };
const proven = transition(minted, commit, 0).row;

const K1: KeyStates = { K1: 'active' };
const BOTH: KeyStates = { K1: 'active', K2: 'pending' };
const PROVEN: KeyStates = { K1: 'retiring', K2: 'active' };

/** The table's own outcome, with something in it changed as no row would. */
function spoiled(
  row: RotationRow,
  command: RotationCommand,
  change: (outcome: RotationOutcome) => Partial<RotationOutcome>,
): RotationOutcome {
  const outcome = transition(row, command, 0);
  return { ...outcome, ...change(outcome) };
}

describe('a change that would break an invariant is named', () => {
  const heard: RotationCommand = { kind: 'contact', by: 'K2', position: null };
  test.each([
    ['I1', minted, BOTH, commit, (o) => ({ row: { ...o.row, active: null } })],
    [
      'I1',
      idle,
      K1,
      { kind: 'contact', by: 'K1', position: null },
      (o) => ({ kind: 'moved', row: { ...o.row, state: 'LOST', active: null } }),
    ],
    [
      'I2',
      minted,
      BOTH,
      { kind: 'contact', by: 'K2', position: null },
      (o) => ({ kind: 'moved', row: { ...o.row, state: 'PROVEN' } }),
    ],
    [
      'I2',
      proven,
      PROVEN,
      { kind: 'tick' },
      (o) => ({ kind: 'moved', row: { ...o.row, state: 'IDLE', settledGeneration: 2 } }),
    ],
    ['I4', wanted, { ...K1, K9: 'pending' }, register, () => ({})],
    ['I5', minted, BOTH, commit, () => ({ keys: [] })],
    ['I6', minted, { ...BOTH, K0: 'retiring' }, commit, () => ({})],
    ['I7', minted, BOTH, commit, (o) => ({ expect: { ...o.expect, generation: 1 } })],
    ['I8', wanted, { ...K1, K2: 'revoked' }, register, () => ({})],
    ['I9', wanted, K1, register, (o) => ({ row: { ...o.row, generation: 1 } })],
    ['I14', proven, PROVEN, heard, (o) => ({ audit: [...o.audit, ...o.audit] })],
  ] as [string, RotationRow, KeyStates, RotationCommand, (o: RotationOutcome) => Partial<RotationOutcome>][])(
    '%s: → by its own name',
    (invariant, row, keys, command, change) => {
      expect(brokenByOutcome({ row, keys }, command, spoiled(row, command, change), false)?.invariant).toBe(invariant);
    },
  );

  test('I13: minted in a pause → named; in quarantine, where a pause must not hold up healing → allowed', () => {
    const outcome = transition(wanted, register, 0);
    expect(brokenByOutcome({ row: wanted, keys: K1 }, register, outcome, true)?.invariant).toBe('I13');
    expect(brokenByOutcome({ row: wanted, keys: K1 }, register, outcome, false)).toBeNull();
  });

  test('all fourteen: → each says where it is held', () => {
    expect(Object.keys(INVARIANTS)).toEqual(Array.from({ length: 14 }, (_, i) => `I${i + 1}`));
  });
});

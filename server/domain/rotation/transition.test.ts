import { describe, expect, test } from 'vitest';
import { judgeKey, tellDevice } from './telling.ts';
import { enrolled, transition } from './transition.ts';
import type { Position, RotationCommand, RotationOutcome, RotationPlan, RotationRow } from './types.ts';
import { GENERATION_MAX, PROPOSALS_MAX } from './words.ts';

const plan: RotationPlan = {
  source: 'self',
  campaignId: 'c1',
  policy: 'keep',
  deadlineAtMs: 1000,
  soakMs: 500,
  pendingTtlMs: 300,
  oldContactsMax: 3,
};

function at(boot: number, sequence: number, bootTag = `tag${boot}`): Position {
  return { boot, sequence, bootTag };
}
function select(change: Partial<RotationPlan> = {}): RotationCommand {
  return { kind: 'select', plan: { ...plan, ...change } };
}
function register(fingerprint: string, generation: number, change: object = {}): RotationCommand {
  return { kind: 'register', by: 'K1', generation, fingerprint, paused: false, known: null, ...change };
}
function commit(by: string, position: Position | null = at(1, 1), reportsProven = false): RotationCommand {
  return { kind: 'commit', by, position, reportsProven };
}
function recover(fingerprint: string, generation: number, change: object = {}): RotationCommand {
  return { kind: 'recover', generation, base: 'K1', fingerprint, paused: false, known: null, ...change };
}

/** Applies commands at time 0; answers the last outcome. */
function apply(row: RotationRow, ...commands: RotationCommand[]): RotationOutcome {
  let last: RotationOutcome | null = null;
  for (const command of commands) last = transition(last?.row ?? row, command, 0);
  return last!;
}

const idle = enrolled('K1', 1);
const wanted = apply(idle, select()).row;
const minted = apply(wanted, register('K2', 2)).row;
const proven = apply(minted, commit('K2')).row;
const quarantined = apply(idle, { kind: 'quarantine', reason: 'key is out' }).row;

test('transition: one rotation → each arrow, its keys, its one audit entry, and what to compare on', () => {
  const steps = [
    { outcome: transition(idle, select(), 0), to: 'WANTED', keys: [], action: 'rotation.wanted' },
    {
      outcome: transition(wanted, register('K2', 2), 0),
      to: 'MINTED',
      keys: [{ fingerprint: 'K2', to: 'pending' }],
      action: 'rotation.minted',
    },
    {
      outcome: transition(minted, commit('K2'), 0),
      to: 'PROVEN',
      keys: [
        { fingerprint: 'K2', to: 'active' },
        { fingerprint: 'K1', to: 'retiring' },
      ],
      action: 'rotation.proven',
    },
    {
      outcome: transition(proven, commit('K2', at(1, 2)), 500),
      to: 'IDLE',
      keys: [{ fingerprint: 'K1', to: 'revoked' }],
      action: 'rotation.settled',
    },
  ];
  const befores = [idle, wanted, minted, proven];
  steps.forEach(({ outcome, to, keys, action }, index) => {
    const before = befores[index]!;
    expect(outcome.kind).toBe('moved');
    expect(outcome.expect).toEqual({ state: before.state, generation: before.generation });
    expect(outcome.row.state).toBe(to);
    expect(outcome.keys).toEqual(keys);
    expect(outcome.audit.map((entry) => [entry.action, entry.from, entry.to])).toEqual([[action, before.state, to]]);
  });
  expect(steps[3]!.outcome.row).toMatchObject({ active: 'K2', retiring: null, settledGeneration: 2 });
});

test('transition: the row it was given → not changed', () => {
  const before = structuredClone(minted);
  transition(minted, commit('K2'), 0);
  expect(minted).toEqual(before);
});

test.each<[string, RotationRow, RotationCommand, number, string, string]>([
  ['a paused campaign', wanted, register('K2', 2, { paused: true }), 0, 'WANTED', 'wait'],
  ['another generation', wanted, register('K2', 1), 0, 'WANTED', 'refused'],
  ['the pending key again', minted, register('K2', 2, { known: 'pending' }), 0, 'MINTED', 'repeat'],
  ['the active key, late', proven, register('K2', 2, { known: 'active' }), 0, 'PROVEN', 'repeat'],
  ['a revoked key', wanted, register('K2', 2, { known: 'revoked' }), 0, 'WANTED', 'refused'],
  ['a second key', minted, register('K2b', 2), 0, 'WANTED', 'refused'],
  ['soak not over', proven, commit('K2', at(1, 2)), 499, 'PROVEN', 'done'],
  ['proof by the old key', minted, commit('K1'), 0, 'MINTED', 'done'],
  ['a mere contact under the pending key', minted, { kind: 'contact', by: 'K2', position: null }, 0, 'MINTED', 'done'],
  ['pending alive', minted, { kind: 'tick' }, 299, 'MINTED', 'done'],
  ['pending expired', minted, { kind: 'tick' }, 300, 'WANTED', 'done'],
  ['before the deadline', wanted, { kind: 'tick' }, 999, 'WANTED', 'done'],
  ['the deadline', wanted, { kind: 'tick' }, 1000, 'OVERDUE', 'done'],
  ['an abort before anything is minted', wanted, { kind: 'abort' }, 0, 'IDLE', 'done'],
  ['an abort of a pending key', minted, { kind: 'abort' }, 0, 'IDLE', 'done'],
  ['an abort after the proof', proven, { kind: 'abort' }, 0, 'PROVEN', 'refused'],
  ['a roll-back', proven, { kind: 'rollBack' }, 0, 'IDLE', 'done'],
  [
    'an offer asked for by a device that was to mint a key and cannot',
    wanted,
    { kind: 'ask', by: 'K1', generation: 2, fingerprint: 'K2', paused: false },
    0,
    'MINTED',
    'done',
  ],
  ['a second rotation', wanted, select(), 0, 'WANTED', 'refused'],
  ['deletion', proven, { kind: 'remove' }, 0, 'GONE', 'done'],
])('transition: %s → where it leads', (_name, row, command, nowMs, state, reply) => {
  const outcome = transition(row, command, nowMs);
  expect([outcome.row.state, outcome.reply]).toEqual([state, reply]);
  expect(outcome.audit).toHaveLength(outcome.kind === 'moved' ? 1 : 0);
});

test('transition: refused for good → recorded as revoked, and a key that is in use never is', () => {
  expect(transition(idle, register('K9', 7), 0).keys).toEqual([{ fingerprint: 'K9', to: 'revoked' }]);
  expect(transition(proven, register('K2', 2, { known: 'active' }), 0).keys).toEqual([]);
});

test('transition: an offer whose answer was lost → asked for again, revoked, and minted anew under the next generation', () => {
  const ask = (generation: number, fingerprint: string): RotationCommand => {
    return { kind: 'ask', by: 'K1', generation, fingerprint, paused: false };
  };
  const again = apply(idle, select({ source: 'offer' }), ask(2, 'K2'), ask(2, 'unused'));
  expect(again).toMatchObject({ reply: 'newer-generation', keys: [{ fingerprint: 'K2', to: 'revoked' }] });
  expect(apply(again.row, ask(3, 'K3')).row).toMatchObject({ state: 'MINTED', pending: 'K3', generation: 3 });
});

test.each([
  ['quarantine', 'QUARANTINED', [{ fingerprint: 'K1', to: 'quarantined' }]],
  ['revoke', 'LOST', [{ fingerprint: 'K1', to: 'revoked' }]],
  ['keep', 'OVERDUE', []],
] as const)('transition: overdue under the policy %s → %s', (policy, state, keys) => {
  const overdue = transition(apply(idle, select({ policy })).row, { kind: 'tick' }, 1000).row;
  const outcome = transition(overdue, { kind: 'tick' }, 1000);
  expect([outcome.row.state, outcome.keys]).toEqual([state, keys]);
});

test('transition: overdue, then heard of → wanted as before, and not overdue again', () => {
  const overdue = transition(wanted, { kind: 'tick' }, 1000).row;
  const back = transition(overdue, commit('K1'), 2000).row;
  expect(back.state).toBe('WANTED');
  expect(transition(back, { kind: 'tick' }, 3000).row.state).toBe('WANTED');
  expect(transition(overdue, register('K2', 2), 2000).row.state).toBe('MINTED');
});

describe('a device that lost its new key', () => {
  const old = commit('K1', at(2, 1));

  test('transition: heard N times under the old key only → rolled back', () => {
    const outcome = apply(proven, old, old, old);
    expect(outcome.row).toMatchObject({ state: 'IDLE', active: 'K1', retiring: null });
    expect(outcome.keys).toEqual([
      { fingerprint: 'K2', to: 'revoked' },
      { fingerprint: 'K1', to: 'active' },
    ]);
  });

  test('transition: the new key is heard in between → counted from the start', () => {
    expect(apply(proven, old, old, commit('K2', at(2, 2)), old, old).row.state).toBe('PROVEN');
  });
});

describe('the copied-key alarm', () => {
  const reported = apply(proven, commit('K2', at(3, 10), true)).row;

  test.each<[string, RotationRow, RotationCommand, string[]]>([
    ['the old key later in the boot that reported PROVEN', reported, commit('K1', at(3, 11)), ['old-key-after-proof']],
    ['the old key without a position', reported, commit('K1', null), ['old-key-after-proof']],
    ['the old key in a request from before the report', reported, commit('K1', at(3, 9)), []],
    ['the old key in an earlier boot', reported, commit('K1', at(2, 99)), []],
    ['the old key after another boot', reported, commit('K1', at(4, 1)), []],
    ['the old key before any report', proven, commit('K1', at(1, 5)), []],
    ['the new key', reported, commit('K2', at(3, 12)), []],
    ['two tags in one boot', reported, commit('K2', at(3, 12, 'other')), ['two-devices-in-one-boot']],
    ['another key registered under the old one', proven, register('K2b', 2), ['registration-on-old-key']],
    ['the same registration again', proven, register('K2', 2, { known: 'active' }), []],
    ['a registration of an earlier generation, late', proven, register('K0', 1), []],
  ])('transition: %s → %s', (_name, row, command, alarms) => {
    const outcome = transition(row, command, 0);
    expect(outcome.alarms).toEqual(alarms);
    expect(outcome.audit.map((entry) => entry.action)).toEqual(alarms.map((alarm) => `rotation.alarm.${alarm}`));
  });

  test('transition: a thief calls under the old key without end → the rotation is not rolled back', () => {
    const calls = Array.from({ length: 20 }, () => commit('K1', null));
    expect(apply(reported, ...calls).row.state).toBe('PROVEN');
  });

  test('transition: the former key is used after all is settled → still an alarm', () => {
    const settled = transition(reported, commit('K2', at(3, 20)), 500).row;
    expect(settled.state).toBe('IDLE');
    expect(transition(settled, commit('K1', at(3, 21)), 600).alarms).toEqual(['old-key-after-proof']);
  });

  test('transition: a contested proof → counts, beside its alarm', () => {
    const heard = apply(minted, commit('K1', at(5, 1))).row;
    const outcome = transition(heard, commit('K2', at(5, 2, 'other')), 0);
    expect([outcome.row.state, outcome.alarms]).toEqual(['PROVEN', ['two-devices-in-one-boot']]);
    expect(outcome.audit.map((entry) => entry.action)).toEqual([
      'rotation.proven',
      'rotation.alarm.two-devices-in-one-boot',
    ]);
  });
});

describe('quarantine', () => {
  test('transition: a thief with the key alone → nothing is minted, by registration or offer', () => {
    const outcome = transition(quarantined, register('T', 2), 0);
    expect([outcome.row.state, outcome.row.pending, outcome.reply]).toEqual(['QUARANTINED', null, 'proposed']);
    const ask: RotationCommand = { kind: 'ask', by: 'K1', generation: 2, fingerprint: 'T', paused: false };
    expect(transition(quarantined, ask, 0)).toMatchObject({ kind: 'stayed', reply: 'refused', keys: [] });
    expect(transition(quarantined, commit('K1'), 0).row.state).toBe('QUARANTINED');
  });

  test('transition: the recovery proof → out, the old key trusted no more, no roll-back', () => {
    const outcome = transition(quarantined, recover('K2', 2), 0);
    expect(outcome.row).toMatchObject({ state: 'MINTED', pending: 'K2', incident: true });
    const healed = apply(outcome.row, commit('K2'));
    expect(healed.keys).toEqual([{ fingerprint: 'K2', to: 'active' }]);
    const contacts = Array.from({ length: 9 }, (_, index) => commit('K1', at(9, index)));
    expect(apply(healed.row, ...contacts).row.state).toBe('PROVEN');
    expect(transition(healed.row, { kind: 'rollBack' }, 0).reply).toBe('refused');
    expect(transition(healed.row, commit('K2'), 500)).toMatchObject({
      row: { state: 'IDLE', incident: false },
      keys: [{ fingerprint: 'K1', to: 'revoked' }],
    });
  });

  test('transition: the operator approves a fingerprint → only one that was proposed', () => {
    const proposed = apply(quarantined, register('T', 2), register('K2', 2)).row;
    expect(transition(proposed, { kind: 'approve', fingerprint: 'other' }, 0).reply).toBe('refused');
    const outcome = transition(proposed, { kind: 'approve', fingerprint: 'K2' }, 0);
    expect(outcome.row).toMatchObject({ state: 'MINTED', pending: 'K2', proposals: [] });
  });

  test('transition: more proposals than are kept → the newest stay', () => {
    const many = Array.from({ length: PROPOSALS_MAX + 3 }, (_, index) => register(`T${index}`, 2));
    const { proposals } = apply(quarantined, ...many).row;
    expect([proposals.length, proposals.at(-1)?.fingerprint]).toEqual([PROPOSALS_MAX, `T${PROPOSALS_MAX + 2}`]);
  });

  test('transition: halfway through a rotation → both keys quarantined, and no release', () => {
    const outcome = transition(proven, { kind: 'quarantine', reason: 'r' }, 0);
    expect(outcome.keys).toEqual([
      { fingerprint: 'K2', to: 'quarantined' },
      { fingerprint: 'K1', to: 'quarantined' },
    ]);
    expect(transition(outcome.row, { kind: 'release' }, 0).reply).toBe('refused');
    expect(apply(quarantined, { kind: 'release' })).toMatchObject({ row: { state: 'IDLE', incident: false } });
  });
});

test('transition: recovered in the boot of an earlier proof, and its key expired → using that key is no alarm', () => {
  const reported = apply(proven, commit('K2', at(1, 2), true)).row;
  expect(reported.provenAt).not.toBeNull();
  const incident = apply(reported, { kind: 'quarantine', reason: 'r' }).row;
  const pending = apply(incident, recover('K3', 4)).row;
  const expired = transition(pending, { kind: 'tick' }, 1_000_000).row;
  expect(expired.state).toBe('QUARANTINED');
  expect(transition(expired, { kind: 'contact', by: 'K3', position: at(1, 9) }, 0).alarms).toEqual([]);
});

test('transition: a server restored to before the proof → the recovery proof brings the key back', () => {
  const outcome = transition(idle, recover('K5', 5), 0);
  expect(outcome.row).toMatchObject({ state: 'MINTED', generation: 5, pending: 'K5', incident: true });
  expect(transition(idle, recover('K1', 1, { known: 'active' }), 0)).toMatchObject({ kind: 'stayed', reply: 'repeat' });
  expect(transition(idle, recover('K0', 1), 0).keys).toEqual([{ fingerprint: 'K0', to: 'revoked' }]);
});

test('transition: lost → out only by provisioning again', () => {
  const lost = apply(proven, { kind: 'lose', reason: 'stolen' });
  expect(lost.keys.map((change) => change.to)).toEqual(['revoked', 'revoked']);
  expect(transition(lost.row, recover('K9', 9), 0)).toMatchObject({ kind: 'stayed', reply: 'refused', keys: [] });
  const again = transition(lost.row, { kind: 'reprovision', fingerprint: 'P' }, 0);
  expect(again.row).toMatchObject({ state: 'IDLE', active: 'P', generation: 3 });
});

test('transition: the last generation a slot can hold → no further rotation', () => {
  const outcome = transition(enrolled('K1', GENERATION_MAX), select(), 0);
  expect(outcome).toMatchObject({
    kind: 'stayed',
    reply: 'refused',
    row: { state: 'IDLE', generation: GENERATION_MAX },
  });
});

test.each([
  ['unknown', null, { ok: false, code: 'key_unknown' }],
  ['revoked', { state: 'revoked', validFromMs: null }, { ok: false, code: 'key_revoked', fingerprint: 'K1' }],
  [
    'revoked before it was valid',
    { state: 'revoked', validFromMs: 20 },
    { ok: false, code: 'key_revoked', fingerprint: 'K1' },
  ],
  ['not yet valid', { state: 'pending', validFromMs: 11 }, { ok: false, code: 'key_not_yet_valid' }],
  ['valid from now', { state: 'pending', validFromMs: 10 }, { ok: true, use: 'full' }],
  ['retiring', { state: 'retiring', validFromMs: null }, { ok: true, use: 'full' }],
  ['quarantined', { state: 'quarantined', validFromMs: null }, { ok: true, use: 'report' }],
] as const)('key: %s → what becomes of its request', (_name, key, verdict) => {
  expect(judgeKey(key === null ? null : { fingerprint: 'K1', ...key }, 10)).toEqual(verdict);
});

describe('what a device is told', () => {
  const tell = (row: RotationRow, fingerprint: string, change: object = {}) =>
    tellDevice(row, { fingerprint, keyState: 'active', paused: false, ...change });

  test('telling: WANTED → the wish on the active key; paused → nothing', () => {
    const wish = { generation: 2, base: 'K1', source: 'self', recovery: false };
    expect(tell(wanted, 'K1').wanted).toEqual(wish);
    expect(tell(minted, 'K1').wanted).toEqual(wish);
    expect(tell(wanted, 'K1', { paused: true }).wanted).toBeNull();
  });

  test('telling: settled → to the new key only', () => {
    const settled = transition(proven, commit('K2', at(1, 2)), 500).row;
    expect(tell(settled, 'K2').settledGeneration).toBe(2);
    expect(tell(proven, 'K2').settledGeneration).toBeNull();
  });

  test('telling: QUARANTINED halfway → a wish with the recovery proof, on whichever key asks', () => {
    const { row } = transition(proven, { kind: 'quarantine', reason: 'r' }, 0);
    for (const base of ['K1', 'K2']) {
      expect(tell(row, base, { keyState: 'quarantined' }).wanted).toEqual({
        generation: 3,
        base,
        source: 'self',
        recovery: true,
      });
    }
  });

  test('telling: a revoked key → the generation to recover under; of a lost device → nothing', () => {
    expect(tell(idle, 'K0', { keyState: 'revoked' })).toEqual({
      wanted: null,
      settledGeneration: null,
      recoverableGeneration: 2,
    });
    const lost = apply(idle, { kind: 'lose', reason: 'r' }).row;
    expect(tell(lost, 'K1', { keyState: 'revoked' }).recoverableGeneration).toBeNull();
  });
});

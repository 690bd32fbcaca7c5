import { describe, expect, test } from 'vitest';
import { fingerprintToSend, type RotationStep, stepRotation } from './agent.ts';
import { unbootedRotation } from './state.ts';
import type { RotationEvent, RotationState, SlotKey, SlotPair } from './types.ts';
import { BACK_OFF_MS_MAX } from './words.ts';

const K1: SlotKey = { generation: 1, base: '0000000000000000', fingerprint: 'K1' };
const K2: SlotKey = { generation: 2, base: 'K1', fingerprint: 'K2' };
const K3: SlotKey = { generation: 3, base: 'K2', fingerprint: 'K3' };

function boot(...slots: SlotPair): RotationState {
  return stepRotation(unbootedRotation(), { kind: 'booted', slots }).state;
}

/** Feeds events; answers the last step. */
function feed(state: RotationState, ...events: RotationEvent[]): RotationStep {
  let last: RotationStep = { state, effects: [] };
  for (const event of events) last = stepRotation(last.state, event);
  return last;
}

const wanted = (generation: number, base: string, source: 'self' | 'offer' | 'manual' = 'self'): RotationEvent => ({
  kind: 'wanted',
  generation,
  base,
  source,
  recovery: false,
});
const candidate = (key: SlotKey): RotationEvent => ({ kind: 'candidate', ...key });
const revoked = (fingerprint: string): RotationEvent => ({ kind: 'revoked', fingerprint });
const accepted = (fingerprint: string): RotationEvent => ({ kind: 'accepted', fingerprint });

describe('boot', () => {
  const bumped = { ...K1, generation: 4 };
  test.each([
    ['nothing valid', [null, null], 'EMPTY', null, null, false],
    ['one key twice', [K1, K1], 'SETTLED', 'K1', null, true],
    ['one valid slot, the first', [K1, null], 'SETTLED', 'K1', null, false],
    ['one valid slot, the second', [null, K1], 'SETTLED', 'K1', null, false],
    ['two keys', [K1, K2], 'PROVING', 'K1', 'K2', false],
    ['two keys the other way', [K2, K1], 'PROVING', 'K1', 'K2', false],
    ['one key under two generations', [K1, bumped], 'SETTLED', 'K1', null, false],
    ['no slots at all', [], 'EMPTY', null, null, false],
  ])('agent: boots with %s → the phase that follows', (_name, slots, phase, base, other, mirrored) => {
    const state = boot(...(slots as SlotPair));
    expect([state.phase, state.base?.fingerprint ?? null, state.candidate?.fingerprint ?? null]).toEqual([
      phase,
      base,
      other,
    ]);
    expect(state.mirrored).toBe(mirrored);
  });

  test('agent: a slot record with its key in it → the key is not in the state', () => {
    const withKey = { ...K1, key: 'secret' } as SlotKey;
    expect(JSON.stringify(boot(withKey, null))).not.toContain('secret');
  });

  test('agent: one of two slots torn → mirrored again when it wakes', () => {
    const { state, effects } = feed(boot(K1, null), { kind: 'due' });
    expect(effects).toEqual([{ kind: 'mirror', fingerprint: 'K1' }]);
    expect(feed(state, { kind: 'written', slots: [K1, K1] }).state).toMatchObject({ phase: 'SETTLED', mirrored: true });
  });
});

test('agent: one rotation by itself → mint, stage, register, report, report PROVEN, mirror', () => {
  const mint = feed(boot(K1, K1), wanted(2, 'K1'));
  expect(mint.effects).toEqual([{ kind: 'mint', generation: 2, base: 'K1' }]);
  const stage = feed(mint.state, candidate(K2));
  expect(stage.effects).toEqual([{ kind: 'stage', record: K2 }]);
  const staged = feed(stage.state, { kind: 'written', slots: [K1, K2] });
  expect(staged.state.phase).toBe('STAGED');
  expect(fingerprintToSend(staged.state)).toBe('K1');
  expect(staged.effects[0]).toEqual({ kind: 'register', record: K2, by: 'K1', recovery: false });
  const proving = feed(staged.state, { kind: 'registered', fingerprint: 'K2' });
  expect(proving.effects).toEqual([{ kind: 'report', by: 'K2', phase: 'PROVING', generation: 2 }]);
  const proven = feed(proving.state, accepted('K2'));
  expect(proven.effects).toEqual([{ kind: 'report', by: 'K2', phase: 'PROVEN', generation: 2 }]);
  const settled = feed(proven.state, { kind: 'settled', generation: 2 });
  expect(settled.effects).toEqual([{ kind: 'mirror', fingerprint: 'K2' }]);
  const done = feed(settled.state, { kind: 'written', slots: [K2, K2] });
  expect(done.state).toMatchObject({ phase: 'SETTLED', base: K2, candidate: null, mirrored: true });
});

test.each([
  ['offer', [{ kind: 'ask', generation: 2, by: 'K1' }]],
  ['manual', []],
] as const)('agent: a wish whose key comes by %s → what it does', (source, effects) => {
  expect(feed(boot(K1, K1), wanted(2, 'K1', source)).effects).toEqual(effects);
});

describe('what is ignored', () => {
  const proving = boot(K1, K2);
  test.each([
    ['a wish as old as the candidate, on another base', wanted(2, 'K0')],
    ['a wish older than the candidate', wanted(1, 'K1')],
    ['a wish on a base nobody has', wanted(9, 'K9')],
    ['an offer as old as the candidate, even the same', candidate(K2)],
    ['an offer on a base nobody has', candidate({ generation: 9, base: 'K9', fingerprint: 'K10' })],
    ['a revocation of a stranger', revoked('K9')],
    ['settled, before it was proven', { kind: 'settled', generation: 2 } as const],
    ['a way to recover, while it is not lost', { kind: 'recoverable', generation: 9, base: 'K1' } as const],
  ])('agent: in PROVING %s → nothing', (_name, event) => {
    const after = feed(proving, event);
    expect(after.effects).toEqual([]);
    expect(after.state).toEqual(proving);
  });

  test.each([revoked('K1'), candidate(K3), { kind: 'due' } as const, { kind: 'failed' } as const])(
    'agent: %o while a slot is being written → nothing',
    (event) => {
      const writing = feed(boot(K1, K1), wanted(2, 'K1'), candidate(K2)).state;
      expect(feed(writing, event)).toEqual({ state: writing, effects: [] });
    },
  );
});

describe('where the candidate goes', () => {
  test('agent: a newer generation on the base → over the candidate, which that revokes', () => {
    const next = { generation: 3, base: 'K1', fingerprint: 'K3' };
    expect(feed(boot(K1, K2), candidate(next)).effects).toEqual([{ kind: 'stage', record: next }]);
  });

  test('agent: a newer generation on the candidate → over the base, and what the base was told no longer counts', () => {
    const after = feed(boot(K1, K2), revoked('K1'), candidate(K3), { kind: 'written', slots: [K3, K2] });
    expect(after.state).toMatchObject({ phase: 'STAGED', base: K2, candidate: K3, baseRefused: false });
  });

  test('agent: the write fails and leaves the old pair → goes on with that', () => {
    const after = feed(boot(K1, K2), candidate(K3), { kind: 'written', slots: [K1, K2] });
    expect(after.state).toMatchObject({ phase: 'PROVING', candidate: K2 });
    expect(after.effects).toMatchObject([{ kind: 'wake' }]);
  });

  test('agent: the write fails and leaves one key → settled on it, and waits before it writes again', () => {
    const after = feed(boot(K1, K1), candidate(K2), { kind: 'written', slots: [K1, null] });
    expect(after.state).toMatchObject({ phase: 'SETTLED', base: K1, mirrored: false });
    expect(after.effects).toMatchObject([{ kind: 'wake' }]);
  });
});

describe('refusals', () => {
  test('agent: unknown, timeouts, whatever → both keys kept, in turns, later and later', () => {
    let state = boot(K1, K2);
    const delays: number[] = [];
    const used: (string | null)[] = [];
    for (let time = 0; time < 40; time++) {
      used.push(fingerprintToSend(state));
      const unknown = { kind: 'unknown', fingerprint: used.at(-1) as string } as const;
      const after = feed(state, time % 3 === 0 ? { kind: 'failed' } : unknown);
      for (const effect of after.effects) if (effect.kind === 'wake') delays.push(effect.delayMsMax);
      state = after.state;
    }
    expect(state).toMatchObject({ phase: 'PROVING', base: K1, candidate: K2 });
    expect(used.slice(0, 4)).toEqual(['K2', 'K1', 'K2', 'K1']);
    expect(delays).toHaveLength(40);
    expect(delays).toEqual([...delays].sort((one, other) => one - other));
    expect(delays.at(-1)).toBe(BACK_OFF_MS_MAX);
  });

  test('agent: key_revoked of the candidate → back on the base, and its generation is not taken again', () => {
    const dropped = feed(boot(K1, K2), revoked('K2'));
    expect(dropped.effects).toEqual([{ kind: 'mirror', fingerprint: 'K1' }]);
    const settled = feed(dropped.state, { kind: 'written', slots: [K1, K1] }).state;
    expect(settled.phase).toBe('SETTLED');
    expect(feed(settled, wanted(2, 'K1')).effects).toEqual([]);
    expect(feed(settled, wanted(3, 'K1')).effects).toMatchObject([{ kind: 'mint' }]);
  });

  test('agent: rolled back after it was proven → back on the base', () => {
    const after = feed(boot(K1, K2), accepted('K2'), revoked('K2'), { kind: 'written', slots: [K1, K1] });
    expect(after.state).toMatchObject({ phase: 'SETTLED', base: K1, candidate: null });
  });

  test('agent: key_revoked of the base → never sent again in this boot, its record kept', () => {
    const { state } = feed(boot(K1, K2), { kind: 'failed' }, revoked('K1'));
    expect(state).toMatchObject({ phase: 'PROVING', base: K1 });
    for (let after = state, time = 0; time < 5; time++, after = feed(after, { kind: 'failed' }).state) {
      expect(fingerprintToSend(after)).toBe('K2');
    }
  });

  test('agent: PROVEN → the base is not used again in this boot, whatever comes', () => {
    let state = feed(boot(K1, K2), { kind: 'failed' }, accepted('K2')).state;
    const storm: RotationEvent[] = [{ kind: 'failed' }, { kind: 'unknown', fingerprint: 'K2' }, { kind: 'due' }];
    for (const event of [...storm, wanted(2, 'K1'), accepted('K1'), ...storm]) {
      const after = feed(state, event);
      for (const effect of after.effects) if ('by' in effect) expect(effect.by).not.toBe('K1');
      state = after.state;
    }
    expect(state).toMatchObject({ phase: 'PROVEN', base: K1, candidate: K2 });
  });

  test('agent: the base cannot be dropped, the medium takes no write → PROVEN, and the base is not used again', () => {
    const proven = feed(boot(K1, K2), accepted('K2')).state;
    for (const ends of [{ kind: 'settled', generation: 2 } as const, revoked('K1')]) {
      const dropping = feed(proven, ends);
      expect(dropping.effects).toEqual([{ kind: 'mirror', fingerprint: 'K2' }]);
      const kept = feed(dropping.state, { kind: 'written', slots: [K1, K2] });
      expect(kept.state).toMatchObject({ phase: 'PROVEN', base: K1, candidate: K2 });
      expect(kept.effects.map((one) => one.kind)).toEqual(['wake']);
      expect(fingerprintToSend(kept.state)).toBe('K2');
      const again = feed(kept.state, { kind: 'failed' }, { kind: 'due' }, ends);
      expect(again.effects).toEqual([{ kind: 'mirror', fingerprint: 'K2' }]);
      expect(feed(again.state, { kind: 'written', slots: [K2, K2] }).state.phase).toBe('SETTLED');
    }
  });
});

describe('LIMBO', () => {
  const lost = feed(boot(K1, K1), revoked('K1')).state;

  test('agent: its only key is revoked → LIMBO, nothing erased, asks again slowly, sends no uploads', () => {
    expect(lost).toMatchObject({ phase: 'LIMBO', base: K1 });
    expect(fingerprintToSend(lost)).toBeNull();
    expect(feed(lost, { kind: 'due' }).effects).toMatchObject([{ kind: 'report', by: 'K1' }]);
  });

  test('agent: both keys are revoked → LIMBO with both records kept', () => {
    const { state, effects } = feed(boot(K1, K2), revoked('K1'), revoked('K2'));
    expect(state).toMatchObject({ phase: 'LIMBO', base: K1, candidate: K2 });
    expect(effects.map((one) => one.kind)).toEqual(['wake']);
  });

  test('agent: the server would take a recovery → mints, and registers with the recovery proof alone', () => {
    const mint = feed(lost, { kind: 'recoverable', generation: 5, base: 'K1' });
    expect(mint.effects).toEqual([{ kind: 'mint', generation: 5, base: 'K1' }]);
    const key = { generation: 5, base: 'K1', fingerprint: 'K5' };
    const staged = feed(mint.state, candidate(key), { kind: 'written', slots: [K1, key] });
    expect(staged.effects[0]).toEqual({ kind: 'register', record: key, by: null, recovery: true });
  });

  test('agent: a key works again, or a new one is provisioned → out of LIMBO', () => {
    expect(feed(lost, accepted('K1')).state.phase).toBe('SETTLED');
    expect(feed(feed(boot(K1, K2), revoked('K1'), revoked('K2')).state, accepted('K2')).state).toMatchObject({
      phase: 'PROVING',
      baseRefused: false,
    });
    expect(feed(lost, { kind: 'provisioned', slots: [K3, K3] }).state).toMatchObject({ phase: 'SETTLED', base: K3 });
  });
});

test('agent: quarantined, told again after a boot → registers with the recovery proof', () => {
  const event: RotationEvent = { kind: 'wanted', generation: 2, base: 'K1', source: 'self', recovery: true };
  expect(feed(boot(K1, K2), event).effects).toEqual([{ kind: 'register', record: K2, by: 'K1', recovery: true }]);
});

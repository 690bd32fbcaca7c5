import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RotationEvent, type RotationState, type SlotKey, stepRotation, unbootedRotation } from '#sdk/core';
import { type Interpreter, literal, onEachInterpreter } from './testing/interpreters.ts';

/** Chances that repeat for a seed. */
function chances(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % below;
  };
}

const PRINTS = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb', 'cccccccccccccccc', '0000000000000000'];

/** A walk through whatever can happen to an agent, sensible or not. */
function walk(seed: number, steps: number): RotationEvent[] {
  const next = chances(seed);
  const print = () => PRINTS[next(PRINTS.length)] as string;
  const key = (): SlotKey => ({ generation: next(4), base: print(), fingerprint: print() });
  const slot = (): SlotKey | null => (next(4) === 0 ? null : key());
  const event = (): RotationEvent => {
    const generation = next(5);
    switch (next(14)) {
      case 0:
        // A provisioning that left no key in a slot is not one.
        if (next(2) === 0) return { kind: 'provisioned', slots: [slot(), key()] };
        return { kind: 'booted', slots: [slot(), slot()] };
      case 1:
      case 2:
        return { kind: 'written', slots: [slot(), slot()] };
      case 3:
      case 4: {
        const source = (['self', 'offer', 'manual'] as const)[next(3)] as 'self';
        return { kind: 'wanted', generation, base: print(), source, recovery: next(2) === 0 };
      }
      case 5:
        return { kind: 'recoverable', generation, base: print() };
      case 6:
        return { kind: 'candidate', generation, base: print(), fingerprint: print() };
      case 7:
        return { kind: 'registered', fingerprint: print() };
      case 8:
        return { kind: 'accepted', fingerprint: print() };
      case 9:
        return { kind: 'settled', generation };
      case 10:
        return { kind: 'revoked', fingerprint: print() };
      case 11:
        return { kind: 'unknown', fingerprint: print() };
      case 12:
        return { kind: 'failed' };
      default:
        return { kind: 'due' };
    }
  };
  return [{ kind: 'booted', slots: [slot(), slot()] }, ...Array.from({ length: steps }, event)];
}

const asTuple = (slot: SlotKey | null) => slot && [slot.generation, slot.base, slot.fingerprint];

/** The state in the words of the Python agent. */
function stateWords(state: RotationState): unknown[] {
  const { phase, base, candidate, mirrored, turn, baseRefused, recovery, highestGeneration, writing, failures } = state;
  const flags = [mirrored, turn, baseRefused, recovery];
  return [phase, asTuple(base), asTuple(candidate), ...flags, highestGeneration, writing, failures];
}

function effectWords(effect: ReturnType<typeof stepRotation>['effects'][number]): unknown[] {
  switch (effect.kind) {
    case 'stage':
      return ['stage', ...(asTuple(effect.record) as unknown[])];
    case 'mirror':
      return ['mirror', effect.fingerprint];
    case 'mint':
      return ['mint', effect.generation, effect.base];
    case 'ask':
      return ['ask', effect.generation, effect.by];
    case 'register':
      return ['register', asTuple(effect.record), effect.by, effect.recovery];
    case 'report':
      return ['report', effect.by, effect.phase, effect.generation];
    case 'wake':
      return ['wake', effect.delayMsMax];
  }
}

onEachInterpreter('the rotation agent beside the one of sdk/core', (open) => {
  let python: Interpreter;

  beforeAll(async () => {
    python = await open();
  });
  afterAll(() => python.close());

  test.each(Array.from({ length: 20 }, (_, index) => index + 1))(
    'seed %i: 200 events of every kind, repeats and nonsense among them → the same states and effects',
    async (seed) => {
      const events = walk(seed, 200);
      let state = unbootedRotation();
      const expected = events.map((event) => {
        const step = stepRotation(state, event);
        state = step.state;
        return [stateWords(state), step.effects.map(effectWords)];
      });
      const given = events.map((event) => ({
        ...event,
        ...('slots' in event ? { slots: event.slots.map(asTuple) } : {}),
      }));
      const seen = JSON.parse(await python.run(`print(testkit.show(testkit.walked(${literal(given)})))`));
      for (const [index, event] of events.entries()) {
        expect(seen[index], `seed ${seed}, event ${index}: ${JSON.stringify(event)}`).toEqual(expected[index]);
      }
    },
  );
});

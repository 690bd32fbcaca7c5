import { build } from 'esbuild';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  DEVICE_ROWS,
  DEVICE_TABLE,
  parseDeviceRow,
  ROTATION_ACTIONS,
  ROTATION_GUARDS,
  type RotationEvent,
  type RotationState,
  stepRotationWith,
  unbootedRotation,
} from '#sdk/core';
import { espruinoOptions } from './espruino-build.ts';
import { LEFT_OUT, leanRows, SHORT_WORDS } from './espruino-table.ts';

type Step = (state: unknown, event: unknown) => { state: Record<string, unknown>; effects: Record<string, unknown>[] };
let lean: { step: Step; unbooted: () => unknown };

beforeAll(async () => {
  const { entryPoints: _entry, banner: _banner, ...options } = espruinoOptions(false);
  const { outputFiles } = await build({
    ...options,
    bundle: true,
    write: false,
    stdin: {
      contents: `import { stepRotation } from './core/rotation/agent.ts'; import { unbootedRotation } from './core/rotation/state.ts';
        $x.step = stepRotation; $x.unbooted = unbootedRotation;`,
      resolveDir: new URL('.', import.meta.url).pathname,
    },
  });
  const found = {} as typeof lean;
  new Function('$x', outputFiles[0]?.text ?? '')(found);
  lean = found;
});

const words = new Map([...SHORT_WORDS].map(([word, number]) => [number, word]));
/** Fields that hold a word of the rotation; all else is data. */
const WORDY = ['kind', 'phase', 'turn', 'source'];

function shortOf(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => shortOf(one));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, shortOf(one, name)]));
  }
  return WORDY.includes(key) ? SHORT_WORDS.get(value as string) : value;
}

function longOf(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => longOf(one));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, longOf(one, name)]));
  }
  return WORDY.includes(key) ? words.get(value as number) : value;
}

/** Without what a device of this kind has nothing to say of. */
function comparable(step: { state: object; effects: object[] }) {
  const { recovery: _none, ...state } = step.state as RotationState;
  const effects = step.effects.map((effect) => {
    const { kind, record } = effect as { kind: string; record?: unknown };
    return kind === 'register' ? { kind, record } : effect;
  });
  return { state, effects };
}

const FINGERPRINTS = ['A', 'B', 'C', 'D'];

function randomEvent(draw: (below: number) => number): RotationEvent {
  const fingerprint = FINGERPRINTS[draw(4)] as string;
  const base = FINGERPRINTS[draw(4)] as string;
  const generation = draw(6);
  const slot = () =>
    draw(4) === 0
      ? null
      : { generation: draw(6), base: FINGERPRINTS[draw(4)] as string, fingerprint: FINGERPRINTS[draw(4)] as string };
  const events: RotationEvent[] = [
    { kind: 'booted', slots: [slot(), slot()] },
    { kind: 'written', slots: [slot(), slot()] },
    { kind: 'wanted', generation, base, source: 'offer', recovery: false },
    { kind: 'candidate', generation, base, fingerprint },
    { kind: 'registered', fingerprint },
    { kind: 'accepted', fingerprint },
    { kind: 'settled', generation },
    { kind: 'revoked', fingerprint },
    { kind: 'unknown', fingerprint },
    { kind: 'failed' },
    { kind: 'due' },
  ];
  // Boots less often than the rest, so that states are reached that take many steps.
  return events[draw(8) === 0 ? draw(11) : 1 + draw(10)] as RotationEvent;
}

describe('the compiled table', () => {
  test('rows: the product’s own, in their order, less those this device can never follow', () => {
    const left = DEVICE_TABLE.map(parseDeviceRow).filter(
      (row) => row.guards.includes('bySelf') || row.actions.includes('mint'),
    );
    expect(left.map(({ events }) => events)).toEqual([['wanted'], ['recoverable']]);
    expect(leanRows()).toHaveLength(DEVICE_ROWS.count - left.length);
    // What asks for a guard that always holds here, and what is left out of a row, are named one by one.
    expect(LEFT_OUT).toEqual({
      guards: ['bySelf'],
      rowsWithActions: ['mint'],
      actions: ['recover'],
      trueGuards: ['byOffer'],
    });
  });

  test('steps: 40,000 random events, twelve seeds → the same state and effects as the product’s table gives', () => {
    const rows = leanRows();
    const machine = {
      rows: { count: rows.length, at: (i: number) => rows[i] as never },
      guards: ROTATION_GUARDS,
      actions: ROTATION_ACTIONS,
    };
    const seen = new Set<string>();
    for (let seed = 1; seed <= 12; seed++) {
      let chance = seed;
      const draw = (below: number) => {
        chance = (chance * 48271) % 2147483647;
        return chance % below;
      };
      let state = unbootedRotation();
      for (let i = 0; i < 3_400; i++) {
        const event = randomEvent(draw);
        const product = stepRotationWith(machine, state, event);
        const { state: leanState, effects } = lean.step(shortOf(state), shortOf(event));
        const compiled = comparable({ state: longOf(leanState) as object, effects: longOf(effects) as object[] });
        expect(compiled, `seed ${seed}, event ${i}: ${JSON.stringify(event)} in ${JSON.stringify(state)}`).toEqual(
          comparable(product),
        );
        seen.add(`${state.phase} ${event.kind} ${product.state.phase} ${product.effects.map(({ kind }) => kind)}`);
        state = product.state;
      }
    }
    // Every phase, and most of what can happen in each.
    expect(new Set([...seen].map((one) => one.split(' ')[0])).size).toBe(6);
    expect(seen.size).toBeGreaterThan(60);
  });

  test('canary: another table → told apart', () => {
    const rows = leanRows().filter((row) => !(row.events.includes('candidate') && row.guards.includes('stale')));
    const machine = {
      rows: { count: rows.length, at: (i: number) => rows[i] as never },
      guards: ROTATION_GUARDS,
      actions: ROTATION_ACTIONS,
    };
    const slot = { generation: 5, base: '0', fingerprint: 'A' };
    const { state } = stepRotationWith(machine, unbootedRotation(), { kind: 'booted', slots: [slot, slot] });
    const stale: RotationEvent = { kind: 'candidate', generation: 2, base: 'A', fingerprint: 'B' };
    const other = comparable(stepRotationWith(machine, state, stale));
    const { state: leanState, effects } = lean.step(shortOf(state), shortOf(stale));
    expect(comparable({ state: longOf(leanState) as object, effects: longOf(effects) as object[] })).not.toEqual(other);
  });
});

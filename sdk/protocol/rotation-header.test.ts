import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type DevicePosition,
  formatDevicePosition,
  formatRotationTold,
  parseDevicePosition,
  parseRotationTold,
  type RotationTold,
} from './rotation-header.ts';

const base = fc.stringMatching(/^[0-9a-f]{16}$/);
const generation = fc.integer({ min: 0, max: 0xffffffff });
const told: fc.Arbitrary<RotationTold> = fc.oneof(
  fc.record({ kind: fc.constant('settled' as const), generation }),
  fc.record({ kind: fc.constant('recoverable' as const), generation, base }),
  fc.record({
    kind: fc.constant('wanted' as const),
    generation,
    base,
    source: fc.constantFrom('self' as const, 'offer' as const, 'manual' as const),
    recovery: fc.boolean(),
  }),
);

describe('Fuselink-Rotation', () => {
  test('field: what is told → reads back the same', () => {
    fc.assert(
      fc.property(fc.array(told, { maxLength: 3 }), (items) => {
        expect(parseRotationTold(formatRotationTold(items))).toEqual(items);
      }),
    );
  });

  test.each([
    ['an unknown word', 'resting;gen=3;base=0011223344556677'],
    ['no generation', 'settled'],
    ['a generation past u32', 'settled;gen=4294967296'],
    ['a negative generation', 'settled;gen=-1'],
    ['a short base', 'wanted;gen=2;base=0011;source=self'],
    ['an unknown source', 'wanted;gen=2;base=0011223344556677;source=moon'],
    ['nothing', ''],
  ])('field: %s → nothing is told', (_what, text) => {
    expect(parseRotationTold(text)).toEqual([]);
  });

  test('field: an unknown item beside a known one → the known one is told', () => {
    expect(parseRotationTold('later;gen=9, settled;gen=2')).toEqual([{ kind: 'settled', generation: 2 }]);
  });
});

describe('Fuselink-Device', () => {
  const position: fc.Arbitrary<DevicePosition> = fc.record({
    boot: generation,
    sequence: fc.maxSafeNat(),
    bootTag: fc.stringMatching(/^[0-9a-f]{8,32}$/),
    phase: fc.constantFrom('', 'SETTLED', 'LIMBO'),
  });

  test('field: a position → reads back the same', () => {
    fc.assert(
      fc.property(position, (one) => {
        expect(parseDevicePosition(formatDevicePosition(one))).toEqual(one);
      }),
    );
  });

  test.each([
    '',
    'boot=1;seq=2',
    'boot=1;seq=2;tag=XY',
    'boot=-1;seq=2;tag=00112233',
    'boot=1;seq=2;tag=00112233;phase=x y',
  ])('field: %j → no position', (text) => {
    expect(parseDevicePosition(text)).toBeNull();
  });
});

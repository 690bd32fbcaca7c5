import { describe, expect, test } from 'vitest';
import type { Nvs, NvsError } from './index.ts';
import * as codes from './index.ts';

export interface NvsContractSubject {
  nvs: Nvs;
  /** The same medium, opened again as after a restart. */
  reopen(): Nvs;
}

export interface NvsContractOptions {
  /** A fresh, empty store that can hold `fuselink/slot0` and `fuselink/slot1` at least. */
  make(): NvsContractSubject;
  /** The store takes any namespace and name, not only those two. */
  anyName: boolean;
}

/** The code an action throws with, or a sentence when it does not throw. */
function codeOf(action: () => unknown): number | string {
  try {
    action();
  } catch (error) {
    return (error as NvsError).code ?? String(error);
  }
  return 'nothing was thrown';
}

const blob = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 255);

/** What every backend of the `Nvs` port owes its users, power cuts aside (those are in `powercut.test.ts`). */
export function nvsContract(name: string, options: NvsContractOptions): void {
  describe(`${name}: the NVS contract`, () => {
    test('an empty store: reading → NOT_FOUND, erasing → NOT_FOUND, opening read-only → NOT_FOUND', () => {
      const { nvs } = options.make();
      expect(codeOf(() => nvs.open('fuselink', 'r'))).toBe(codes.NVS_NOT_FOUND);
      const handle = nvs.open('fuselink', 'rw');
      expect(codeOf(() => handle.get('slot0'))).toBe(codes.NVS_NOT_FOUND);
      expect(codeOf(() => handle.erase('slot0'))).toBe(codes.NVS_NOT_FOUND);
    });

    test('set and committed: read back by this handle, another handle and after a restart', () => {
      const { nvs, reopen } = options.make();
      const handle = nvs.open('fuselink', 'rw');
      for (const length of [0, 1, 3, 4, 59, 60, 61, 3000]) {
        handle.set('slot0', blob(length, length));
        handle.commit();
        expect(handle.get('slot0')).toEqual(blob(length, length));
        expect(nvs.open('fuselink', 'r').get('slot0')).toEqual(blob(length, length));
        expect(reopen().open('fuselink', 'rw').get('slot0')).toEqual(blob(length, length));
      }
    });

    test('what is read and what was given share no memory with the store', () => {
      const { nvs } = options.make();
      const handle = nvs.open('fuselink', 'rw');
      const given = blob(60, 1);
      handle.set('slot0', given);
      given[0] = 99;
      handle.commit();
      const read = handle.get('slot0');
      read[1] = 99;
      expect(handle.get('slot0')).toEqual(blob(60, 1));
    });

    test('two names: writing and erasing one leaves the other', () => {
      const { nvs, reopen } = options.make();
      const handle = nvs.open('fuselink', 'rw');
      handle.set('slot0', blob(60, 1));
      handle.set('slot1', blob(60, 2));
      handle.commit();
      handle.set('slot1', blob(44, 3));
      handle.commit();
      expect(handle.get('slot0')).toEqual(blob(60, 1));
      handle.erase('slot0');
      handle.commit();
      const after = reopen().open('fuselink', 'rw');
      expect(codeOf(() => after.get('slot0'))).toBe(codes.NVS_NOT_FOUND);
      expect(after.get('slot1')).toEqual(blob(44, 3));
    });

    test('limits: 15 characters, printable ASCII, 4000 bytes → the codes of ESP-IDF, nothing stored', () => {
      const { nvs } = options.make();
      const handle = nvs.open('fuselink', 'rw');
      expect(codeOf(() => handle.set('sixteen_letters_', blob(1, 1)))).toBe(codes.NVS_KEY_TOO_LONG);
      expect(codeOf(() => nvs.open('sixteen_letters_', 'rw'))).toBe(codes.NVS_KEY_TOO_LONG);
      for (const wrong of ['', 'a b', 'ü', '\n', 'a\u0000']) {
        expect(
          codeOf(() => handle.set(wrong, blob(1, 1))),
          JSON.stringify(wrong),
        ).toBe(codes.NVS_INVALID_NAME);
        expect(
          codeOf(() => handle.get(wrong)),
          JSON.stringify(wrong),
        ).toBe(codes.NVS_INVALID_NAME);
        expect(
          codeOf(() => nvs.open(wrong, 'rw')),
          JSON.stringify(wrong),
        ).toBe(codes.NVS_INVALID_NAME);
      }
      expect(codeOf(() => handle.set('slot0', blob(4001, 1)))).toBe(codes.NVS_VALUE_TOO_LONG);
      handle.commit();
      expect(codeOf(() => handle.get('slot0'))).toBe(codes.NVS_NOT_FOUND);
      handle.set('slot0', blob(4000, 1));
      handle.commit();
      expect(handle.get('slot0')).toEqual(blob(4000, 1));
    });

    test('a read-only handle: reads, and refuses what would change anything with READ_ONLY', () => {
      const { nvs } = options.make();
      const writer = nvs.open('fuselink', 'rw');
      writer.set('slot0', blob(8, 1));
      writer.commit();
      const reader = nvs.open('fuselink', 'r');
      expect(reader.get('slot0')).toEqual(blob(8, 1));
      expect(codeOf(() => reader.set('slot0', blob(8, 2)))).toBe(codes.NVS_READ_ONLY);
      expect(codeOf(() => reader.erase('slot0'))).toBe(codes.NVS_READ_ONLY);
      expect(codeOf(() => reader.commit())).toBe(codes.NVS_READ_ONLY);
      expect(reader.get('slot0')).toEqual(blob(8, 1));
    });

    test('a closed handle: every call → INVALID_HANDLE, the store lives on', () => {
      const { nvs } = options.make();
      const handle = nvs.open('fuselink', 'rw');
      handle.set('slot0', blob(8, 1));
      handle.commit();
      handle.close();
      for (const call of [
        () => handle.get('slot0'),
        () => handle.set('slot0', blob(1, 1)),
        () => handle.erase('slot0'),
        () => handle.commit(),
        () => handle.close(),
      ]) {
        expect(codeOf(call)).toBe(codes.NVS_INVALID_HANDLE);
      }
      expect(nvs.open('fuselink', 'r').get('slot0')).toEqual(blob(8, 1));
    });

    test('ten thousand bytes of updates to one name: it never fills up, the other name stays', () => {
      const { nvs, reopen } = options.make();
      const handle = nvs.open('fuselink', 'rw');
      handle.set('slot1', blob(60, 200));
      for (let i = 0; i < 200; i++) {
        handle.set('slot0', blob(60, i));
        handle.commit();
      }
      const after = reopen().open('fuselink', 'rw');
      expect(after.get('slot0')).toEqual(blob(60, 199));
      expect(after.get('slot1')).toEqual(blob(60, 200));
    });

    test.runIf(options.anyName)('namespaces: the same name in two of them → two values', () => {
      const { nvs } = options.make();
      const one = nvs.open('one', 'rw');
      const two = nvs.open('two', 'rw');
      one.set('name', blob(4, 1));
      two.set('name', blob(4, 2));
      one.commit();
      two.commit();
      expect(one.get('name')).toEqual(blob(4, 1));
      expect(two.get('name')).toEqual(blob(4, 2));
      expect(codeOf(() => nvs.open('three', 'r'))).toBe(codes.NVS_NOT_FOUND);
    });

    test.runIf(!options.anyName)(
      'a name or namespace without a page → NOT_ENOUGH_SPACE, never another one’s page',
      () => {
        const { nvs } = options.make();
        const handle = nvs.open('fuselink', 'rw');
        handle.set('slot0', blob(60, 1));
        expect(codeOf(() => handle.set('slot2', blob(60, 2)))).toBe(codes.NVS_NOT_ENOUGH_SPACE);
        expect(codeOf(() => handle.get('slot2'))).toBe(codes.NVS_NOT_FOUND);
        expect(codeOf(() => nvs.open('other', 'rw'))).toBe(codes.NVS_NOT_ENOUGH_SPACE);
        expect(codeOf(() => nvs.open('other', 'r'))).toBe(codes.NVS_NOT_FOUND);
        expect(handle.get('slot0')).toEqual(blob(60, 1));
      },
    );
  });
}

import { expect, test } from 'vitest';
import { cutFiles } from './cut-files.ts';
import { isPowerCut, type Power, spend, spendAll, steadyPower } from './power.ts';

const bytes = (...values: number[]) => Uint8Array.of(...values);
const list = (found: Uint8Array | null) => Array.from(found ?? []);

test('cut files: appended in many pieces → one file, and what was synced before stays as it was', () => {
  const files = cutFiles(steadyPower(), 4);
  const expected: number[] = [];
  for (let i = 0; i < 300; i++) {
    const piece = Uint8Array.from({ length: (i * 7) % 23 }, (_, at) => i + at);
    files.append('log', piece);
    expected.push(...piece);
    if (i === 150) files.sync('log');
  }
  expect(list(files.read('log'))).toEqual(expected);
  files.syncFolder();
  files.reboot(0);
  expect(list(files.read('log'))).toEqual(expected.slice(0, files.size('log')));
  expect(files.size('log')).toBeLessThan(expected.length);
  expect(files.size('log')).toBeGreaterThan(0);
});

test('cut files: a copy, and both go on appending → neither sees what the other wrote', () => {
  const files = cutFiles(steadyPower(), 4);
  files.append('log', bytes(1, 2, 3, 4));
  files.append('log', bytes(5));
  const copy = files.copy(steadyPower());
  files.append('log', bytes(6, 7));
  copy.append('log', bytes(8, 9, 10));
  files.append('log', bytes(11));
  expect(list(files.read('log'))).toEqual([1, 2, 3, 4, 5, 6, 7, 11]);
  expect(list(copy.read('log'))).toEqual([1, 2, 3, 4, 5, 8, 9, 10]);
});

test('cut files: written over in the middle after a sync, and the power goes → what was synced is back', () => {
  const files = cutFiles(steadyPower(), 4);
  files.append('state', bytes(1, 2, 3, 4, 5, 6));
  files.sync('state');
  files.syncFolder();
  files.write('state', 2, bytes(9, 9));
  expect(list(files.read('state'))).toEqual([1, 2, 9, 9, 5, 6]);
  files.reboot(0);
  expect(list(files.read('state'))).toEqual([1, 2, 3, 4, 5, 6]);
});

test.each([0, 1, 2, 3, 4])(
  'cut files: the power goes after %i of four words → so many are there, and no more',
  (left) => {
    const power = steadyPower();
    const files = cutFiles(power, 4);
    files.append('log', bytes(0));
    power.left = left;
    const write = () => files.append('log', new Uint8Array(16).fill(7));
    if (left < 4) expect(write).toThrow('the power was cut here');
    else write();
    expect(power.dark).toBe(left < 4);
    files.reboot(8);
    expect(files.size('log')).toBe(1 + 4 * left);
  },
);

test('cut files: the disk is full in the middle of a write → the words that fitted are there', () => {
  const files = cutFiles(steadyPower(), 4);
  files.append('log', bytes(1, 2));
  files.bytesMax = 11;
  expect(() => files.append('log', new Uint8Array(16).fill(7))).toThrow('ENOSPC');
  expect(list(files.read('log'))).toEqual([1, 2, 7, 7, 7, 7, 7, 7, 7, 7]);
});

/** The power after so many operations, one by one; null where it went on the way. */
function spentSingly(power: Power, count: number): Power | null {
  try {
    for (let i = 0; i < count; i++) spend(power, () => {});
    return power;
  } catch (error) {
    if (!isPowerCut(error)) throw error;
    return null;
  }
}

test('power: several operations at once → as one by one, and refused whole where one would be cut or is watched', () => {
  for (const left of [-1, 0, 1, 3, 4, 9]) {
    for (const count of [0, 1, 3, 4]) {
      const [once, singly] = [steadyPower(), steadyPower()];
      once.left = left;
      singly.left = left;
      const spent = spendAll(once, count);
      const expected = spentSingly(singly, count);
      expect(spent, `${count} of ${left}`).toBe(expected !== null);
      if (expected === null) expect(once).toMatchObject({ operations: 0, left, dark: false });
      else expect(once).toEqual(expected);
    }
  }
  expect(spendAll({ ...steadyPower(), watch: () => {} }, 1)).toBe(false);
  expect(spendAll({ ...steadyPower(), dark: true }, 1)).toBe(false);
});

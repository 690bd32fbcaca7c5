import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  apiKey,
  cutFiles,
  cutFlash,
  fileNvs,
  flashNvs,
  KEY_FORM_HEX,
  memoryNvs,
  NVS_NOT_ENOUGH_SPACE,
  NVS_NOT_FOUND,
  openSlots,
  SLOT_NAMES,
  steadyPower,
} from './index.ts';
import { nvsContract } from './nvs.contract.ts';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());

nvsContract('memoryNvs', {
  anyName: true,
  make: () => {
    const memory = memoryNvs();
    return { nvs: memory.nvs, reopen: () => fileNvs(memory.files, memory.fileName) };
  },
});

nvsContract('flashNvs', {
  anyName: false,
  make: () => {
    const flash = cutFlash(steadyPower(), 2, 4096);
    const open = () => flashNvs(flash, 'fuselink', SLOT_NAMES);
    return { nvs: open(), reopen: open };
  },
});

const blob = (seed: number) => Uint8Array.from({ length: 60 }, (_, i) => (i * 31 + seed) & 255);

test('flashNvs: any one bit of a page turned over → the name reads as before or as absent, the other as before', () => {
  const flash = cutFlash(steadyPower(), 2, 256);
  const handle = flashNvs(flash, 'fuselink', SLOT_NAMES).open('fuselink', 'rw');
  handle.set('slot0', blob(1));
  handle.set('slot1', blob(2));
  let absent = 0;
  for (let bit = 0; bit < 256 * 8; bit++) {
    flash.flipBit(bit);
    try {
      expect(handle.get('slot0')).toEqual(blob(1));
    } catch (error) {
      expect((error as { code: number }).code).toBe(NVS_NOT_FOUND);
      absent++;
    }
    expect(handle.get('slot1')).toEqual(blob(2));
    flash.flipBit(bit);
  }
  expect(absent).toBe((8 + 60) * 8);
});

test('fileNvs: any one bit of the log turned over → each name reads as one of its values or as absent, updates go on', () => {
  const memory = memoryNvs();
  const handle = memory.nvs.open('fuselink', 'rw');
  for (const seed of [1, 2]) {
    handle.set('slot0', blob(seed));
    handle.set('slot1', blob(10 + seed));
    handle.commit();
  }
  const bits = memory.files.size(memory.fileName) * 8;
  for (let bit = 0; bit < bits; bit++) {
    const files = memory.files.copy(steadyPower());
    files.flipBit(memory.fileName, bit);
    const after = fileNvs(files, memory.fileName).open('fuselink', 'rw');
    let absent = 0;
    for (const [name, offset] of [
      ['slot0', 0],
      ['slot1', 10],
    ] as const) {
      try {
        const value = after.get(name);
        expect([blob(offset + 1), blob(offset + 2)]).toContainEqual(value);
      } catch (error) {
        expect((error as { code: number }).code).toBe(NVS_NOT_FOUND);
        absent++;
      }
    }
    expect(absent).toBeLessThanOrEqual(1);
    after.set('slot0', blob(7));
    after.commit();
    expect(fileNvs(files, memory.fileName).open('fuselink', 'rw').get('slot0')).toEqual(blob(7));
  }
});

test('fileNvs: a log over 64 KiB → written afresh with only what counts', () => {
  const memory = memoryNvs();
  const handle = memory.nvs.open('fuselink', 'rw');
  for (let i = 0; i < 40; i++) {
    handle.set('slot0', new Uint8Array(2000).fill(i));
    handle.commit();
    expect(memory.files.size(memory.fileName)).toBeLessThanOrEqual(65536);
  }
  expect(handle.get('slot0')).toEqual(new Uint8Array(2000).fill(39));
  expect(memory.files.list()).toEqual([memory.fileName]);
});

test('fileNvs: the 65th name → NOT_ENOUGH_SPACE, the 64 others stay', () => {
  const { nvs } = memoryNvs();
  const handle = nvs.open('fuselink', 'rw');
  for (let i = 0; i < 64; i++) handle.set('name' + i, blob(i));
  handle.commit();
  handle.set('one_more', blob(1));
  expect(() => handle.commit()).toThrow(expect.objectContaining({ code: NVS_NOT_ENOUGH_SPACE }));
  handle.set('name0', blob(99));
  handle.commit();
  expect(handle.get('name0')).toEqual(blob(99));
  expect(handle.get('name63')).toEqual(blob(63));
});

test('fileNvs: a sync that failed → what was read before stays true, and nothing unsynced is ever believed', () => {
  const files = cutFiles(steadyPower(), 4);
  const nvs = fileNvs(files, 'nvs');
  const handle = nvs.open('fuselink', 'rw');
  handle.set('slot0', blob(1));
  handle.commit();
  const sync = files.sync;
  files.sync = () => {
    throw Object.assign(new Error('EIO'), { code: 'EIO' });
  };
  handle.set('slot1', blob(2));
  expect(() => handle.commit()).toThrow('EIO');
  // The bytes may sit in a cache that forgot that it is dirty: reading must fail or make them durable first.
  expect(() => handle.get('slot1')).toThrow('EIO');
  files.sync = sync;
  const value = handle.get('slot1');
  files.reboot(0);
  expect(fileNvs(files, 'nvs').open('fuselink', 'rw').get('slot1')).toEqual(value);
  expect(fileNvs(files, 'nvs').open('fuselink', 'rw').get('slot0')).toEqual(blob(1));
});

test.each([0, 4, 40, 84])(
  'append-only file: the disk is full after %i bytes of an update → refused, and what was stored still reads',
  (room) => {
    const files = cutFiles(steadyPower(), 4);
    const slots = openSlots(fileNvs(files, 'nvs'), sha256);
    const first = slots.provision(apiKey(KEY_FORM_HEX, new Uint8Array(32).fill(1)), 1);
    files.bytesMax = files.bytes() + room;
    const stage = () => slots.stage(apiKey(KEY_FORM_HEX, new Uint8Array(32).fill(2)), 2, first.fingerprint);
    for (let tries = 0; tries < 3; tries++) {
      expect(stage).toThrow(/ENOSPC/);
      expect(slots.pair().map((record) => record?.fingerprint)).toEqual([first.fingerprint, first.fingerprint]);
    }
    files.bytesMax = -1;
    expect(stage()).toBe('staged');
  },
);

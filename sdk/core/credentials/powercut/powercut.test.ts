import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { CutFiles, CutFlash, CutSubject, Nvs } from '../index.ts';
import {
  credentialSubject,
  cutFiles,
  cutFlash,
  exploreCuts,
  FILE_VARIANTS,
  FLASH_VARIANTS,
  fileNvs,
  fileNvsMeaning,
  flashNvs,
  flashSlotStore,
  replayCuts,
  SLOT_NAMES,
  steadyPower,
} from '../index.ts';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());

const flashSubject = (openStore: (flash: CutFlash) => Nvs, enrolled: boolean): CutSubject => {
  const medium = cutFlash(steadyPower(), 2, 128);
  const at = (updates: number, on: CutFlash) =>
    credentialSubject({ medium: on, variants: FLASH_VARIANTS, openStore, sha256, updates });
  if (!enrolled) return at(2, medium);
  const subject = at(0, medium);
  subject.drive();
  return at(2, medium);
};
const pages = (flash: CutFlash) => flashNvs(flash, 'fuselink', SLOT_NAMES);

/** What a small device has instead of names and handles: a record at the start of each page. */
const records = (flash: CutFlash): Nvs => {
  const store = flashSlotStore(flash);
  const handle = {
    get: (name: string) => store.read(SLOT_NAMES.indexOf(name)) as Uint8Array,
    set: (name: string, blob: Uint8Array) => store.write(SLOT_NAMES.indexOf(name), blob),
    erase: () => {},
    commit: () => {},
    close: () => {},
  };
  return { open: () => handle };
};

const fileSubject = (openStore: (files: CutFiles) => Nvs, unitBytes: number): CutSubject =>
  credentialSubject({
    medium: cutFiles(steadyPower(), unitBytes),
    variants: FILE_VARIANTS.length,
    openStore,
    sha256,
    updates: 2,
    meaning: (files) => files.meaning(fileNvsMeaning),
  });

test('two flash pages: every cut, every pair and every triple over enrolment and two rotations → a key that works', () => {
  const report = exploreCuts(flashSubject(pages, false), 3);
  expect(report.failures).toEqual([]);
  // 2 pages of provisioning, 2 updates of 2 pages; 17 words and an erase each.
  expect(report.operations).toBe(6 * 18);
  expect(report.schedules).toBeGreaterThan(1_000_000);
});

test('two bare records in flash: every cut, every pair and every triple → a key that works', () => {
  const report = exploreCuts(flashSubject(records, false), 3);
  expect(report.failures).toEqual([]);
  expect(report.operations).toBe(6 * 16);
  expect(report.schedules).toBeGreaterThan(700_000);
});

test.each([
  { unitBytes: 4, depth: 1, operationsMin: 120, schedulesMin: 1_000 },
  { unitBytes: 16, depth: 2, operationsMin: 40, schedulesMin: 100_000 },
  { unitBytes: 64, depth: 3, operationsMin: 20, schedulesMin: 1_000_000 },
])(
  'append-only file: up to $depth cuts at every $unitBytes bytes, torn and out of order across a missing sync → a key that works',
  ({ unitBytes, depth, operationsMin, schedulesMin }) => {
    const report = exploreCuts(
      fileSubject((files) => fileNvs(files, 'nvs'), unitBytes),
      depth,
    );
    expect(report.failures).toEqual([]);
    expect(report.operations).toBeGreaterThan(operationsMin);
    expect(report.schedules).toBeGreaterThan(schedulesMin);
  },
);

test('bench: stores known to brick a device → each is found, and its schedule replays', () => {
  const broken: { name: string; subject: CutSubject }[] = [
    {
      name: 'both slots in one page that is erased to write either',
      subject: flashSubject((flash) => {
        const inner = flashNvs(flash, 'all', ['both']);
        return {
          open: () => {
            const handle = inner.open('all', 'rw');
            const slots = (): Uint8Array => {
              try {
                return handle.get('both');
              } catch {
                return new Uint8Array(120);
              }
            };
            const offset = (name: string) => SLOT_NAMES.indexOf(name) * 60;
            return {
              ...handle,
              get: (name) => slots().slice(offset(name), offset(name) + 60),
              set: (name, bytes) => {
                const all = slots();
                all.set(bytes, offset(name));
                handle.set('both', all);
              },
            };
          },
        };
      }, false),
    },
    {
      name: 'a file store that forgets to sync its log',
      subject: fileSubject((files) => fileNvs({ ...files, sync: () => {} }, 'nvs'), 4),
    },
    {
      name: 'a file store that forgets to sync its folder',
      subject: fileSubject((files) => fileNvs({ ...files, syncFolder: () => {} }, 'nvs'), 4),
    },
    {
      name: 'a file store that overwrites in place',
      subject: fileSubject(
        (files) => ({
          open: () => ({
            get: (name) => {
              const bytes = files.read('in-place');
              const at = SLOT_NAMES.indexOf(name) * 60;
              if (!bytes || bytes.length < at + 60) throw Object.assign(new Error('absent'), { code: 0x1102 });
              return bytes.slice(at, at + 60);
            },
            set: (name, bytes) => {
              const both = files.read('in-place') ?? new Uint8Array(120);
              both.set(bytes, SLOT_NAMES.indexOf(name) * 60);
              files.remove('in-place');
              files.append('in-place', both);
              files.sync('in-place');
              files.syncFolder();
            },
            erase: () => {},
            commit: () => {},
            close: () => {},
          }),
        }),
        4,
      ),
    },
    {
      name: 'a file store that uses what a killed process left in the cache',
      subject: fileSubject((files) => {
        let reads = 0;
        // Syncs only what it wrote itself.
        const lazy = { ...files };
        lazy.append = (name, bytes) => {
          reads++;
          files.append(name, bytes);
        };
        lazy.sync = (name) => {
          if (reads > 0) files.sync(name);
        };
        lazy.syncFolder = () => {
          if (reads > 0) files.syncFolder();
        };
        return fileNvs(lazy, 'nvs');
      }, 32),
    },
  ];
  for (const { name, subject } of broken) {
    const depth = name.includes('killed') ? 2 : 1;
    const report = exploreCuts(subject, depth);
    expect(report.failures.length, name).toBeGreaterThan(0);
    const [failure] = report.failures;
    expect(
      replayCuts(subject, failure!.cuts.slice(0, -1))
        .slice(0, -1)
        .every((said) => said === ''),
      name,
    ).toBe(true);
    let last = '';
    try {
      last = replayCuts(subject, failure!.cuts)[failure!.cuts.length - 1]!;
    } catch (error) {
      last = (error as Error).message;
    }
    expect(last, name).not.toBe('');
  }
});

test('bench: bit rot in one slot between any two operations of a rotation → the other still opens the device', () => {
  const subject = flashSubject(pages, true);
  const operations = exploreCuts(subject, 1).operations;
  expect(operations).toBe(4 * 18);
  const medium = cutFlash(steadyPower(), 2, 128);
  const boot = () => credentialSubject({ medium, variants: FLASH_VARIANTS, openStore: pages, sha256, updates: 0 });
  const settled = boot();
  settled.drive();
  for (let bit = 0; bit < 68 * 8; bit++) {
    const rotten = medium.copy(steadyPower());
    rotten.flipBit(bit);
    const device = credentialSubject({ medium: rotten, variants: 1, openStore: pages, sha256, updates: 2 });
    device.drive();
    expect(device.check()).toBe('');
  }
});

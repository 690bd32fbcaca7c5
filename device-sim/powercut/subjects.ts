import { createHash } from 'node:crypto';
import {
  type CutFiles,
  type CutFlash,
  type CutSubject,
  credentialSubject,
  cutFiles,
  cutFlash,
  cutStorage,
  FILE_VARIANTS,
  FLASH_VARIANTS,
  fileNvs,
  fileNvsMeaning,
  flashNvs,
  type Nvs,
  type Sha256,
  SLOT_NAMES,
  spoolSubject,
  steadyPower,
} from '#sdk/core';

const sha256: Sha256 = (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest());

/** Rotations a device goes through while its power is cut. */
const UPDATES = 2;
const PAGES = 2;
const PAGE_BYTES = 128;

/** A store of a user's, behind the port. The file exports one of these as its default. */
export interface UserStore {
  name: string;
  /** What it keeps its bytes on: two pages of raw flash, or a folder of files. */
  medium: 'flash' | 'files';
  /** Opens the store as at boot. Called anew after every cut, with the medium as the cut left it. */
  open(medium: CutFlash | CutFiles): Nvs;
  /** Flash: how many pages, and how large. */
  pages?: number;
  pageBytes?: number;
}

/** One thing that is put under every cut. */
export interface Trial {
  name: string;
  subject: CutSubject;
  /** Cuts in one schedule: 1 every cut, 2 every pair, 3 every triple. */
  depth: number;
}

function onFlash(open: (flash: CutFlash) => Nvs, pages = PAGES, pageBytes = PAGE_BYTES): CutSubject {
  const medium = cutFlash(steadyPower(), pages, pageBytes);
  return credentialSubject({ medium, variants: FLASH_VARIANTS, openStore: open, sha256, updates: UPDATES });
}

function onFiles(open: (files: CutFiles) => Nvs, unitBytes: number, meaning?: (files: CutFiles) => string): CutSubject {
  const medium = cutFiles(steadyPower(), unitBytes);
  const base = { medium, variants: FILE_VARIANTS.length, openStore: open, sha256, updates: UPDATES };
  return credentialSubject(meaning === undefined ? base : { ...base, meaning });
}

/** The product's own stores and spool. `deep`: also every pair and triple at every word of the file store, for minutes. */
export function ownTrials(deep: boolean): Trial[] {
  const flash = onFlash((pages) => flashNvs(pages, 'fuselink', SLOT_NAMES));
  const files = (unitBytes: number) =>
    onFiles(
      (folder) => fileNvs(folder, 'nvs'),
      unitBytes,
      (folder) => folder.meaning(fileNvsMeaning),
    );
  const spool = (unitBytes: number) => spoolSubject(cutStorage, unitBytes);
  return [
    { name: 'two pages of flash: every cut, pair and triple, mid-erase and torn words', subject: flash, depth: 3 },
    {
      name: `append-only file: every cut${deep ? ', pair and triple' : ''} at every word, torn and out of order`,
      subject: files(4),
      depth: deep ? 3 : 1,
    },
    { name: 'append-only file: every pair, at every 16 bytes', subject: files(16), depth: 2 },
    { name: 'append-only file: every triple, at every 64 bytes', subject: files(64), depth: 3 },
    { name: 'spool: every cut at every 16 bytes', subject: spool(16), depth: 1 },
    ...(deep ? [{ name: 'spool: every pair, at every 64 bytes', subject: spool(64), depth: 2 }] : []),
  ];
}

/** A user's own store, under the cuts of its medium. */
export function trialsOf(store: UserStore): Trial[] {
  if (store.medium === 'flash') {
    const subject = onFlash((flash) => store.open(flash), store.pages ?? PAGES, store.pageBytes ?? PAGE_BYTES);
    return [{ name: `${store.name}: every cut and every pair, mid-erase and torn words`, subject, depth: 2 }];
  }
  const at = (unitBytes: number) => onFiles((files) => store.open(files), unitBytes);
  return [
    { name: `${store.name}: every cut at every word, torn and out of order`, subject: at(4), depth: 1 },
    { name: `${store.name}: every pair, at every 16 bytes`, subject: at(16), depth: 2 },
  ];
}

import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { expect, it } from 'vitest';
import { makeFolderDurably } from './folders.ts';

it('makeFolderDurably: several new levels, again, by a relative path → there, mode 0700', async () => {
  const top = await mkdtemp(join(tmpdir(), 'fuselink-folders-'));
  try {
    makeFolderDurably(join(top, 'a', 'b', 'c'));
    makeFolderDurably(join(top, 'a', 'b', 'c'));
    makeFolderDurably(relative(process.cwd(), join(top, 'd', 'e')));
    for (const path of [['a'], ['a', 'b'], ['a', 'b', 'c'], ['d', 'e']]) {
      expect(((await stat(join(top, ...path))).mode & 0o777).toString(8)).toBe('700');
    }
  } finally {
    await rm(top, { recursive: true, force: true });
  }
});

it('makeFolderDurably: a file is in the way → throws the system’s error', () => {
  expect(() => makeFolderDurably(new URL(import.meta.url).pathname)).toThrow(/EEXIST/);
  expect(() => makeFolderDurably(join(new URL(import.meta.url).pathname, 'below'))).toThrow(/ENOTDIR/);
});

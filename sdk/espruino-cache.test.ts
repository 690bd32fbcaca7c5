import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { madeOnce } from './espruino-cache.ts';

let folder: string;
let made: string[];
const make = (text: string) => {
  made.push(text);
  return `short\n${text}`;
};
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-cache-'));
  made = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('madeOnce', () => {
  test('the same text twice → made once, and the same; another text → made', async () => {
    expect(await madeOnce('a', make, folder)).toBe('short\na');
    expect(await madeOnce('a', make, folder)).toBe('short\na');
    expect(await madeOnce('b', make, folder)).toBe('short\nb');
    expect(made).toEqual(['a', 'b']);
    expect((await readdir(folder)).length).toBe(2);
  });

  test('what was kept is cut off, empty or gone → made again', async () => {
    await madeOnce('abc', make, folder);
    const path = join(folder, (await readdir(folder))[0] as string);
    const whole = await readFile(path, 'utf8');
    for (const damaged of [whole.slice(0, -1), '', 'nonsense']) {
      await writeFile(path, damaged);
      expect(await madeOnce('abc', make, folder)).toBe('short\nabc');
    }
    expect(made).toEqual(['abc', 'abc', 'abc', 'abc']);
  });

  test('a folder that cannot be made → made each time', async () => {
    await writeFile(join(folder, 'file'), '');
    for (let i = 0; i < 2; i++) expect(await madeOnce('a', make, join(folder, 'file/below'))).toBe('short\na');
    expect(made).toEqual(['a', 'a']);
  });
});

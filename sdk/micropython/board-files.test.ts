import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { INTERPRETERS, type Interpreter, literal, UNIX_PORT_MISSING } from './testing/interpreters.ts';

const boards = INTERPRETERS.filter(({ micro }) => micro);

describe.each(boards)('key slots in a board’s files under a power cut ($name)', ({ open }) => {
  let board: Interpreter;
  const value = async (expression: string) => JSON.parse(await board.run(`print(testkit.show(${expression}))`));

  beforeAll(async () => {
    board = await open();
    await board.run('import cut_lives, torn_files');
  });
  afterAll(() => board?.close());

  test('a file system on which nothing is atomic, cut at every change, and again in the life after → never without the key that counts', async () => {
    const found = await value('cut_lives.cut_everywhere(torn_files.Files())');
    expect(found.lost).toEqual([]);
    expect(found.tried).toBeGreaterThan(30);
  });
});

describe.skipIf(UNIX_PORT_MISSING !== null)(
  `key slots on the file systems of the firmware${UNIX_PORT_MISSING === null ? '' : ` (${UNIX_PORT_MISSING})`}`,
  () => {
    let board: Interpreter;
    const value = async (expression: string) => JSON.parse(await board.run(`print(testkit.show(${expression}))`));
    /** The walk of this seed meets the cut that hurts a file system whose rename is two steps. */
    const SEED_OF_CANARY = 5;
    const FILES_OF_CANARY = 11;

    beforeAll(async () => {
      board = await (boards.at(-1) as (typeof boards)[number]).open();
      await board.run(`import sys; sys.path.append(${literal(join(import.meta.dirname, 'testing'))})`);
      await board.run('import cut_lives, cut_blocks');
    });
    afterAll(() => board?.close());

    test.each(['VfsLfs2', 'VfsFat'])(
      '%s: two rotations, the power cut at every write and erase of a block, and again in the life after → never without the key that counts',
      async (kind) => {
        const found = await value(`cut_lives.cut_everywhere(cut_blocks.FileSystem("${kind}"))`);
        expect(found.lost).toEqual([]);
        expect(found.tried).toBeGreaterThan(80);
      },
    );

    test.each(['VfsLfs2', 'VfsFat'])(
      '%s: thirty lives on one medium, each cut, other files between the slots → as good',
      async (kind) => {
        const medium = `cut_blocks.FileSystem("${kind}", ${FILES_OF_CANARY})`;
        const found = await value(`[cut_lives.walk(${medium}, seed) for seed in range(8)]`);
        expect(found).toEqual(Array.from({ length: 8 }, () => null));
      },
    );

    test('VfsFat, written beside and renamed (canary) → keys are lost', async () => {
      await board.run('in_place = fuselink._write_durably; cut_blocks.renaming()');
      const found = await value(
        `cut_lives.walk(cut_blocks.FileSystem("VfsFat", ${FILES_OF_CANARY}), ${SEED_OF_CANARY})`,
      );
      await board.run('fuselink._write_durably = in_place');
      expect(found).toContain('the key of generation');
    });
  },
);

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { INTERPRETERS, type Interpreter, literal, onEachInterpreter } from './testing/interpreters.ts';

const [python3] = INTERPRETERS;

describe.skipIf(python3?.missing !== null)(
  `key slots in files under a power cut (${python3?.missing ?? 'Python'})`,
  () => {
    let python: Interpreter;
    const value = async (expression: string) => JSON.parse(await python.run(`print(testkit.show(${expression}))`));

    beforeAll(async () => {
      python = await (python3 as (typeof INTERPRETERS)[number]).open();
      await python.run(
        `import sys; sys.path.append(${literal(join(import.meta.dirname, 'testing'))}); import cut_disk`,
      );
    });
    afterAll(() => python?.close());

    test('every change to the disk in two rotations, what was unsynced lost, torn or kept → never without the key that counts', async () => {
      const { tried, lost } = await value('cut_disk.cut_everywhere()');
      expect(lost).toEqual([]);
      // Create, truncate, write, sync, rename, sync of the folder: five or six for each of four writes, three times over.
      expect(tried).toBeGreaterThanOrEqual(60);
    });

    test('the same without syncing the file (canary) → keys are lost', async () => {
      const { lost } = await value('cut_disk.cut_everywhere(synced=False)');
      expect(lost.length).toBeGreaterThan(0);
    });
  },
);

onEachInterpreter('key slots', (open) => {
  let python: Interpreter;
  const value = async (expression: string) => JSON.parse(await python.run(`print(testkit.show(${expression}))`));

  beforeAll(async () => {
    python = await open();
    await python.run(`
keys = [fuselink.Key(1, bytes([number]) * 32) for number in (1, 2, 3)]
prints = [key.fingerprint for key in keys]
def look(slots):
    return [record and [record.generation, prints.index(record.fingerprint)] for record in slots.pair()]
`);
  });
  afterAll(() => python.close());

  test('in files: staged beside the base, settled over it, read again by another → the two keys of each moment', async () => {
    await python.run(`
folder = testkit.scratch_folder("slots")
slots = fuselink.Slots(fuselink.FileStore(folder))
seen = [look(slots)]
slots.provision(keys[0], 1)
seen.append(look(slots))
seen.append(slots.stage(keys[1], 2, prints[0]))
seen.append(look(fuselink.Slots(fuselink.FileStore(folder))))
seen.append(slots.settle(prints[1]))
seen.append(look(fuselink.Slots(fuselink.FileStore(folder))))
`);
    const both = (generation: number, key: number) => [
      [generation, key],
      [generation, key],
    ];
    expect(await value('seen')).toEqual([
      [null, null],
      both(1, 0),
      'staged',
      [
        [1, 0],
        [2, 1],
      ],
      true,
      both(2, 1),
    ]);
  });

  test('stale, equal and unfounded generations, an unknown key to settle → nothing is written', async () => {
    await python.run(`
store = testkit.CutStore()
slots = fuselink.Slots(store)
slots.provision(keys[0], 5)
slots.stage(keys[1], 7, prints[0])
before = store.slot_writes
answers = [
    slots.stage(keys[2], 7, prints[0]), slots.stage(keys[2], 5, prints[0]), slots.stage(keys[2], 8, "ff" * 8),
    slots.stage(keys[0], 9, prints[0]), slots.stage(keys[1], 7, prints[0]), slots.settle(prints[2]),
]
`);
    expect(await value('[answers, store.slot_writes - before]')).toEqual([
      ['stale', 'stale', 'base_unknown', 'stale', 'staged', false],
      0,
    ]);
  });

  test('a medium that keeps something else than was written → said, and the other slot is as it was', async () => {
    await python.run(`
class Worn(testkit.CutStore):
    def write(self, name, blob):
        self.blobs[name] = bytes(blob[:59]) + b"\\x00"

store = Worn()
sound = fuselink.Record(1, fuselink.NO_BASE, keys[0]).encode()
store.blobs = {"slot0": sound, "slot1": sound}
refused = testkit.attempt(lambda: fuselink.Slots(store).stage(keys[1], 2, prints[0]))
`);
    expect(JSON.parse(JSON.parse(JSON.stringify(await python.run('print(refused)')))).code).toBe('slot_unwritable');
    expect(await value('store.read("slot0") == sound')).toBe(true);
  });
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Interpreter, literal, onEachInterpreter } from './testing/interpreters.ts';

const vectors = (name: string) =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../core/credentials/vectors', name), 'utf8'));
const NVS_STEPS = vectors('nvs.json') as object[];
const SLOT_STEPS = vectors('slot-steps.json') as {
  answer: unknown;
  slot0: string;
  slot1: string;
}[];

/** The life after a cut is itself cut at every so many-th change; `nvs.long.test.ts` has more of them. */
const STRIDE = 30;

onEachInterpreter('credentials in ESP32’s NVS', (open, micro) => {
  let python: Interpreter;
  const value = async (expression: string) => JSON.parse(await python.run(`print(testkit.show(${expression}))`));

  beforeAll(async () => {
    python = await open();
    await python.run('import cut_lives, fake_esp32, nvs_flash');
  });
  afterAll(() => python?.close());

  test('the steps every NVS-style store agrees on, on flash as ESP-IDF lays it out → the same bytes, the same refusals', async () => {
    await python.run('fake_esp32.boot()');
    expect(await value(`testkit.nvs_steps(fake_esp32.NVS, ${literal(NVS_STEPS)})`)).toEqual([]);
    // The same store after a reset: all of it is in the flash.
    await python.run('fake_esp32.boot(fake_esp32.NVS.partition.flash)');
    expect(await value(`testkit.nvs_steps(fake_esp32.NVS, ${literal(NVS_STEPS.slice(-3))})`)).toEqual([]);
  });

  test.each(['fuselink.NvsStore()', 'fuselink.FileStore(testkit.scratch_folder("steps"))'])(
    '%s: the steps of the slots → the answers and the bytes of the other clients',
    async (store) => {
      await python.run('fake_esp32.boot()');
      const seen = await value(`testkit.slot_steps(${store}, ${literal(SLOT_STEPS)})`);
      expect(seen).toEqual(SLOT_STEPS.map(({ answer, slot0, slot1 }) => [answer, slot0, slot1]));
    },
  );

  test.runIf(!micro).each([
    ['room in the page', 0, 0],
    ['a page that fills up', 36, 0],
    ['a page that is compacted', 76, 1],
  ])(
    'two rotations, %s, the power cut at every write and erase, and again in the life after → never without the key that counts',
    async (_what, fill, erased) => {
      const found = await value(`cut_lives.cut_everywhere(fake_esp32.Nvs(${fill}), ${STRIDE})`);
      expect(found).toMatchObject({ lost: [], erased });
      expect(found.tried).toBeGreaterThan(100);
    },
  );

  test.runIf(!micro)('both slots written in one go (canary) → keys are lost', async () => {
    expect((await value('cut_lives.cut_everywhere(fake_esp32.OneGo(), 1000)')).lost.length).toBeGreaterThan(0);
  });

  test('a firmware that keeps what is set for the commit → nothing that was written is only waiting', async () => {
    await python.run(`
flash = fake_esp32.boot(lazy=True)
slots = fuselink.Slots(fuselink.NvsStore())
slots.provision(testkit.KEYS[0], 1)
slots.stage(testkit.KEYS[1], 2, testkit.KEYS[0].fingerprint)
fake_esp32.boot(flash)
held = [record and record.generation for record in fuselink.Slots(fuselink.NvsStore()).pair()]
`);
    expect(await value('held')).toEqual([1, 2]);
  });

  test('a full partition → NOT_ENOUGH_SPACE and both keys as they were; with room again → staged; nothing is erased for room', async () => {
    await python.run(`
flash = fake_esp32.boot(nvs_flash.Flash(3))
store = fuselink.NvsStore()
slots = fuselink.Slots(store)
slots.provision(testkit.KEYS[0], 1)
names = []
def fill():
    while True:
        store.write("x%d" % len(names), testkit.blob(900 if len(names) < 7 else 20, len(names)))
        names.append("x%d" % len(names))

refused = [testkit.code_of(fill)]
before = [store.read("slot0"), store.read("slot1")]
refused.append(testkit.code_of(lambda: slots.stage(testkit.KEYS[1], 2, testkit.KEYS[0].fingerprint)))
unchanged = before == [store.read("slot0"), store.read("slot1")]
kept = [store.read(name) is not None for name in names]
store.remove(names[0])
store.remove(names[0])
answer = slots.stage(testkit.KEYS[1], 2, testkit.KEYS[0].fingerprint)
`);
    expect(await value('refused')).toEqual(['0x1105', '0x1105']);
    expect(await value('[unchanged, all(kept), answer, store.read(names[0])]')).toEqual([true, true, 'staged', null]);
  });

  test('a partition without a free page → the driver says NO_FREE_PAGES at boot, as the page says what a firmware makes of that', async () => {
    await python.run(`
flash = nvs_flash.Flash(3)
fake_esp32.boot(flash)
fuselink.Slots(fuselink.NvsStore()).provision(testkit.KEYS[0], 1)
# A partition table that gives it one page of the three.
refused = testkit.code_of(lambda: fake_esp32.boot(nvs_flash.Flash(cells=flash.cells[:4096])))
`);
    expect(await value('refused')).toBe('0x110d');
    const page = readFileSync(join(import.meta.dirname, '../profiles/esp32-micropython.md'), 'utf8');
    expect(page).toContain('ESP_ERR_NVS_NO_FREE_PAGES');
  });

  test('more than can be read back at once, a name that is too long → refused before anything is written', async () => {
    await python.run('fake_esp32.boot(); store = fuselink.NvsStore()');
    expect(await value('testkit.code_of(lambda: store.write("big", bytes(1985)))')).toBe('0x110e');
    expect(await value('testkit.code_of(lambda: store.write("sixteen_letters_", b"x"))')).toBe('0x1109');
    expect(await value('[store.read("big"), store.write("big", bytes(1984)), len(store.read("big"))]')).toEqual([
      null,
      null,
      1984,
    ]);
  });
});

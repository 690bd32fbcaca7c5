import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Interpreter, onEachInterpreter } from './testing/interpreters.ts';

/** Of the lives after a cut every so many-th change is cut; where the interpreter is slow, fewer. */
const STRIDE = { python: 3, micro: 20 };

onEachInterpreter('credentials in ESP32’s NVS, pairs of cuts', (open, micro) => {
  let python: Interpreter;

  beforeAll(async () => {
    python = await open();
    await python.run('import cut_lives, fake_esp32');
  });
  afterAll(() => python?.close());

  test.each([
    ['room in the page', 0],
    ['a page that fills up', 36],
    ['a page that is compacted', 76],
  ])('two rotations, %s → never without the key that counts', async (_what, fill) => {
    const found = JSON.parse(
      await python.run(
        `print(testkit.show(cut_lives.cut_everywhere(fake_esp32.Nvs(${fill}), ${micro ? STRIDE.micro : STRIDE.python})))`,
      ),
    );
    expect(found.lost).toEqual([]);
    expect(found.tried).toBeGreaterThan(micro ? 150 : 800);
  });
});

import { expect, test } from 'vitest';
import { Gate } from './gate.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('gate: a thousand at once → sixteen inside, the others in order, each in the end', async () => {
  const gate = new Gate();
  const came: number[] = [];
  const leaves: (() => void)[] = [];
  const all = Array.from({ length: 1000 }, async (_, i) => {
    leaves.push(await gate.enter(1000));
    came.push(i);
  });
  for (let left = 0; left < 1000; ) {
    await turn();
    expect(gate.inside).toBe(Math.min(16, 1000 - left));
    for (const leave of leaves.splice(0)) {
      leave();
      // Leaving twice is leaving once.
      leave();
      left += 1;
    }
  }
  await Promise.all(all);
  expect(gate.inside).toBe(0);
  expect(came).toEqual(Array.from({ length: 1000 }, (_, i) => i));
});

test('gate: backlogs of megabytes → few at once, one larger than all room alone, a small one not before its turn', async () => {
  const gate = new Gate();
  const inside = new Map<string, () => void>();
  const enter = (name: string, bytes: number) => gate.enter(bytes).then((leave) => void inside.set(name, leave));
  void enter('a', 4_194_304);
  void enter('b', 4_194_304);
  void enter('huge', 1_000_000_000);
  void enter('small', 100);
  await turn();
  expect([...inside.keys()]).toEqual(['a', 'b']);
  inside.get('a')?.();
  await turn();
  expect([...inside.keys()]).toEqual(['a', 'b']);
  inside.get('b')?.();
  await turn();
  expect([...inside.keys()]).toEqual(['a', 'b', 'huge']);
  inside.get('huge')?.();
  await turn();
  expect([...inside.keys()]).toEqual(['a', 'b', 'huge', 'small']);
});

import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { Chance } from './chance.ts';
import { Kernel } from './kernel.ts';

const never = () => false;
const breathe = () => {};

test('kernel: happenings out of order → run by time, ties in the order they were asked for, the called-off not at all', async () => {
  const kernel = new Kernel(1000);
  const seen: string[] = [];
  kernel.after(20, () => seen.push('late'));
  kernel.after(10, () => seen.push('first'));
  kernel.after(10, () => seen.push('second'));
  kernel.after(5, () => seen.push('never')).run = null;
  await kernel.run(2000, never, breathe);
  expect(seen).toEqual(['first', 'second', 'late']);
  expect([kernel.events, kernel.nowMs]).toEqual([3, 2000]);
});

test('kernel: what a happening leaves in promises → is run out before the next happening', async () => {
  const kernel = new Kernel(0);
  const seen: string[] = [];
  const slowly = async () => {
    for (let i = 0; i < 50; i++) await Promise.resolve();
    seen.push(`after 50 turns at ${kernel.nowMs}`);
  };
  kernel.after(1, () => {
    kernel.busy = true;
    void slowly();
  });
  kernel.after(2, () => seen.push('next'));
  await kernel.run(10, never, breathe);
  expect(seen).toEqual(['after 50 turns at 1', 'next']);
});

test.each<[string, () => unknown]>([
  ['setTimeout', () => setTimeout(() => {}, 1)],
  ['setImmediate', () => setImmediate(() => {})],
  ['Date.now', () => Date.now()],
  ['new Date', () => new Date()],
  ['performance.now', () => performance.now()],
  ['Math.random', () => Math.random()],
  ['randomBytes', () => randomBytes(4)],
  ['fetch', () => fetch('http://127.0.0.1:1/')],
])('traps: %s in virtual time → throws, and works again afterwards', async (name, touch) => {
  const kernel = new Kernel(0);
  kernel.after(1, () => void touch());
  await expect(kernel.run(10, never, breathe)).rejects.toThrow(/was called while a simulation ran/);
  if (name !== 'fetch') expect(touch).not.toThrow();
  expect(new Date(5).getTime()).toBe(5);
});

test('chance: a seed → the same numbers everywhere', () => {
  const chance = new Chance(7, 'network');
  expect(Array.from({ length: 4 }, () => chance.u32())).toEqual([3516064405, 3328413314, 2741005011, 1397953121]);
});

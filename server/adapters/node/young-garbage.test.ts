import { expect, it } from 'vitest';
import { collectByBytes } from './young-garbage.ts';

const MIB = 1_048_576;

/** A heap whose buffers come to what the test says; a full collection leaves `live` of them. */
function heapOf(live: () => number) {
  const heap = {
    done: [] as string[],
    bytes: 0,
    collect(type: 'minor' | 'major') {
      heap.done.push(type);
      if (type === 'major') heap.bytes = live();
    },
    bufferBytes: () => heap.bytes,
  };
  return heap;
}

it('collectByBytes: buffers that young collections free → a young one each 4 MiB, no full one', () => {
  const heap = heapOf(() => 0);
  const passed = collectByBytes(heap);
  for (let sent = 0; sent < 64 * MIB; sent += 65_536) passed(65_536);
  expect(heap.done).toEqual(Array(16).fill('minor'));
});

it('collectByBytes: buffers grown old pile up → one full collection for each 24 MiB of them', () => {
  const heap = heapOf(() => 2 * MIB);
  const passed = collectByBytes(heap);
  let most = 0;
  for (let sent = 0; sent < 400 * MIB; sent += MIB) {
    heap.bytes += MIB / 2;
    passed(MIB);
    most = Math.max(most, heap.bytes);
  }
  expect(most).toBeLessThanOrEqual(2 * MIB + 26 * MIB);
  expect(heap.done.filter((type) => type === 'major')).toHaveLength(8);
});

it('collectByBytes: many uploads hold their buffers for long → they are not collected for again and again', () => {
  const heap = heapOf(() => heap.bytes);
  const passed = collectByBytes(heap);
  passed(4 * MIB);
  heap.bytes = 100 * MIB;
  for (let sent = 0; sent < 400 * MIB; sent += MIB) passed(MIB);
  expect(heap.done.filter((type) => type === 'major')).toHaveLength(1);
});

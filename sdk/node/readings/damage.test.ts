import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createClient } from '../index.ts';
import { type FakeRelay, fakeRelay } from '../testing/fake-relay.ts';

let relay: FakeRelay;
let folder: string;
beforeEach(async () => {
  relay = await fakeRelay();
  folder = await mkdtemp(join(tmpdir(), 'fuselink-damage-'));
});
afterEach(async () => {
  await relay.close();
  await rm(folder, { recursive: true, force: true });
});

const client = (url: string) =>
  createClient({ url, key: 'good-key', device: 'pump', stateFolder: folder, readings: { gzip: false } });
const COUNT = 400;

async function segments(): Promise<string[]> {
  const names = await readdir(join(folder, 'spool'));
  return names.filter((name) => name.startsWith('lane-1')).map((name) => join(folder, 'spool', name));
}

test.each(['a byte in the middle', 'the whole segment'] as const)(
  'readings: %s damaged on the disk while the process was down → the others arrive, what is missing is counted and told, nothing is fatal',
  async (harm) => {
    const before = client('http://127.0.0.1:1');
    for (let n = 0; n < COUNT; n++) await before.record({ n, pad: 'x'.repeat(300) });
    await before.close();
    const [segment = ''] = await segments();
    const bytes = await readFile(segment);
    const middle = Math.floor(bytes.length / 2);
    if (harm === 'the whole segment') bytes.fill(0xa7);
    else bytes[middle] = (bytes[middle] ?? 0) ^ 0xff;
    await writeFile(segment, bytes);

    const after = client(relay.url);
    let told = 0;
    const warnings: string[] = [];
    after.on('warning', ({ code }) => warnings.push(code));
    after.on('dropped', ({ reason, readings }) => {
      expect(['corrupt', 'lost']).toContain(reason);
      told += readings;
    });
    expect(await after.record({ n: COUNT })).toMatchObject({ kept: true });
    await after.flush();
    const arrived = relay
      .finished()
      .flatMap((held) => relay.content(held).toString().trim().split('\n'))
      .map((line) => (JSON.parse(line) as { n: number }).n);
    expect(arrived.at(-1)).toBe(COUNT);
    expect(new Set(arrived).size).toBe(arrived.length);
    expect(arrived).toEqual([...arrived].sort((a, b) => a - b));
    expect(arrived.length).toBeLessThan(COUNT + 1);
    expect(told).toBe(COUNT + 1 - arrived.length);
    if (harm === 'the whole segment') expect(warnings).toEqual(['spool_damaged']);
    const counted = [...after.metrics().matchAll(/fuselink_readings_dropped_total\{[^}]*\} (\d+)/g)];
    expect(counted.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(told);
    await after.close();
  },
);

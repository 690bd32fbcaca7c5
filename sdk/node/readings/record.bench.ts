/**
 * What keeping a reading costs on this machine, beside what writing it down without any care costs:
 *   npx tsx sdk/node/readings/record.bench.ts [readings, default 40000]
 * Rates are medians of five rounds that take turns, so that a slow moment hits everybody; bytes are those of the kernel
 * (`write_bytes` is the disk's, `wchar` what was written into files), so they hold what file systems and syncs add.
 */
import { appendFile, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReadingLane } from '../api.ts';
import { createClient } from '../index.ts';

const READINGS = Number(process.argv[2] ?? 40_000);
const AT_ONCE = 100;
const ROUNDS = 5;
const READING = JSON.stringify({ n: 1_000_000, celsius: 21.437, pascal: 101_325, note: 'x'.repeat(40) }).padEnd(100);

interface Contender {
  readonly name: string;
  /** Fewer of what waits for the disk each time. */
  readonly readings: number;
  readonly run: (folder: string, readings: number) => Promise<void>;
  readonly rates: number[];
  readonly written: number[];
}

function contender(name: string, readings: number, run: Contender['run']): Contender {
  return { name, readings, run, rates: [], written: [] };
}

function recorded(sync: ReadingLane['sync'], atOnce: number): Contender['run'] {
  return async (folder, readings) => {
    const lane: ReadingLane = { lane: 1, whenFull: 'never-drop', sync, syncIntervalMs: 1000, bytesMax: 1e9 };
    // Nobody is there: what is measured is the keeping.
    const options = { lanes: [lane], ageMsMax: 86_400_000, countMax: 1e9, bytesMax: 1e9 };
    const client = createClient({ url: 'http://127.0.0.1:1', key: 'k', stateFolder: folder, readings: options });
    for (let done = 0; done < readings; done += atOnce) {
      await Promise.all(Array.from({ length: atOnce }, () => client.record(READING)));
    }
    await client.close();
  };
}

const contenders = [
  contender('record(), 100 at once, synced every second', READINGS, recorded('interval', AT_ONCE)),
  contender('record(), one after the other', READINGS / 10, recorded('interval', 1)),
  contender('record(), 100 at once, each durable', READINGS / 4, recorded('every', AT_ONCE)),
  contender('record(), one after the other, each durable', READINGS / 100, recorded('every', 1)),
  contender('baseline: appendFile, one after the other', READINGS / 10, async (folder, readings) => {
    for (let n = 0; n < readings; n++) await appendFile(join(folder, 'log'), `${READING}\n`);
  }),
  contender('baseline: one open file, 100 writes at once', READINGS, async (folder, readings) => {
    const file = await open(join(folder, 'log'), 'a');
    for (let done = 0; done < readings; done += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, () => file.write(`${READING}\n`)));
    }
    await file.close();
  }),
  contender('baseline: the same, fdatasync after each 100', READINGS / 4, async (folder, readings) => {
    const file = await open(join(folder, 'log'), 'a');
    for (let done = 0; done < readings; done += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, () => file.write(`${READING}\n`)));
      await file.datasync();
    }
    await file.close();
  }),
];

/** What this process has written into files so far; 0 where nobody tells. */
async function writtenBytes(): Promise<number> {
  const text = await readFile('/proc/self/io', 'utf8').catch(() => '');
  return Number(/^wchar: (\d+)$/m.exec(text)?.[1] ?? 0);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

for (let round = 0; round < ROUNDS; round++) {
  for (const { readings, run, rates, written } of contenders) {
    const folder = await mkdtemp(join(tmpdir(), 'fuselink-record-bench-'));
    const before = await writtenBytes();
    const startedMs = performance.now();
    await run(folder, readings);
    rates.push((readings * 1000) / (performance.now() - startedMs));
    written.push(((await writtenBytes()) - before) / readings);
    await rm(folder, { recursive: true });
  }
}
console.log(`a reading of ${Buffer.byteLength(READING)} bytes; medians of ${ROUNDS} rounds`);
for (const { name, rates, written } of contenders) {
  const rate = Math.round(median(rates)).toLocaleString('en');
  console.log(
    `${name.padEnd(48)} ${rate.padStart(9)} /s ${median(written).toFixed(1).padStart(8)} B written a reading`,
  );
}

/** For the kill test: records as fast as it can and prints what was acknowledged as durable, until it is killed. */
import { writeSync } from 'node:fs';
import { openSpool } from './spool.ts';

const [folder = '', round = ''] = process.argv.slice(2);
const spool = openSpool({
  folder,
  lanes: [{ lane: 1, whenFull: 'never-drop', sync: 'every', syncIntervalMs: 1000, bytesMax: 1e8 }],
  segmentBytesMax: 4096,
});

const recordForEver = async (worker: number) => {
  for (let i = 0; ; i++) {
    const id = `${round}.${worker}.${i}`;
    const outcome = await spool.record(new Uint8Array(Buffer.from(id)));
    if (outcome.kept && outcome.durable) writeSync(1, `${id}\n`);
  }
};
await Promise.all([0, 1, 2, 3].map(recordForEver));

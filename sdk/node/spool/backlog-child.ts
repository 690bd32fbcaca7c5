/** For the backlog test: opens a large spool, works with it, and prints what it took as JSON. */
import { openSpool } from './spool.ts';

const [folder = '', bytesMax = '0'] = process.argv.slice(2);
const startedMs = performance.now();
const spool = openSpool({
  folder,
  lanes: [{ lane: 1, whenFull: 'drop-oldest', sync: 'interval', syncIntervalMs: 1000, bytesMax: Number(bytesMax) }],
});
const openMs = performance.now() - startedMs;
const payload = new Uint8Array(100).fill(65);
for (let round = 0; round < 50; round++) {
  await Promise.all(Array.from({ length: 200 }, () => spool.record(payload)));
}
let taken = 0;
for (let round = 0; round < 10; round++) {
  const batch = await spool.take(1, { count: 1e9, bytes: 1_000_000 });
  if (!batch) break;
  taken += batch.readings.length;
  spool.acknowledge(batch);
}
const [lane] = spool.stats().lanes;
await spool.close();
// `maxRSS` is in KiB.
const rssBytesMax = process.resourceUsage().maxRSS * 1024;
process.stdout.write(JSON.stringify({ openMs, rssBytesMax, taken, lane }));

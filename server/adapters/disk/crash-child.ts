import { pattern } from '../../ports/blob-bytes.contract.ts';
import { openDiskBlobs } from './blob-store.ts';

/**
 * Writes one blob in odd pieces and prints the offset after each sync, until it is killed (crash.test.ts). After `syncsMax`
 * syncs and a piece more it waits for that; 0: it writes to the end.
 */
const [folder, id, first, total, syncsMax] = process.argv.slice(2) as [string, string, string, string, string];
const bytes = pattern(Number(total));
const store = await openDiskBlobs({ folder });
const writer = await store.openWriter(id, { offset: Number(first) });
let offset = Number(first);
let syncs = 0;
for (let step = 0; offset < bytes.byteLength; step++) {
  const next = Math.min(bytes.byteLength, offset + 1 + ((step * 77_777) % 300_000));
  await writer.write(bytes.slice(offset, next));
  offset = next;
  if (step % 3 === 2) {
    await writer.sync();
    process.stdout.write(`${offset}\n`);
    syncs++;
  } else if (syncs > 0 && syncs === Number(syncsMax)) {
    await new Promise(() => setInterval(() => {}, 60_000));
  }
}
await writer.finish();
process.stdout.write(`${offset}\n`);

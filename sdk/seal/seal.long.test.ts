import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

const GIBIBYTES = 5;

/** Seals and opens, piece after piece, in a process of its own; prints sizes and the highest resident memory. */
const PROGRAM = `
import { createOpener, createSealer, generateKey, nodeCrypto, nodeRandom } from './node.ts';
const piece = new Uint8Array(nodeRandom.bytes(65536));
const count = ${GIBIBYTES} * 16384;
const ops = generateKey(nodeCrypto, nodeRandom, 'x-wing');
const to = { kind: 'recipients', recipients: [ops] };
let peak = 0, early = 0, sealedBytes = 0, openedBytes = 0, wrong = 0;
const sealer = createSealer({ crypto: nodeCrypto, random: nodeRandom }, { to, contentBytes: count * piece.length });
const opener = createOpener(nodeCrypto, { identities: [ops] });
const look = () => { peak = Math.max(peak, process.memoryUsage.rss()); };
const before = process.memoryUsage.rss();
const take = (pieces) => { for (const each of pieces) { openedBytes += each.length; if (each.length > 65536) wrong += 1; } };
for (let at = 0; at < count; at++) {
  for (const sealed of sealer.push(piece)) { sealedBytes += sealed.length; take(opener.push(sealed)); }
  if (at === 16384) early = peak;
  if (at % 256 === 0) { look(); await new Promise(setImmediate); }
}
for (const sealed of sealer.finish()) { sealedBytes += sealed.length; take(opener.push(sealed)); }
const { released, report } = opener.finish();
take(released);
look();
console.log(JSON.stringify({ sealedBytes, openedBytes, contentBytes: report.contentBytes, wrong, grownMegabytes: (peak - before) / 1e6, grownAfterFirstGibibyteMegabytes: (peak - early) / 1e6 }));
`;

it('memory: 5 GiB sealed and opened in one process of small heap → every byte, and resident memory stays flat', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-long-'));
  try {
    const built = await build({
      stdin: { contents: PROGRAM, resolveDir: new URL('.', import.meta.url).pathname, loader: 'ts' },
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
    });
    const path = join(folder, 'flat.mjs');
    await writeFile(path, built.outputFiles[0]!.contents);
    const { stdout } = await promisify(execFile)(process.execPath, ['--max-old-space-size=24', path]);
    const outcome = JSON.parse(stdout) as Record<string, number>;
    const contentBytes = GIBIBYTES * 2 ** 30;
    expect(outcome).toMatchObject({ openedBytes: contentBytes, contentBytes, wrong: 0 });
    expect(outcome['sealedBytes']).toBe(contentBytes + 256 + 16 * (contentBytes / 65_536 + 1) + 75 + 4 + 1168);
    // What grows is not held by us: V8 frees off-heap buffers once some 64 MB of them are garbage, whatever the file's size.
    expect(outcome['grownMegabytes']).toBeLessThan(128);
    expect(outcome['grownAfterFirstGibibyteMegabytes']).toBeLessThan(48);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

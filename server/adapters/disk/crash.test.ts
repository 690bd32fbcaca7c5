import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { digest, pattern, readAll } from '../../ports/blob-bytes.contract.ts';
import { openDiskBlobs } from './blob-store.ts';

const CHILD = new URL('crash-child.ts', import.meta.url).pathname;
const TOTAL_BYTES = 9_000_001;
const KILLS_MAX = 5;
/** A life that is to be killed is killed at the second sync, and does not get past the third, however late the kill is. */
const SYNCS = { kill: 2, max: 3 };

it('disk blobs: killed in the middle of writes, resumed at the last sync, again and again → the whole file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-crash-'));
  try {
    let offset = 0;
    let kills = 0;
    while (offset < TOTAL_BYTES) {
      const syncsMax = kills < KILLS_MAX ? SYNCS.max : 0;
      const args = ['--import', 'tsx', CHILD, folder, 'blob-1', String(offset), String(TOTAL_BYTES), String(syncsMax)];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      const exited = once(child, 'exit');
      let synced = 0;
      for await (const line of createInterface({ input: child.stdout })) {
        offset = Number(line);
        if (++synced === SYNCS.kill && kills < KILLS_MAX) {
          kills++;
          child.kill('SIGKILL');
        }
      }
      await exited;
      const store = await openDiskBlobs({ folder });
      expect(await store.size('blob-1')).toBeGreaterThanOrEqual(offset);
      const found = await readAll(store, 'blob-1', { offset: 0, length: offset });
      expect(digest(found)).toBe(digest(pattern(TOTAL_BYTES).subarray(0, offset)));
      await store.close();
    }
    expect(kills).toBe(KILLS_MAX);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

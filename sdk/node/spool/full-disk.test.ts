import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { Spool, SpoolClock, SpoolNotice } from './index.ts';
import { nodeFileSystem, openSpool } from './index.ts';

const root = mkdtempSync(join(tmpdir(), 'fuselink-full-disk-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;

/** A disk with so much room: ENOSPC beyond it, and what is removed makes room again. */
function smallDisk() {
  const written = new Map<number, number>();
  const disk = {
    room: Number.POSITIVE_INFINITY,
    fileSystem: {
      ...nodeFileSystem,
      write: async (handle: Parameters<typeof nodeFileSystem.write>[0], content: Uint8Array, at: number) => {
        const before = written.get(handle.fd) ?? 0;
        const grows = Math.max(0, at + content.length - before);
        if (grows > disk.room) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        disk.room -= grows;
        written.set(handle.fd, Math.max(before, at + content.length));
        await nodeFileSystem.write(handle, content, at);
      },
      remove: async (path: string) => {
        disk.room += existsSync(path) ? statSync(path).size : 0;
        await nodeFileSystem.remove(path);
      },
    },
  };
  return disk;
}

/** A clock that runs: the pauses between tries pass at once. */
let nowMs = 0;
const clock: SpoolClock = { monotonicMs: () => (nowMs += 2000), wallMs: () => 0, trust: () => 'none' };

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

async function taken(spool: Spool, lane: number): Promise<string[]> {
  const texts: string[] = [];
  for (;;) {
    const batch = await spool.take(lane, { count: 1e9, bytes: 1e9 });
    if (batch === null) return texts;
    texts.push(...batch.readings.map((each) => Buffer.from(each.bytes).toString()));
    spool.acknowledge(batch);
  }
}

describe('a full disk, by the policy of the lane', () => {
  let disk: ReturnType<typeof smallDisk>;
  let notices: SpoolNotice[];
  const openWith = (whenFull: 'drop-oldest' | 'block' | 'never-drop') =>
    openSpool({
      folder: join(root, `spool-${folders++}`),
      lanes: [{ lane: 1, whenFull, sync: 'every', syncIntervalMs: 1000, bytesMax: 65_536 }],
      segmentBytesMax: 512,
      fileSystem: disk.fileSystem,
      clock,
      onNotice: (notice) => notices.push(notice),
    });
  const dropped = (spool: Spool) => spool.stats().lanes[0]?.dropped ?? {};
  const toldFull = () => notices.some((notice) => notice.type === 'fault' && notice.fault.kind === 'full');
  const fill = async (spool: Spool) => {
    await spool.record(bytes('first'));
    disk.room = 3000;
  };

  beforeEach(() => {
    disk = smallDisk();
    notices = [];
  });

  test('drop-oldest → the newest are there, every other one is counted, it is told', async () => {
    const spool = openWith('drop-oldest');
    await fill(spool);
    for (let i = 0; i < 200; i++) await spool.record(bytes(`reading ${i}`));
    const texts = await taken(spool, 1);
    expect(texts.at(-1)).toBe('reading 199');
    expect(texts.length + Object.values(dropped(spool)).reduce((sum, each) => sum + each, 0)).toBe(201);
    expect(toldFull()).toBe(true);
    await spool.close();
  });

  test('never-drop → the oldest stay, each one that is not kept is refused with disk_full and counted, it is told', async () => {
    const spool = openWith('never-drop');
    await fill(spool);
    const kept = ['first'];
    let refused = 0;
    for (let i = 0; i < 200; i++) {
      const outcome = await spool.record(bytes(`reading ${i}`));
      if (outcome.kept) kept.push(`reading ${i}`);
      else {
        expect(outcome.reason).toBe('disk_full');
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(10);
    expect(dropped(spool)).toEqual({ disk_full: refused });
    expect(toldFull()).toBe(true);
    expect(await taken(spool, 1)).toEqual(kept);
    await spool.close();
  });

  test('block → the caller waits, nothing is dropped, and it goes on in order when there is room', async () => {
    const spool = openWith('block');
    await fill(spool);
    const all = Array.from({ length: 100 }, (_, i) => `reading ${i}`);
    let done = 0;
    const recording = Promise.all(all.map((text) => spool.record(bytes(text)).then(() => done++)));
    await expect.poll(toldFull).toBe(true);
    expect(done).toBeLessThan(all.length);
    disk.room = Number.POSITIVE_INFINITY;
    await recording;
    expect(dropped(spool)).toEqual({});
    expect(await taken(spool, 1)).toEqual(['first', ...all]);
    await spool.close();
  });
});

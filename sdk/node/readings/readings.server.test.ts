import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startFlakyProxy } from '../../../test/support/flaky-proxy.ts';
import { seededChance } from '../../../test/support/seeded-bytes.ts';
import { startTestServer, type TestServer } from '../../../test/support/test-server.ts';
import type { FuselinkClient } from '../index.ts';
import { createClient } from '../index.ts';

/** Readings against the real server over a path that loses answers, with the process going down again and again. */
let server: TestServer;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-readings-'));
  server = await startTestServer();
});

afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

interface Row {
  id: string;
  state: string;
  note: string | null;
}

async function transfers(): Promise<Row[]> {
  const rows: Row[] = [];
  let cursor = '';
  for (;;) {
    const answer = await fetch(`${server.url}/v1/transfers?limit=200${cursor}`, {
      headers: { Authorization: `Bearer ${server.accountKey}` },
    });
    const page = (await answer.json()) as { transfers: Row[]; next_cursor: string | null };
    rows.push(...page.transfers.filter(({ state }) => state === 'ready'));
    if (page.next_cursor === null) return rows;
    cursor = `&cursor=${page.next_cursor}`;
  }
}

test.each([1, 2, 3, 4])(
  'readings and server: answers lost, crashes, reboots (seed %i) → the server holds each reading exactly once',
  async (seed) => {
    const chance = seededChance(seed);
    const { key } = await server.device();
    // Some connections lose their answers, some break under way, some live.
    const proxy = await startFlakyProxy(server.port, () => {
      const fate = chance.next(4);
      if (fate === 0) return { cutAfterDownBytes: 1 + chance.next(700) };
      return fate === 1 ? { cutAfterUpBytes: 200 + chance.next(90_000) } : {};
    });
    const links = new Map<string, string>();
    let next = 0;
    const open = (): FuselinkClient => {
      const readings = { countMax: 20 + chance.next(80), mergeBytesMax: 20_000 + chance.next(300_000), gzip: true };
      const client = createClient({ url: proxy.url, key, device: 'pump', stateFolder: folder, readings });
      client.on('batch', ({ id, url }) => void (url !== null && links.set(id, url)));
      return client;
    };
    try {
      for (let boot = 0; boot < 6; boot++) {
        const client = open();
        const count = 50 + chance.next(400);
        for (let i = 0; i < count; i++) {
          const outcome = await client.record({ n: next++, pad: 'x'.repeat(chance.next(200)) });
          expect(outcome.kept).toBe(true);
        }
        if (chance.next(3) === 0) await client.flush();
        // Down in the middle of whatever is under way: answers that come now are heard by nobody.
        await client.close();
      }
      const last = open();
      await last.flush();
      await last.close();
    } finally {
      await proxy.close();
    }
    const rows = await transfers();
    // A sequence in two manifests would be a reading held twice; one in none, a reading lost.
    const ranges = rows
      .map(
        ({ note }) =>
          JSON.parse(note ?? '{}') as { first_sequence: number; last_sequence: number; count: number; missing: number },
      )
      .sort((a, b) => a.first_sequence - b.first_sequence);
    let expected = 1;
    for (const range of ranges) {
      expect(range.first_sequence).toBe(expected);
      expect(range.missing).toBe(0);
      expected = range.last_sequence + 1;
    }
    expect(expected - 1).toBe(next);
    // And what is in the files is what was recorded: those whose links were heard are read.
    const reader = createClient({ url: server.url, stateFolder: null });
    const seen: number[] = [];
    for (const [id, url] of links) {
      if (!rows.some((row) => row.id === id)) continue;
      const direct = new URL(new URL(url).pathname, server.url).href;
      const { path } = await reader.receive(direct, { to: join(folder, `${seen.length}-in`) });
      for (const line of gunzipSync(await readFile(path))
        .toString()
        .trim()
        .split('\n'))
        seen.push((JSON.parse(line) as { n: number }).n);
    }
    await reader.close();
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThan(0);
  },
);

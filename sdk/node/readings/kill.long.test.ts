import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startFlakyProxy } from '../../../test/support/flaky-proxy.ts';
import { seededChance } from '../../../test/support/seeded-bytes.ts';
import { startTestServer, type TestServer } from '../../../test/support/test-server.ts';
import { createClient } from '../index.ts';

let server: TestServer;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-killed-'));
  // Lives that follow each other, each with a budget of its own, start more uploads than one device may.
  server = await startTestServer({ FUSELINK_UPLOADS_PER_MINUTE: '1000' });
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const ROUNDS = 6;
const LIFE_READINGS_MAX = 2000;

interface Manifest {
  first_sequence: number;
  last_sequence: number;
}

async function transfers(): Promise<{ id: string; state: string; note: string | null }[]> {
  const answer = await fetch(`${server.url}/v1/transfers?limit=200&state=ready`, {
    headers: { Authorization: `Bearer ${server.accountKey}` },
  });
  const page = (await answer.json()) as {
    transfers: Awaited<ReturnType<typeof transfers>>;
    next_cursor: string | null;
  };
  expect(page.next_cursor).toBeNull();
  return page.transfers;
}

test('readings: killed (-9) six times while it records and sends, over a path that loses answers → what was durable is on the server exactly once', async () => {
  const chance = seededChance(11);
  const { key } = await server.device();
  const kept = new Map<number, string>();
  const links = new Map<string, string>();
  let connected = () => {};
  let calm = false;
  const proxy = await startFlakyProxy(server.port, () => {
    connected();
    const fate = calm ? 3 : chance.next(4);
    if (fate === 0) return { cutAfterDownBytes: 1 + chance.next(700) };
    return fate === 1 ? { cutAfterUpBytes: 200 + chance.next(20_000) } : {};
  });
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const args = ['--import', 'tsx', join(import.meta.dirname, 'kill-child.ts'), proxy.url, folder, String(round)];
      const env = { ...process.env, FUSELINK_KEY: key };
      const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
      // In the middle of recording, when a request begins, or when an answer has just come.
      let left = round % 3 === 0 ? 100 + chance.next(300) : 1 + chance.next(2);
      const now = () => --left === 0 && child.kill('SIGKILL');
      connected = () => round % 3 === 1 && now();
      for await (const line of createInterface({ input: child.stdout })) {
        const [what, name = '', value = ''] = line.split(' ');
        if (what === 'kept') kept.set(Number(name), value);
        else links.set(name, value);
        // A path that fails for long must not make a life endless.
        if (value.endsWith(`.${LIFE_READINGS_MAX}`)) child.kill('SIGKILL');
        if ((round % 3 === 0 && what === 'kept') || (round % 3 === 2 && what === 'batch')) now();
      }
    }
    calm = true;
    const readings = {
      lanes: [{ lane: 1, whenFull: 'never-drop', sync: 'every', syncIntervalMs: 1000, bytesMax: 1e8 }],
    } as const;
    const last = createClient({ url: proxy.url, key, device: 'pump', stateFolder: folder, readings });
    last.on('batch', ({ id, url }) => void (url !== null && links.set(id, url)));
    await last.flush();
    await last.close();
  } finally {
    await proxy.close();
  }
  expect(kept.size).toBeGreaterThan(300);

  const reader = createClient({ url: server.url, stateFolder: null });
  const held: string[] = [];
  for (const { id, note } of await transfers()) {
    const link = links.get(id);
    if (link === undefined) {
      // Its link died with the life that heard it: what it holds is in its manifest.
      const { first_sequence: from, last_sequence: to } = JSON.parse(note ?? '') as Manifest;
      for (let sequence = from; sequence <= to; sequence++) held.push(kept.get(sequence) ?? `sequence ${sequence}`);
      continue;
    }
    const direct = new URL(new URL(link).pathname, server.url).href;
    const { path } = await reader.receive(direct, { to: join(folder, `${id}.in`) });
    for (const line of gunzipSync(await readFile(path))
      .toString()
      .trim()
      .split('\n')) {
      const { round, i } = JSON.parse(line) as { round: string; i: number };
      held.push(`${round}.${i}`);
    }
  }
  await reader.close();
  const there = new Set(held);
  expect(there.size).toBe(held.length);
  expect([...kept.values()].filter((reading) => !there.has(reading))).toEqual([]);
});

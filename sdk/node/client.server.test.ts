import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startFlakyProxy } from '../../test/support/flaky-proxy.ts';
import { seededBytes, seededChance } from '../../test/support/seeded-bytes.ts';
import { prepareAccount, startServerChild } from '../../test/support/server-child.ts';
import { startTestServer, type TestServer } from '../../test/support/test-server.ts';
import type { ClientOptions, FuselinkClient } from './index.ts';
import { createClient } from './index.ts';

/** The SDK against the real server: what both mean by the wire contract must be one thing. */
let server: TestServer;
let folder: string;
const closing: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-sdk-'));
  server = await startTestServer();
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

function client(url: string, key: string, over: Partial<ClientOptions> = {}): FuselinkClient {
  const made = createClient({ url, key, device: 'pump', stateFolder: join(folder, 'state'), ...over });
  closing.push(() => made.close());
  return made;
}

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function transfers(): Promise<{ state: string; size: number; sha256: string; filename: string }[]> {
  const answer = await fetch(`${server.url}/v1/transfers`, {
    headers: { Authorization: `Bearer ${server.accountKey}` },
  });
  return ((await answer.json()) as { transfers: { state: string; size: number; sha256: string; filename: string }[] })
    .transfers;
}

describe('sdk and server', () => {
  test.each([0, 1, 65_536, 65_537, 1_000_000])(
    'sdk and server: %i bytes sent and received → the same bytes, burned',
    async (size) => {
      const device = await server.device();
      const bytes = seededBytes(size, size + 1);
      const name = 'Größe 100% "a".csv';
      const path = join(folder, name);
      await writeFile(path, bytes);
      const one = client(server.url, device.key);
      const sent = await one.send(path, { recipient: 'öps@example.com', note: 'a\nb', ttlSeconds: 3600 });
      expect(sent).toMatchObject({ sha256: digest(bytes), sizeBytes: size, filename: name });
      expect(Date.parse(sent.expiresAt ?? '')).toBeGreaterThan(Date.now());
      const got = await one.receive(sent.url as string, { to: join(folder, 'in.csv') });
      expect(got).toMatchObject({ filename: name, note: 'a\nb', sha256: digest(bytes) });
      expect((await readFile(got.path)).equals(bytes)).toBe(true);
      expect(await transfers()).toMatchObject([{ state: 'burned', size, sha256: digest(bytes), filename: name }]);
      await expect(one.receive(sent.url as string, { to: join(folder, 'in2') })).rejects.toMatchObject({
        code: 'link_burned',
      });
    },
  );

  test.each([10, 100_000])(
    'sdk and server: burn rule and lifetime with %i bytes → as asked, whichever way it goes up',
    async (size) => {
      const one = client(server.url, (await server.device()).key);
      const sent = await one.send(seededBytes(size, 1), { filename: 'f', burn: 'on-first-byte', ttlSeconds: 600 });
      expect(await transfers()).toMatchObject([{ burn: 'on-first-byte', filename: 'f' }]);
      const secondsLeft = (Date.parse(sent.expiresAt ?? '') - Date.now()) / 1000;
      expect(Math.abs(secondsLeft - 600)).toBeLessThan(60);
    },
  );

  test('sdk and server: streams of unknown length → the very bytes', async () => {
    const one = client(server.url, (await server.device()).key);
    const bytes = seededBytes(5_000_000, 3);
    const parts = [bytes.subarray(0, 4_194_304), bytes.subarray(4_194_304)];
    const sent = await one.send(Readable.from(parts), { filename: 's' });
    expect(sent.sha256).toBe(digest(bytes));
    expect(await transfers()).toMatchObject([{ state: 'ready', size: 5_000_000, sha256: digest(bytes) }]);
  });

  test('sdk and server: a path that keeps cutting, up and down → one transfer, the very bytes', async () => {
    const chance = seededChance(7);
    const proxy = await startFlakyProxy(server.port, (n) => {
      if (n > 30) return {};
      return { cutAfterUpBytes: 150_000 + chance.next(300_000) };
    });
    closing.push(() => proxy.close());
    const one = client(proxy.url, (await server.device()).key);
    const bytes = seededBytes(2_000_000, 9);
    const path = join(folder, 'f.bin');
    await writeFile(path, bytes);
    const sent = await one.send(path);
    expect((await transfers()).map(({ state, sha256 }) => ({ state, sha256 }))).toEqual([
      { state: 'ready', sha256: digest(bytes) },
    ]);
    // Few enough to stay below the bytes a file may be served in all: the server counts what it wrote, not what came.
    const down = await startFlakyProxy(server.port, (n) =>
      n > 3 ? {} : { cutAfterDownBytes: 200_000 + chance.next(300_000) },
    );
    closing.push(() => down.close());
    const link = new URL(new URL(sent.url as string).pathname, down.url).href;
    const got = await one.receive(link, { to: join(folder, 'in.bin') });
    expect((await readFile(got.path)).equals(bytes)).toBe(true);
    expect(await transfers()).toMatchObject([{ state: 'burned' }]);
    expect(proxy.cuts).toBeGreaterThan(4);
    expect(down.cuts).toBe(4);
  });

  test('sdk and server: many small files over a path that loses answers → each exactly once', async () => {
    const chance = seededChance(11);
    const proxy = await startFlakyProxy(server.port, (n) =>
      n % 2 === 0 ? { cutAfterDownBytes: 1 + chance.next(900) } : {},
    );
    closing.push(() => proxy.close());
    const one = client(proxy.url, (await server.device()).key);
    const sent = await Promise.all(
      Array.from({ length: 12 }, (_, i) => one.send(seededBytes(500, i + 1), { filename: `f${i}` })),
    );
    const held = await transfers();
    expect(held.map(({ filename }) => filename).sort()).toEqual(sent.map(({ filename }) => filename).sort());
    expect(new Set(held.map(({ sha256 }) => sha256)).size).toBe(12);
  });

  test('sdk and server: key revoked → key_revoked with its fingerprint for the next request', async () => {
    const device = await server.device();
    const one = client(server.url, device.key);
    await one.send(Buffer.from('x'), { filename: 'x' });
    await server.revoke(device.id);
    const refusals: { code: string; fingerprint: string | null }[] = [];
    one.on('credentialRefused', (refusal) => refusals.push(refusal));
    await expect(one.send(Buffer.from('y'), { filename: 'y' })).rejects.toMatchObject({
      code: 'key_revoked',
      status: 401,
    });
    expect(refusals).toEqual([{ code: 'key_revoked', fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) }]);
  });

  test('sdk and server: limit of uploads met → waits as long as the server says, and all are stored', async () => {
    const limited = await server.restart({ FUSELINK_UPLOADS_PER_MINUTE: '100000', FUSELINK_UPLOADS_IN_FLIGHT: '1' });
    server = limited;
    const one = client(server.url, (await server.device()).key, { parallel: 8 });
    await Promise.all(Array.from({ length: 8 }, (_, i) => one.send(seededBytes(200_000, i), { filename: `f${i}` })));
    expect(await transfers()).toHaveLength(8);
  });
});

describe('sdk and a server that is killed', () => {
  test('sdk and server: kill -9 of the server while a file goes up → goes on after its restart, one transfer', async () => {
    const data = join(folder, 'data');
    const { accountKey } = await prepareAccount(data);
    const first = await startServerChild(data);
    const bytes = seededBytes(40_000_000, 5);
    const path = join(folder, 'big.bin');
    await writeFile(path, bytes);
    const one = client(first.url, accountKey);
    let killed: Promise<void> | null = null;
    let again: Awaited<ReturnType<typeof startServerChild>> | null = null;
    const sending = one.send(path, {
      onProgress: ({ bytes: sent }) => {
        if (sent > 10_000_000 && killed === null) {
          killed = first.kill().then(async () => {
            again = await startServerChild(data, { FUSELINK_PORT: String(first.port) });
          });
        }
      },
    });
    const sent = await sending;
    await killed;
    expect(sent.sha256).toBe(digest(bytes));
    const got = await one.receive(sent.url as string, { to: join(folder, 'back.bin') });
    expect(got.sha256).toBe(digest(bytes));
    await (again as unknown as { stop(): Promise<void> } | null)?.stop();
  });
});

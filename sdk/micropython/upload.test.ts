import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type FlakyProxy, startFlakyProxy } from '../../test/support/flaky-proxy.ts';
import { expectStored, readLink } from '../../test/support/read-back.ts';
import { startTestServer, type TestServer } from '../../test/support/test-server.ts';
import { content, type Interpreter, literal, onEachInterpreter } from './testing/interpreters.ts';

const LARGE_BYTES = 300_000;

onEachInterpreter('uploads to a real server', (open) => {
  let python: Interpreter;
  let server: TestServer;
  let proxy: FlakyProxy | null;
  let key: string;
  const value = async (expression: string) => JSON.parse(await python.run(`print(testkit.show(${expression}))`));
  /** What `client.send(…)` returned, or how it was refused. */
  const send = async (words: string) =>
    JSON.parse(await python.run(`print(testkit.attempt(lambda: client.send(${words})))`));
  const transfers = async () => {
    const listed = await fetch(`${server.url}/v1/transfers`, { headers: { 'X-API-Key': server.accountKey } });
    return ((await listed.json()) as { transfers: { filename: string }[] }).transfers;
  };
  const connected = (url: string, options = '') =>
    python.run(`client = testkit.client(${literal(url)}, key=${literal(key)}, tell=told.append, ${options})`);

  beforeAll(async () => {
    python = await open();
    server = await startTestServer();
    await python.run(`told = []; large = testkit.content(${LARGE_BYTES})`);
  });
  afterAll(async () => {
    await python?.close();
    await server?.close();
  });
  beforeEach(async () => {
    ({ key } = await server.device());
    proxy = null;
  });
  afterEach(() => proxy?.close());

  test.each([0, 1, 4096, 65_536, 65_537, LARGE_BYTES])('%i bytes → the link gives exactly them', async (count) => {
    await connected(server.url);
    const name = 'Mëss %wert.bin';
    const options = `filename=${literal(name)}, recipient="ops@example.com", ttl=3600, note=${literal('ä\u2028b')}`;
    const sent = await send(`testkit.content(${count}), ${options}`);
    await expectStored(server, sent, { content: content(count), name });
  });

  test('a path, an open file and a pipe → the link gives exactly what was in them', async () => {
    await connected(server.url);
    await python.run(`place = testkit.scratch("sent.bin", large)`);
    for (const [from, name] of [
      ['place', 'sent.bin'],
      ['open(place, "rb")', 'data.bin'],
      ['testkit.Pipe(large)', 'data.bin'],
    ]) {
      await expectStored(server, await send(String(from)), { content: content(LARGE_BYTES), name: String(name) });
    }
  });

  test('a pipe of exactly as many bytes as go at once, and an empty one → stored', async () => {
    await connected(server.url);
    for (const count of [0, 65_536]) {
      await expectStored(server, await send(`testkit.Pipe(large[:${count}])`), { content: content(count) });
    }
  });

  test.each(['reset', 'close'] as const)(
    'the line is cut (%s) three times on the way → one transfer, whole',
    async (how) => {
      const before = (await transfers()).length;
      proxy = await startFlakyProxy(server.port, (n) => (n < 3 ? { cutAfterUpBytes: 90_000, how } : {}));
      await connected(proxy.url);
      await expectStored(server, await send('large'), { content: content(LARGE_BYTES) });
      expect(proxy.cuts).toBe(3);
      expect((await transfers()).length).toBe(before + 1);
    },
  );

  test.each([
    ['one request', 'large[:100]', 100],
    ['resumable', 'large', LARGE_BYTES],
    ['a pipe', 'testkit.Pipe(large)', LARGE_BYTES],
  ])('%s: every answer of the first two lines is lost → one transfer, whole', async (_form, from, count) => {
    const before = (await transfers()).length;
    proxy = await startFlakyProxy(server.port, (n) => (n < 2 ? { cutAfterDownBytes: 1 } : {}));
    await connected(proxy.url);
    await expectStored(server, await send(String(from)), { content: content(count) });
    expect(proxy.cuts).toBe(2);
    expect((await transfers()).length).toBe(before + 1);
  });

  test('the power fails on the way → after the boot the same call goes on where it stopped', async () => {
    const before = (await transfers()).length;
    await python.run(`kept = testkit.CutStore(); place = testkit.scratch("resumed.bin", large)`);
    const first = await startFlakyProxy(server.port, () => ({ cutAfterUpBytes: 200_000, how: 'close' }));
    await connected(first.url, 'state=kept');
    const refused = await send('place, give_up_seconds=0');
    await first.close();
    expect([refused.code, refused.resumable]).toEqual(['connection_lost', true]);
    // Were it to begin anew, this line would not let it through.
    proxy = await startFlakyProxy(server.port, () => ({ cutAfterUpBytes: 200_000 }));
    await connected(proxy.url, 'state=kept');
    // The upload is remembered for a server's address: here both stand for the same server.
    await python.run(`client.url = ${literal(first.url)}`);
    await expectStored(server, await send('place, give_up_seconds=0'), { content: content(LARGE_BYTES) });
    expect(proxy.cuts).toBe(0);
    expect((await transfers()).length).toBe(before + 1);
    expect(await value('[name for name in kept.blobs if name.startswith("u")]')).toEqual([]);
  });

  test('the file is another one after the boot → sent from its beginning, as it is now', async () => {
    await python.run(`kept = testkit.CutStore(); place = testkit.scratch("changed.bin", large)`);
    proxy = await startFlakyProxy(server.port, (n) => (n === 0 ? { cutAfterUpBytes: 200_000, how: 'close' } : {}));
    await connected(proxy.url, 'state=kept');
    expect((await send('place, give_up_seconds=0')).code).toBe('connection_lost');
    await python.run('testkit.scratch("changed.bin", large[:150000])');
    await connected(proxy.url, 'state=kept');
    await expectStored(server, await send('place'), { content: content(150_000) });
  });

  test('the store of uploads under way is full → said, and the file is sent all the same', async () => {
    await python.run(`
class Full(testkit.CutStore):
    def write(self, name, blob):
        if name.startswith("u"):
            raise OSError(28)
        super().write(name, blob)

place = testkit.scratch("unremembered.bin", large)
told.clear()
`);
    await connected(server.url, 'state=Full()');
    await expectStored(server, await send('place'), { content: content(LARGE_BYTES) });
    expect((await value('told')).join()).toContain('cannot be remembered');
  });

  test('readings: kept through a cut, numbered on, sent once each → the batch and its manifest', async () => {
    await python.run('folder = testkit.scratch_folder("queue"); kept = testkit.CutStore()');
    await connected(server.url, 'state=kept, queue=folder');
    await python.run('client.record({"celsius": 21.5}); client.record("text"); client.record([1, None])');
    await python.run('testkit.tear(folder + "/open.log")');
    await connected(server.url, 'state=kept, queue=folder');
    expect(await value('client.record(4)')).toBe(4);
    const [sent, ...more] = await value('client.flush()');
    expect(more).toEqual([]);
    const { bytes } = await readLink(server, sent.url);
    expect(bytes.toString()).toBe('{"celsius": 21.5}\n"text"\n[1, null]\n4\n');
    const [listed] = (await transfers()).filter(({ filename }) => filename === 'readings-1.ndjson') as unknown as {
      note: string;
    }[];
    expect(JSON.parse(listed?.note ?? '')).toMatchObject({
      ...{ version: 1, count: 4, first_sequence: 1, last_sequence: 4, missing: 0, format: 'ndjson' },
      boots: [
        { boot: 1, first_sequence: 1, last_sequence: 3 },
        { boot: 2, first_sequence: 4, last_sequence: 4 },
      ],
    });
    expect(await value('[client.flush(), client.record("next")]')).toEqual([[], 5]);
    expect(await value('client.queue.damaged')).toBeGreaterThanOrEqual(1);
  });

  test('readings over the room there is → the oldest batch is dropped and counted, the newest stay', async () => {
    await python.run('folder = testkit.scratch_folder("full")');
    await connected(server.url, 'state=testkit.CutStore()');
    await python.run(`
queue = fuselink.Queue(client, folder, bytes_max=4000, batch_bytes=1000)
for number in range(200):
  queue.record({"reading": number, "padding": "x" * 40})
`);
    const dropped = await value('queue.dropped()');
    expect(dropped).toBeGreaterThan(0);
    const sent = (await value('queue.flush()')) as { url: string }[];
    const numbers: number[] = [];
    for (const { url } of sent) {
      const lines = (await readLink(server, url)).bytes.toString().trim().split('\n');
      numbers.push(...lines.map((line) => JSON.parse(line).reading));
    }
    expect(numbers).toEqual(Array.from({ length: 200 - dropped }, (_, index) => index + dropped));
  });
});

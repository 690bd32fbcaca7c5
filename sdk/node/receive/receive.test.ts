import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createClient } from '../client.ts';
import type { Transport } from '../http/transport.ts';
import { createTransport } from '../http/transport.ts';
import type { FakeRelay, Held } from '../testing/fake-relay.ts';
import { fakeRelay } from '../testing/fake-relay.ts';
import type { ReceiveSettings } from './receive.ts';
import { receiveLink } from './receive.ts';

let relay: FakeRelay;
let folder: string;
let transport: Transport;

beforeEach(async () => {
  relay = await fakeRelay();
  folder = await mkdtemp(join(tmpdir(), 'fuselink-receive-'));
  transport = createTransport({ silenceMs: 2000 });
});

afterEach(async () => {
  transport.close();
  await relay.close();
  await rm(folder, { recursive: true, force: true });
});

async function offer(bytes: Buffer, filename = 'data.bin'): Promise<{ url: string; held: Held }> {
  const client = createClient({ url: relay.url, key: 'good-key', stateFolder: null });
  const { url } = await client.send(bytes, { filename });
  await client.close();
  relay.requests.length = 0;
  return { url: url as string, held: relay.held.at(-1) as Held };
}

const settings = (over: Partial<ReceiveSettings> = {}): ReceiveSettings => ({
  to: `${folder}/`,
  stateFolder: join(folder, '.state'),
  pause: async () => {},
  random: () => 0,
  ...over,
});
const get = (url: string, over: Partial<ReceiveSettings> = {}) => receiveLink(transport, url, settings(over));
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const files = async () => (await readdir(folder)).filter((name) => name !== '.state').sort();
const isVerb = (verb: string) => (request: IncomingMessage) => request.url?.endsWith(`/${verb}`) ?? false;

describe('receive: a whole file', () => {
  test.each([0, 1, 100_000, 5_000_000])(
    'receive: %i bytes → claim, content, acknowledged after it has its name',
    async (size) => {
      const bytes = randomBytes(size);
      const { url, held } = await offer(bytes);
      let namedBeforeAck: string[] = [];
      relay.faults.push({
        on: isVerb('ack'),
        run: async () => {
          namedBeforeAck = await files();
          return false;
        },
      });
      const done = await get(url);
      expect(digest(await readFile(done.path))).toBe(digest(bytes));
      expect(done).toMatchObject({ sizeBytes: size, sha256: digest(bytes), filename: 'data.bin', resumed: false });
      expect(namedBeforeAck).toEqual(['data.bin']);
      expect(held.burned).toBe(true);
      expect(await readdir(join(folder, '.state', 'receives'))).toEqual([]);
    },
  );

  test('receive: a name that leaves the folder → stays in it', async () => {
    const { url } = await offer(Buffer.from('x'), '../../evil.sh');
    expect((await get(url)).path).toBe(join(folder, 'evil.sh'));
  });

  test('receive: a file of that name is there → refused before a byte is read, nothing burned; with overwrite replaced', async () => {
    const { url, held } = await offer(Buffer.from('new'));
    await writeFile(join(folder, 'data.bin'), 'old');
    await expect(get(url)).rejects.toMatchObject({ code: 'file_exists' });
    expect(relay.requests.filter((line) => line.includes('content'))).toEqual([]);
    expect(held.burned).toBe(false);
    expect(await readFile(join(folder, 'data.bin'), 'utf8')).toBe('old');
    await get(url, { overwrite: true });
    expect(await readFile(join(folder, 'data.bin'), 'utf8')).toBe('new');
  });

  test('receive: a file of that name appears while the download runs → it is not replaced, and nothing is burned', async () => {
    const { url, held } = await offer(Buffer.from('new'));
    relay.faults.push({
      on: isVerb('content'),
      run: async () => {
        await writeFile(join(folder, 'data.bin'), 'mine');
        return false;
      },
    });
    await expect(get(url)).rejects.toMatchObject({ code: 'file_exists' });
    expect(await readFile(join(folder, 'data.bin'), 'utf8')).toBe('mine');
    expect(held.burned).toBe(false);
  });

  test('receive: somebody’s own .part lies there → left alone', async () => {
    const { url } = await offer(Buffer.from('new'));
    await writeFile(join(folder, 'data.bin.part'), 'mine');
    await get(url);
    expect(await readFile(join(folder, 'data.bin.part'), 'utf8')).toBe('mine');
    expect(await files()).toEqual(['data.bin', 'data.bin.part']);
  });
});

describe('receive: what breaks', () => {
  test('receive: connection cut at several bytes → Range goes on, each byte once', async () => {
    const bytes = randomBytes(1_000_000);
    const { url } = await offer(bytes);
    relay.cutDownloads.push(100_000, 1, 500_000);
    const done = await get(url);
    expect(digest(await readFile(done.path))).toBe(digest(bytes));
    expect(relay.headers.flatMap((headers) => headers.range ?? [])).toHaveLength(3);
  });

  test('receive: a byte turned on the way → not acknowledged, read again, right', async () => {
    const bytes = randomBytes(50_000);
    const { url, held } = await offer(bytes);
    relay.corruptDownloads = 1;
    const done = await get(url);
    expect(digest(await readFile(done.path))).toBe(digest(bytes));
    expect(held.burned).toBe(true);
  });

  test('receive: wrong every time → digest_mismatch, not burned, nothing left behind', async () => {
    const { url, held } = await offer(randomBytes(50_000));
    relay.corruptDownloads = 9;
    await expect(get(url)).rejects.toMatchObject({ code: 'digest_mismatch' });
    expect(held.burned).toBe(false);
    expect(await files()).toEqual([]);
    expect(relay.requests.filter((line) => line.includes('ack'))).toEqual([]);
  });

  test('receive: stopped half way, started again → goes on where it stopped, under the same claim', async () => {
    const bytes = randomBytes(2_000_000);
    const { url } = await offer(bytes);
    const stop = new AbortController();
    relay.cutDownloads.push(900_000);
    const first = get(url, { signal: stop.signal, pause: async () => stop.abort() });
    await expect(first).rejects.toMatchObject({ code: 'aborted' });
    expect((await stat(join(folder, 'data.bin.part'))).size).toBeGreaterThan(0);
    const done = await get(url);
    expect(done.resumed).toBe(true);
    expect(digest(await readFile(done.path))).toBe(digest(bytes));
    expect(relay.requests.filter((line) => line.endsWith('claim'))).toHaveLength(1);
    expect(await files()).toEqual(['data.bin']);
  });

  test('receive: stopped half way, another folder wanted → whole there, nothing left here', async () => {
    const bytes = randomBytes(500_000);
    const { url } = await offer(bytes);
    const stop = new AbortController();
    relay.cutDownloads.push(100_000);
    await expect(get(url, { signal: stop.signal, pause: async () => stop.abort() })).rejects.toMatchObject({
      code: 'aborted',
    });
    await mkdir(join(folder, 'other'));
    const done = await get(url, { to: join(folder, 'other') });
    expect(done.path).toBe(join(folder, 'other', 'data.bin'));
    expect(digest(await readFile(done.path))).toBe(digest(bytes));
    expect(await files()).toEqual(['other']);
  });

  test('receive: died between the file’s name and the acknowledgement → only acknowledges', async () => {
    const bytes = randomBytes(1000);
    const { url, held } = await offer(bytes);
    const stop = new AbortController();
    // Twice: what breaks on a kept-alive socket is asked once more on a new one.
    const cut = { on: isVerb('ack'), run: ({ socket }: { socket: import('node:net').Socket }) => !!socket.destroy() };
    relay.faults.push(cut, cut);
    await expect(get(url, { signal: stop.signal, pause: async () => stop.abort() })).rejects.toMatchObject({
      code: 'aborted',
    });
    expect(held.burned).toBe(false);
    relay.requests.length = 0;
    const done = await get(url);
    expect(relay.requests).toEqual(['POST /get/:secret/ack']);
    expect(digest(await readFile(done.path))).toBe(digest(bytes));
    expect(held.burned).toBe(true);
  });

  test('receive: answer to the acknowledgement lost → burned counts as done', async () => {
    const { url } = await offer(Buffer.from('x'));
    relay.loseAnswers.push(isVerb('ack'));
    await expect(get(url)).resolves.toMatchObject({ sizeBytes: 1 });
  });

  test('receive: the lease went back while it read → claims again and goes on with Range', async () => {
    const bytes = randomBytes(400_000);
    const { url, held } = await offer(bytes);
    relay.cutDownloads.push(100_000);
    let claimed = 0;
    relay.faults.push({
      on: (request) => isVerb('content')(request) && request.headers.range !== undefined,
      run: () => {
        held.claim = 'another reader, gone again';
        claimed += 1;
        return false;
      },
    });
    const done = await get(url);
    expect(claimed).toBe(1);
    expect(digest(await readFile(done.path))).toBe(digest(bytes));
    expect(relay.requests.filter((line) => line.endsWith('claim'))).toHaveLength(2);
  });

  test('receive: somebody else reads → waits as long as asked, then has it', async () => {
    const { url } = await offer(Buffer.from('x'));
    const leased = () => ({
      on: isVerb('claim'),
      run: ({ response }: { response: import('node:http').ServerResponse }) => {
        response.writeHead(423, { 'Content-Type': 'application/problem+json', 'Retry-After': '7' });
        response.end(JSON.stringify({ code: 'transfer_leased', status: 423, detail: 'busy' }));
        return true;
      },
    });
    relay.faults.push(leased(), leased());
    const waits: number[] = [];
    await get(url, { onRetry: ({ waitMs }) => waits.push(waitMs) });
    expect(waits).toEqual([7100, 7100]);
    relay.faults.push(leased());
    const other = await offer(Buffer.from('y'));
    await expect(get(other.url, { giveUpAfterMs: 5000 })).rejects.toMatchObject({
      code: 'transfer_leased',
      status: 423,
    });
  });

  test('receive: burned or unknown link → its code, no file; half a file of a link that ended → removed', async () => {
    const { url, held } = await offer(randomBytes(500_000));
    await expect(get(`${relay.url}/get/nothing`)).rejects.toMatchObject({ code: 'link_unknown', status: 404 });
    relay.cutDownloads.push(1000);
    await expect(
      get(url, {
        pause: async () => {
          held.burned = true;
        },
      }),
    ).rejects.toMatchObject({ code: 'link_burned' });
    expect(await files()).toEqual([]);
    expect(await readdir(join(folder, '.state', 'receives'))).toEqual([]);
  });

  test('receive: the server counts some bytes as not served → reads them once more and acknowledges', async () => {
    const { url, held } = await offer(Buffer.from('xyz'));
    relay.faults.push({
      on: isVerb('ack'),
      run: ({ response }) => {
        response.writeHead(409, { 'Content-Type': 'application/problem+json' });
        response.end(JSON.stringify({ code: 'ack_incomplete', status: 409, detail: 'not all' }));
        return true;
      },
    });
    await get(url);
    expect(held.burned).toBe(true);
    expect(relay.requests.filter((line) => line.includes('content'))).toHaveLength(2);
  });

  test.each(['', 'no url', 'ftp://h/get/x', 'http://h/other/x', 'http://h/get/'])(
    'receive: %j → not a link, not repeated',
    async (text) => {
      const error = await get(text).catch((e: unknown) => e as Error);
      expect(error).toMatchObject({ code: 'option_invalid' });
    },
  );

  test('receive: folder that is not there → told before a byte is read', async () => {
    const { url } = await offer(Buffer.from('x'));
    await expect(get(url, { to: join(folder, 'no', 'such') })).rejects.toMatchObject({ code: 'target_unwritable' });
  });
});

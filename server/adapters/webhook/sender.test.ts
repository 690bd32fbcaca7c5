import type { lookup } from 'node:dns';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { isPublicAddress } from './addresses.ts';
import { createWebhookSender } from './sender.ts';

const servers: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function receiver(answer: (req: IncomingMessage) => [number, Record<string, string>]): Promise<{
  port: number;
  asked: string[];
}> {
  const asked: string[] = [];
  const server: Server = createServer((req, res) => {
    asked.push(`${req.method} ${req.url}`);
    const [status, headers] = answer(req);
    res.writeHead(status, headers).end('x'.repeat(200_000));
  });
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { port: (server.address() as AddressInfo).port, asked };
}

/** A resolver that gives one answer after the other. */
function resolver(...answers: string[]): { lookup: typeof lookup; calls: () => number } {
  let calls = 0;
  const fake = (_name: string, _options: unknown, done: (error: null, all: object[]) => void) => {
    const address = answers[Math.min(calls++, answers.length - 1)] ?? '';
    done(null, [{ address, family: address.includes(':') ? 6 : 4 }]);
  };
  return { lookup: fake as unknown as typeof lookup, calls: () => calls };
}

const message = (url: string) => ({ url, headers: { 'webhook-id': 'm' }, body: '{}' });

describe('webhook addresses', () => {
  test.each([
    ['93.184.216.34', true],
    ['8.8.8.8', true],
    ['2606:2800:220:1:248:1893:25c8:1946', true],
    ['127.0.0.1', false],
    ['127.255.255.254', false],
    ['0.0.0.0', false],
    ['10.1.2.3', false],
    ['172.16.0.1', false],
    ['172.31.255.255', false],
    ['172.32.0.1', true],
    ['192.168.1.1', false],
    ['169.254.169.254', false],
    ['100.64.0.1', false],
    ['198.18.0.1', false],
    ['224.0.0.1', false],
    ['255.255.255.255', false],
    ['::1', false],
    ['::', false],
    ['::ffff:127.0.0.1', false],
    ['::ffff:8.8.8.8', false],
    ['64:ff9b::7f00:1', false],
    ['2002:7f00:1::', false],
    ['2001:0:1::', false],
    ['fd00:ec2::254', false],
    ['fe80::1', false],
    ['ff02::1', false],
    ['example.com', false],
  ])('%s → public: %s', (address, expected) => {
    expect(isPublicAddress(address)).toBe(expected);
  });

  test.each([
    ['https://example.com/hook?x=1', null],
    ['https://93.184.216.34/', null],
    ['http://example.com/', 'got http://'],
    ['ftp://example.com/', 'expected an https:// address'],
    ['not an address', 'expected an https:// address'],
    ['https://user:pass@example.com/', 'without a name and password'],
    ['https://example.com/#x', 'without a fragment'],
    ['https://localhost/', 'private'],
    ['https://x.localhost/', 'private'],
    ['https://metadata/', 'private'],
    ['https://metadata.google.internal/', 'private'],
    ['https://printer.local./', 'private'],
    ['https://127.0.0.1/', 'private'],
    // All of these are 127.0.0.1 to a URL parser.
    ['https://2130706433/', 'private'],
    ['https://0x7f.1/', 'private'],
    ['https://0177.0.0.1/', 'private'],
    ['https://[::1]/', 'private'],
    ['https://[::ffff:7f00:1]/', 'private'],
    ['https://169.254.169.254/latest/meta-data', 'private'],
  ])('%s → %s', (url, why) => {
    const refusal = createWebhookSender({ allowPrivate: false }).refusal(url);
    if (why === null) expect(refusal).toBe(null);
    else expect(refusal).toContain(why);
  });
});

describe('webhook sender', () => {
  test('a name that leads to this machine → refused, nothing connects', async () => {
    const { port, asked } = await receiver(() => [200, {}]);
    for (const address of ['127.0.0.1', '::1', '10.0.0.1', '169.254.169.254']) {
      const { lookup } = resolver(address);
      const sender = createWebhookSender({ allowPrivate: false, lookup });
      const outcome = await sender.post(message(`https://rebound.example.com:${port}/`));
      expect(outcome).toEqual({ kind: 'refused', why: 'its name leads to a private address' });
    }
    expect(asked).toEqual([]);
  });

  test('a name with a public and a private address → refused', async () => {
    const both = ((_name: string, _options: unknown, done: (error: null, all: object[]) => void) =>
      done(null, [
        { address: '93.184.216.34', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ])) as unknown as typeof lookup;
    const sender = createWebhookSender({ allowPrivate: false, lookup: both });
    expect(await sender.post(message('https://both.example.com/'))).toMatchObject({ kind: 'refused' });
  });

  test('a name that answers otherwise when asked again → is asked once for each connection, and that answer is what counts', async () => {
    const names = resolver('192.0.2.1', '127.0.0.1');
    const sender = createWebhookSender({ allowPrivate: true, lookup: names.lookup, timeoutMs: 300 });
    const { port, asked } = await receiver(() => [200, {}]);
    await sender.post(message(`http://rebinding.example.com:${port}/`));
    expect([names.calls(), asked]).toEqual([1, []]);
  });

  test('allowed private: posts → the status; a large answer is cut, a redirect is an answer and not followed', async () => {
    const sender = createWebhookSender({ allowPrivate: true });
    const { port, asked } = await receiver(({ url }) =>
      url === '/redirect'
        ? [302, { location: '/elsewhere' }]
        : url === '/busy'
          ? [503, { 'retry-after': '7' }]
          : [200, {}],
    );
    const post = (path: string) => sender.post(message(`http://127.0.0.1:${port}${path}`));
    expect(await post('/fine')).toEqual({ kind: 'answered', status: 200, retryAfterSeconds: null });
    expect(await post('/redirect')).toMatchObject({ kind: 'answered', status: 302 });
    expect(await post('/busy')).toMatchObject({ status: 503, retryAfterSeconds: 7 });
    expect(asked).toEqual(['POST /fine', 'POST /redirect', 'POST /busy']);
  });

  test('nobody there, a name that is none, one who never answers, and a stop → each says so in a word', async () => {
    const silent = createTcpServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    servers.push(silent);
    const { port } = silent.address() as AddressInfo;
    const sender = createWebhookSender({ allowPrivate: true, timeoutMs: 200 });
    expect(await sender.post(message(`http://127.0.0.1:${port}/`))).toEqual({
      kind: 'unreachable',
      why: 'no answer in time',
    });
    expect(await sender.post(message('http://127.0.0.1:1/'))).toEqual({ kind: 'unreachable', why: 'ECONNREFUSED' });
    const patient = createWebhookSender({ allowPrivate: true });
    const waiting = patient.post(message(`http://127.0.0.1:${port}/`));
    patient.close();
    expect(await waiting).toMatchObject({ kind: 'unreachable' });
  });
});

import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { createClient } from '../client.ts';
import { testCertificate } from '../testing/certificate.ts';
import { fakeRelay } from '../testing/fake-relay.ts';
import { bypassesProxy, parseProxy, proxyFor } from './proxy.ts';
import type { Transport } from './transport.ts';
import { createTransport } from './transport.ts';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function transport(options: Parameters<typeof createTransport>[0] = {}): Transport {
  const made = createTransport({ env: {}, ...options });
  closing.push(() => made.close());
  return made;
}

async function listen(server: http.Server | tls.Server | ReturnType<typeof createServer>): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** A proxy that tunnels with CONNECT and forwards absolute-form requests; writes down what it was asked. */
async function startProxy(password: string | null): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const expected = password === null ? undefined : `Basic ${Buffer.from(password).toString('base64')}`;
  const server = http.createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const target = new URL(request.url ?? '');
    const options = { host: target.hostname, port: target.port, path: target.pathname, method: request.method };
    request.pipe(
      http.request({ ...options, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.headers);
        answer.pipe(response);
      }),
    );
  });
  server.on('connect', (request: http.IncomingMessage, socket: Socket) => {
    asked.push(`CONNECT ${request.url}`);
    socket.on('error', () => {});
    if (request.headers['proxy-authorization'] !== expected) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const upstream = connect(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(upstream).pipe(socket);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('close', () => upstream.destroy());
  });
  return { url: `http://127.0.0.1:${await listen(server)}`, asked };
}

const get = (url: string) => ({ method: 'GET', url: new URL(url), headers: {} });

describe('transport: TLS', () => {
  test('transport: certificate of an unknown issuer → tls_untrusted before any byte of the request', async () => {
    const relay = await fakeRelay(testCertificate());
    closing.push(() => relay.close());
    const error = transport().exchange({ ...get(`${relay.url}/v1/x`), headers: { Authorization: 'Bearer good-key' } });
    await expect(error).rejects.toMatchObject({ code: 'tls_untrusted' });
    expect(relay.requests).toEqual([]);
  });

  test('transport: the same with its issuer among `ca` → a file goes through', async () => {
    const relay = await fakeRelay(testCertificate());
    closing.push(() => relay.close());
    const client = createClient({ url: relay.url, key: 'good-key', ca: testCertificate().cert, stateFolder: null });
    closing.push(() => client.close());
    await client.send(Buffer.alloc(300_000, 7), { filename: 'f' });
    expect(relay.finished()).toHaveLength(1);
  });

  test('transport: right issuer, wrong name → tls_untrusted', async () => {
    const relay = await fakeRelay(testCertificate());
    closing.push(() => relay.close());
    const url = relay.url.replace('127.0.0.1', '127.0.0.2');
    const server = createServer((socket) => {
      socket.on('error', () => {});
      const upstream = connect(Number(new URL(relay.url).port), '127.0.0.1');
      upstream.on('error', () => {});
      socket.pipe(upstream).pipe(socket);
    });
    server.listen(0, '127.0.0.2');
    await once(server, 'listening');
    closing.push(() => new Promise((resolve) => server.close(resolve)));
    const port = (server.address() as AddressInfo).port;
    const error = transport({ ca: testCertificate().cert }).exchange(get(`${url.replace(/:\d+$/, '')}:${port}/`));
    await expect(error).rejects.toMatchObject({ code: 'tls_untrusted' });
  });

  test('transport: a server that only speaks TLS 1.1 → refused', async () => {
    const server = tls.createServer({
      ...testCertificate(),
      minVersion: 'TLSv1.1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT:@SECLEVEL=0',
    });
    server.on('tlsClientError', () => {});
    const port = await listen(server);
    const error = transport({ ca: testCertificate().cert }).exchange(get(`https://127.0.0.1:${port}/`));
    await expect(error).rejects.toMatchObject({ code: expect.stringMatching(/tls_untrusted|connection_lost/) });
  });
});

describe('transport: proxies', () => {
  test('transport: https through a proxy with a password → CONNECT, then TLS to the server itself', async () => {
    const relay = await fakeRelay(testCertificate());
    closing.push(() => relay.close());
    const proxy = await startProxy('ada:se cret');
    const url = proxy.url.replace('http://', 'http://ada:se%20cret@');
    const client = createClient({
      url: relay.url,
      key: 'good-key',
      ca: testCertificate().cert,
      proxy: url,
      stateFolder: null,
    });
    closing.push(() => client.close());
    await client.send(Buffer.alloc(300_000, 7), { filename: 'f' });
    expect(relay.finished()).toHaveLength(1);
    expect(new Set(proxy.asked)).toEqual(new Set([`CONNECT 127.0.0.1:${new URL(relay.url).port}`]));
  });

  test('transport: proxy refuses → proxy_refused with its status, the password in no message', async () => {
    const proxy = await startProxy('ada:right');
    const url = proxy.url.replace('http://', 'http://ada:wrong@');
    const error = await transport({ proxy: url })
      .exchange(get('https://127.0.0.1:1/'))
      .catch((e: unknown) => e as Error);
    expect(error).toMatchObject({ code: 'proxy_refused', status: 407 });
    expect(String(error)).not.toContain('wrong');
  });

  test('transport: http through a proxy → absolute-form, with the server’s own Host', async () => {
    const relay = await fakeRelay();
    closing.push(() => relay.close());
    const proxy = await startProxy(null);
    const client = createClient({ url: relay.url, key: 'good-key', proxy: proxy.url, stateFolder: null });
    closing.push(() => client.close());
    await client.send(Buffer.from('x'), { filename: 'f' });
    expect(proxy.asked).toEqual([`POST ${relay.url}/v1/upload`]);
    expect(relay.headers[0]?.host).toBe(new URL(relay.url).host);
  });

  test('transport: proxy is not there → unreachable, and it says that it was the proxy', async () => {
    const error = transport({ proxy: 'http://127.0.0.1:1' }).exchange(get('https://relay.test/'));
    await expect(error).rejects.toMatchObject({ code: 'unreachable', message: expect.stringContaining('proxy') });
  });

  test.each([
    ['https://relay.example.com/', { https_proxy: 'http://p:3128' }, 'p:3128'],
    ['https://relay.example.com/', { HTTPS_PROXY: 'p:3128' }, 'p:3128'],
    ['http://relay.example.com/', { HTTP_PROXY: 'http://p:3128' }, null],
    ['http://relay.example.com/', { http_proxy: 'http://p:3128' }, 'p:3128'],
    ['https://relay.example.com/', { all_proxy: 'http://p' }, 'p:80'],
    ['https://relay.example.com/', { https_proxy: 'http://p', no_proxy: 'example.com' }, null],
    ['https://127.0.0.1/', { https_proxy: 'http://p' }, null],
  ])('proxyFor: %s with %o → %s', (url, env, expected) => {
    const found = proxyFor(new URL(url), undefined, env as unknown as NodeJS.ProcessEnv);
    expect(found === null ? null : `${found.host}:${found.port}`).toBe(expected);
  });

  test.each([
    ['*', true],
    ['example.com', true],
    ['.example.com', true],
    ['*.example.com', true],
    ['ample.com', false],
    ['relay.example.com:443', true],
    ['relay.example.com:8443', false],
    ['other.com, example.com', true],
    ['', false],
  ])('bypassesProxy: relay.example.com with NO_PROXY %j → %s', (list, expected) => {
    expect(bypassesProxy(new URL('https://relay.example.com/'), list)).toBe(expected);
  });

  test('parseProxy: not a proxy → option_invalid without its password', () => {
    for (const text of ['socks5://u:secret@h:1', 'http://u:secret@ h']) {
      expect(() => parseProxy(text)).toThrow(expect.objectContaining({ code: 'option_invalid' }));
      expect(() => parseProxy(text)).not.toThrow(/secret/);
    }
  });
});

describe('transport: awkward servers', () => {
  async function rawServer(serve: (socket: Socket, connection: number) => void): Promise<string> {
    let connections = 0;
    const server = createServer((socket) => {
      socket.on('error', () => {});
      serve(socket, connections++);
    });
    return `http://127.0.0.1:${await listen(server)}/`;
  }

  test('transport: kept-alive socket closed by the server meanwhile → asked once more on a new one', async () => {
    const url = await rawServer((socket, connection) => {
      let answers = 0;
      socket.on('data', () => {
        if (connection === 0 && answers++ > 0) socket.resetAndDestroy();
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    const one = transport();
    await one.exchange(get(url));
    const second = await one.exchange(get(url));
    expect(second.body.toString()).toBe('ok');
  });

  test('transport: 417 to Expect → sent again without asking', async () => {
    const asked: boolean[] = [];
    const url = await rawServer((socket) => {
      socket.on('data', (bytes) => {
        const expects = /expect: 100-continue/i.test(bytes.toString());
        if (/^POST/.test(bytes.toString())) asked.push(expects);
        if (expects) socket.end('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        else socket.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n');
      });
    });
    const body = Buffer.from('abc');
    const answer = await transport().exchange({
      method: 'POST',
      url: new URL(url),
      headers: {},
      body,
      expectContinue: true,
    });
    expect(answer.status).toBe(204);
    expect(asked).toEqual([true, false]);
  });

  test('transport: answer ends before its length → connection_lost, not a short body', async () => {
    const url = await rawServer((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort'));
    });
    await expect(transport().exchange(get(url))).rejects.toMatchObject({ code: 'connection_lost' });
  });

  test('transport: endless answer where a small one is expected → given up, memory stays small', async () => {
    const url = await rawServer((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        const more = () => {
          while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
        };
        socket.on('drain', more);
        more();
      });
    });
    await expect(transport().exchange(get(url))).rejects.toMatchObject({ code: 'not_fuselink' });
  });

  test('transport: not HTTP at all → an error of ours', async () => {
    const url = await rawServer((socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n'));
    await expect(transport().exchange(get(url))).rejects.toMatchObject({ name: 'FuselinkError' });
  });

  test('transport: silent in the middle of a body → silent', async () => {
    const url = await rawServer((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'));
    });
    await expect(transport({ silenceMs: 60 }).exchange(get(url))).rejects.toMatchObject({ code: 'silent' });
  });

  test('transport: slow but never silent for long → as long as it takes', async () => {
    const url = await rawServer((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n');
        let sent = 0;
        const drip = setInterval(() => {
          socket.write('x');
          if (++sent === 10) clearInterval(drip);
        }, 25);
      });
    });
    const answer = await transport({ silenceMs: 200 }).exchange(get(url));
    expect(answer.body.toString()).toBe('xxxxxxxxxx');
  });

  test('transport: aborted before, while waiting, in the body → aborted', async () => {
    const url = await rawServer((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'));
    });
    await expect(transport().exchange({ ...get(url), signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'aborted',
    });
    const stop = new AbortController();
    const stream = await transport().open({ ...get(url), signal: stop.signal });
    const reading = (async () => {
      for await (const bytes of stream.bytes) if (bytes.length > 0) stop.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'aborted' });
  });
});

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../support/run.ts';
import { temporaryFolder } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { AnswerReader, dial, getHead, installed, type ReadServer, startReadServer } from './read-kit.ts';

interface Client {
  name: string;
  program: string;
  args(url: string, out: string): string[];
}

const python = (code: string) => (url: string, out: string) => ['-c', code, url, out];
const node = (code: string) => (url: string, out: string) => ['--input-type=module', '-e', code, url, out];
const WRITE = "import { writeFileSync } from 'node:fs'; const [url, out] = process.argv.slice(1);";

/** Programs that read a link to its end, each in its own way of ending a connection. */
const CLIENTS: readonly Client[] = [
  { name: 'curl', program: 'curl', args: (url, out) => ['-sSkf', '-o', out, url] },
  { name: 'curl -OJ', program: 'curl', args: (url, out) => ['-sSkfOJ', '--output-dir', join(out, '..'), url] },
  { name: 'curl --http1.0', program: 'curl', args: (url, out) => ['-sSkf0', '-o', out, url] },
  { name: 'curl --limit-rate', program: 'curl', args: (url, out) => ['-sSkf', '--limit-rate', '20M', '-o', out, url] },
  { name: 'wget', program: 'wget', args: (url, out) => ['-q', '--no-check-certificate', '-O', out, url] },
  {
    name: 'busybox wget',
    program: 'busybox',
    args: (url, out) => ['wget', '-q', '--no-check-certificate', '-O', out, url],
  },
  {
    name: 'aria2',
    program: 'aria2c',
    args: (url, out) => ['-q', '--check-certificate=false', '-d', '/', '-o', out.slice(1), url],
  },
  {
    name: 'lftp get',
    program: 'lftp',
    args: (url, out) => ['-c', `set ssl:verify-certificate no; get ${url} -o ${out}`],
  },
  {
    name: 'python urllib',
    program: 'python3',
    args: python(
      'import sys,ssl,urllib.request as u\nc=ssl._create_unverified_context()\nwith u.urlopen(sys.argv[1],context=c) as r, open(sys.argv[2],"wb") as f:\n while True:\n  b=r.read(65536)\n  if not b: break\n  f.write(b)',
    ),
  },
  {
    name: 'python requests',
    program: 'python3 -c "import requests"',
    args: python(
      'import sys,requests\nr=requests.get(sys.argv[1],verify=False)\nr.raise_for_status()\nopen(sys.argv[2],"wb").write(r.content)',
    ),
  },
  {
    name: 'node fetch',
    program: 'node',
    args: node(
      `${WRITE} const r = await fetch(url); if (!r.ok) throw r.status; writeFileSync(out, Buffer.from(await r.arrayBuffer()));`,
    ),
  },
  {
    name: 'node:http',
    program: 'node',
    args: node(
      `${WRITE} const { get } = await import(url.startsWith('https') ? 'node:https' : 'node:http');
       get(url, (r) => { const p = []; r.on('data', (b) => p.push(b)); r.on('end', () => writeFileSync(out, Buffer.concat(p))); });`,
    ),
  },
];
const SIZES = [0, 10_000, 3_000_000];

describe.each([{ tls: false }, { tls: true }])('complete reads, TLS $tls', ({ tls }) => {
  let server: ReadServer;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  beforeAll(async () => {
    server = await startReadServer({ tls });
    folder = await temporaryFolder();
  });
  afterAll(async () => {
    await server.close();
    await folder.remove();
  });

  for (const client of CLIENTS) {
    const missing = !installed(client.program.split(' ')[0] ?? '');
    it.skipIf(missing).each(SIZES)(`${client.name}, %i bytes → the file, then burned by its close`, async (size) => {
      const { url, id, bytes } = await server.upload(size);
      const out = join(folder.path, 'reading.bin');
      const { code, stderr } = await run(client.program.split(' ')[0] ?? '', client.args(url, out), {
        env: { NODE_TLS_REJECT_UNAUTHORIZED: '0', PYTHONWARNINGS: 'ignore' },
      });
      if (stderr.includes('ModuleNotFoundError')) return console.warn(`skipped: ${client.name} is not installed`);
      expect({ code, size: (await readFile(out)).length, stderr }).toMatchObject({ code: 0, size });
      expect(Buffer.compare(await readFile(out), bytes)).toBe(0);
      expect(await server.reaches(id, 'burned')).toMatchObject({
        delivered_by: 'close',
        attempts: 1,
        bytes_served: size,
      });
      await run('rm', ['-f', out]);
    });
  }

  it('HTTP/1.0 without Host or User-Agent, waiting for our close → the file, then burned by its close', async () => {
    const { url, id, bytes } = await server.upload(500_000);
    const socket = await dial(url);
    socket.write(`GET ${new URL(url).pathname} HTTP/1.0\r\n\r\n`);
    const reader = new AnswerReader(socket);
    expect((await reader.head()).headers['connection']).toBe('close');
    expect(Buffer.compare(await reader.bytes(500_000), bytes)).toBe(0);
    await expect(reader.bytes(1)).rejects.toThrow('ended');
    socket.end();
    expect(await server.reaches(id, 'burned')).toMatchObject({ delivered_by: 'close' });
  });

  it('a client that half-closes behind its request → gets the file; that close proves nothing, the next one does', async () => {
    const { url, id, bytes } = await server.upload(3_000_000);
    const socket = await dial(url);
    socket.end(getHead(url));
    // Under TLS a goodbye is meant for both ways: the answer may be cut off, and then nothing is proven either.
    if (!tls) {
      const reader = new AnswerReader(socket);
      await reader.head();
      expect(Buffer.compare(await reader.bytes(bytes.length), bytes)).toBe(0);
    } else await once(socket.resume(), 'close');
    socket.destroy();
    expect((await server.settled(id)).state).toBe('ready');
    const again = await run('curl', ['-sSkf', '-o', '/dev/null', url]);
    expect(again.code).toBe(0);
    expect(await server.reaches(id, 'burned')).toMatchObject({ delivered_by: 'close' });
  });

  it('clients that leave before, during or after a request → no connection is kept', async () => {
    const { url } = await server.upload(3_000_000);
    const knock = await dial(server.url.replace('https:', 'http:'));
    knock.end();
    (await dial(server.url)).destroy();
    for (const path of [url, `${server.url}/healthz`]) {
      const socket = await dial(path);
      socket.write(getHead(path));
      await new AnswerReader(socket).head();
      socket.destroy();
    }
    await until('no connection', async () => {
      const table = await readFile('/proc/net/tcp', 'latin1').catch(() => '');
      const ours = `0100007F:${server.port.toString(16).toUpperCase().padStart(4, '0')} `;
      // 0A: listening. 06: gone, remembered by the system.
      return !table.split('\n').some((line) => line.includes(`: ${ours}`) && !/ (?:0A|06) /.test(line.slice(33, 37)));
    });
    knock.destroy();
  });

  it('a second reader right behind the first → is told that it was read, not that it is being read', async () => {
    for (let i = 0; i < 5; i++) {
      const { url } = await server.upload(100_000);
      const both = await run('sh', ['-c', `curl -skf ${url} >/dev/null && curl -sk -w '%{http_code}' ${url}`]);
      expect(both.stdout).toContain('link_burned');
      expect(both.stdout).toMatch(/410$/);
    }
  });
});

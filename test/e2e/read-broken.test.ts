import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFlakyProxy } from '../support/flaky-proxy.ts';
import { run } from '../support/run.ts';
import { temporaryFolder } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { AnswerReader, dial, getHead, installed, type ReadServer, reset, startReadServer } from './read-kit.ts';

const SIZE = 12_000_000;
/** How many bytes of the body a reader takes before it goes. */
const TAKEN = [0, 10_000, 1_000_000];
const HOWS = ['killed', 'reset', 'stalled'] as const;
const hasAria2 = installed('aria2c');
const hasLftp = installed('lftp');

describe.each([{ tls: false }, { tls: true }])('broken reads, TLS $tls', ({ tls }) => {
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

  /** Reads `taken` bytes into a file and goes; resolves once the server knows. */
  async function breakOff(url: string, id: string, how: (typeof HOWS)[number], taken: number): Promise<string> {
    const partial = join(folder.path, `${id}.part`);
    if (how === 'killed') {
      // A real process, stopped by the kernel in the middle of a read it paces itself.
      const code = `const tls = ${tls}; const { connect } = await import(tls ? 'node:tls' : 'node:net'); const { writeFileSync } = await import('node:fs');
        const s = connect({ port: ${new URL(url).port}, host: '127.0.0.1', rejectUnauthorized: false });
        let got = Buffer.alloc(0);
        s.on('data', (b) => { got = Buffer.concat([got, b]); const at = got.indexOf('\\r\\n\\r\\n') + 4;
          if (at > 3 && got.length - at >= ${taken}) { s.pause(); s.removeAllListeners('data'); writeFileSync(${JSON.stringify(partial)}, got.subarray(at, at + ${taken})); process.stdout.write('taken'); } });
        s.write(${JSON.stringify(getHead(url))}); setInterval(() => {}, 1000);`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      child.kill('SIGKILL');
      await once(child, 'exit');
    } else {
      const socket = await dial(url);
      socket.write(getHead(url));
      const reader = new AnswerReader(socket);
      expect((await reader.head()).status).toBe(200);
      await writeFile(partial, await reader.bytes(taken));
      if (how === 'reset') reset(socket);
      else await server.settled(id).finally(() => socket.destroy());
    }
    return partial;
  }

  describe.each(HOWS)('%s', (how) => {
    it.each(TAKEN)('after %i bytes → not burned; curl -C - goes on, and burns', async (taken) => {
      const { url, id, bytes } = await server.upload(SIZE, { lease_seconds: '5' });
      const partial = await breakOff(url, id, how, taken);
      expect(await server.settled(id)).toMatchObject({ state: 'ready', attempts: 1, held: false });
      expect((await stat(partial)).size).toBe(taken);
      const curl = await run('curl', ['-sSkf', '-C', '-', '-o', partial, url]);
      expect(curl).toMatchObject({ code: 0 });
      expect(Buffer.compare(await readFile(partial), bytes)).toBe(0);
      expect(await server.reaches(id, 'burned')).toMatchObject({ delivered_by: 'close', attempts: 2 });
    });
  });

  it('the same break again and again → each goes on, none is held, the last burns', async () => {
    const { url, id, bytes } = await server.upload(SIZE, { attempts_max: '2' });
    const out = join(folder.path, 'again.bin');
    let runs = 0;
    const got = async () => (await stat(out).catch(() => ({ size: 0 }))).size;
    const proxy = tls
      ? null
      : await startFlakyProxy(server.port, (n) => (n < 3 ? { cutAfterDownBytes: 3_000_000 } : {}));
    while ((await got()) < SIZE) {
      // Behind the test's proxy a close would be the proxy's: the last run goes to the server itself.
      const via = proxy === null || runs >= 3 ? url : url.replace(String(server.port), String(proxy.port));
      const args = proxy === null && runs < 3 ? ['-r', `${await got()}-${(await got()) + 2_999_999}`] : ['-C', '-'];
      if (proxy === null && runs < 3) await run('sh', ['-c', `curl -sSkf ${args.join(' ')} ${via} >> ${out}`]);
      else await run('curl', ['-sSkf', ...args, '-o', out, via]);
      await server.settled(id);
      expect(++runs).toBeLessThan(10);
    }
    await proxy?.close();
    expect(Buffer.compare(await readFile(out), bytes)).toBe(0);
    expect(runs).toBeGreaterThan(3);
    expect(await server.reaches(id, 'burned')).toMatchObject({ delivered_by: 'close' });
  });

  it.skipIf(!hasAria2)(
    'aria2 -x 4: one GET, then ranges side by side → the whole file, and never a lost one',
    async () => {
      const { url, id, bytes } = await server.upload(SIZE);
      const out = join(folder.path, 'aria2.bin');
      const args = ['-q', '-x4', '-s4', '-k1M', '--check-certificate=false', '-d', '/', '-o', out.slice(1), url];
      expect(await run('aria2c', args)).toMatchObject({ code: 0 });
      expect(Buffer.compare(await readFile(out), bytes)).toBe(0);
      await readableOrBurned(url, id, bytes);
    },
  );

  it.skipIf(!hasLftp)('lftp pget -n 4 → the whole file, and never a lost one', async () => {
    const { url, id, bytes } = await server.upload(SIZE);
    const out = join(folder.path, 'lftp.bin');
    const script = `set ssl:verify-certificate no; pget -n 4 ${url} -o ${out}`;
    expect(await run('lftp', ['-c', script])).toMatchObject({ code: 0 });
    expect(Buffer.compare(await readFile(out), bytes)).toBe(0);
    await readableOrBurned(url, id, bytes);
  });

  it.skipIf(!hasAria2)('aria2 -x 4 killed in the middle, then started again → the whole file', async () => {
    const { url, id, bytes } = await server.upload(SIZE);
    const out = join(folder.path, 'aria2-killed.bin');
    const args = [
      '-q',
      '-c',
      '-x4',
      '-s4',
      '-k1M',
      '--check-certificate=false',
      '--file-allocation=none',
      '--auto-save-interval=1',
      '-d',
      '/',
      '-o',
      out.slice(1),
      url,
    ];
    const child = spawn('aria2c', ['--max-overall-download-limit=4M', ...args], { stdio: 'ignore' });
    await until('some bytes, and a note of them', () =>
      stat(`${out}.aria2`).then(
        ({ size }) => size > 0,
        () => false,
      ),
    );
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect((await server.settled(id)).state).not.toBe('burned');
    // What a kill leaves of aria2's control file is aria2's; where it starts afresh, it is served afresh.
    expect(await run('aria2c', ['--allow-overwrite=true', ...args])).toMatchObject({ code: 0 });
    expect(Buffer.compare(await readFile(out), bytes)).toBe(0);
    await readableOrBurned(url, id, bytes);
  });

  /** Either every part was proven, or the file is still there, whole, for the next reader. */
  async function readableOrBurned(url: string, id: string, bytes: Buffer): Promise<void> {
    const { state } = await server.settled(id);
    if (state === 'burned') return;
    const out = join(folder.path, 'after.bin');
    const { code } = await run('curl', ['-sSkf', '-o', out, url]);
    // The last part's close may have been judged only now.
    if (code !== 0 && (await server.settled(id)).state === 'burned') return;
    expect(code).toBe(0);
    expect(Buffer.compare(await readFile(out), bytes)).toBe(0);
    await server.reaches(id, 'burned');
  }
});

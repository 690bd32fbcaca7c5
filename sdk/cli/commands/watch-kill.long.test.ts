import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startFlakyProxy } from '../../../test/support/flaky-proxy.ts';
import { run } from '../../../test/support/run.ts';
import { seededBytes, seededChance } from '../../../test/support/seeded-bytes.ts';
import { startTestServer, type TestServer, temporaryFolder } from '../../../test/support/test-server.ts';
import { buildSdk } from '../../build.ts';

const KILLS = 10;
const FILES_A_LIFE = 3;
/** Some go out in one request, some in several. */
const FILE_BYTES_MAX = 400_000;
/** A life that met no reason to end: rounds are bounded. */
const LIFE_MS_MAX = 20_000;

let built: { path: string; remove(): Promise<void> };
let program: string;

beforeAll(async () => {
  built = await temporaryFolder();
  await buildSdk(join(built.path, 'dist'));
  program = join(built.path, 'dist/sdk/cli/fuselink.mjs');
});
afterAll(() => built.remove());

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

interface Listed {
  id: string;
  state: string;
  sha256: string;
}

async function transfers(server: TestServer): Promise<Listed[]> {
  const answer = await fetch(`${server.url}/v1/transfers?limit=200`, {
    headers: { Authorization: `Bearer ${server.accountKey}` },
  });
  const page = (await answer.json()) as { transfers: Listed[]; next_cursor: string | null };
  expect(page.next_cursor).toBeNull();
  return page.transfers;
}

/** What a life ends at: the n-th connection, so many bytes to or from the server, or the n-th file that is told of. */
type End = 'calm' | { connection: number } | { upBytes: number } | { downBytes: number } | { told: number };

function endOf(chance: { next(below: number): number }): End {
  const kind = chance.next(4);
  if (kind === 0) return { connection: 1 + chance.next(3) };
  if (kind === 1) return { upBytes: 100 + chance.next(FILE_BYTES_MAX) };
  if (kind === 2) return { downBytes: 1 + chance.next(1_500) };
  return { told: 1 + chance.next(FILES_A_LIFE) };
}

describe.each([
  { seed: 1, options: [] },
  { seed: 2, options: ['--delete'] },
  { seed: 3, options: ['--move'] },
])('watch $options, killed (-9) again and again (seed $seed)', ({ seed, options }) => {
  test('files appear meanwhile → each is on the server exactly once, and its link is known', async () => {
    const chance = seededChance(seed);
    const folder = await temporaryFolder();
    const [inbox, done, links] = ['inbox', 'done', 'links.ndjson'].map((name) => join(folder.path, name)) as [
      string,
      string,
      string,
    ];
    await mkdir(inbox);
    await mkdir(done);
    const server = await startTestServer({ FUSELINK_UPLOADS_PER_MINUTE: '1000' });
    const { key } = await server.device();
    let kill = () => {};
    let end: End = { told: 1 };
    const proxy = await startFlakyProxy(server.port, (n) => {
      if (end === 'calm') return {};
      if ('connection' in end && n % 3 === end.connection % 3) kill();
      // The cut itself is the kill's: both sides are reset when so many bytes have passed.
      if ('upBytes' in end) return { cutAfterUpBytes: end.upBytes };
      return 'downBytes' in end ? { cutAfterDownBytes: end.downBytes } : {};
    });
    const expected = new Map<string, string>();
    const appear = async () => {
      const name = `file-${expected.size}.bin`;
      const size = chance.next(2) === 0 ? chance.next(3_000) : chance.next(FILE_BYTES_MAX);
      const bytes = seededBytes(size + 8, seed * 1000 + expected.size);
      expected.set(digest(bytes), name);
      await writeFile(join(inbox, `${name}.part`), bytes);
      await rename(join(inbox, `${name}.part`), join(inbox, name));
    };
    const args = ['watch', inbox, '--settle', '0', '--json', '--links', links];
    for (const option of options) args.push(option, ...(option === '--move' ? [done] : []));
    const env = {
      FUSELINK_KEY: key,
      FUSELINK_STATE: join(folder.path, 'state'),
      PATH: process.env['PATH'] ?? '',
    };
    try {
      let kills = 0;
      for (let life = 0; life < KILLS; life++) {
        end = endOf(chance);
        const cutsBefore = proxy.cuts;
        await appear();
        const child = spawn(process.execPath, [program, ...args], {
          env: { ...env, FUSELINK_URL: proxy.url },
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        kill = () => child.kill('SIGKILL');
        const watchdog = setTimeout(kill, LIFE_MS_MAX);
        const look = setInterval(() => proxy.cuts > cutsBefore && kill(), 5);
        const closed = new Promise<NodeJS.Signals | null>((resolve) =>
          child.on('close', (_, signal) => resolve(signal)),
        );
        for (let n = 1; n < FILES_A_LIFE; n++) await appear();
        let told = 0;
        for await (const _ of createInterface({ input: child.stdout })) {
          told += 1;
          // All it had is sent and nothing has ended it: here is as good as anywhere.
          if (told === (end !== 'calm' && 'told' in end ? end.told : FILES_A_LIFE)) kill();
        }
        if ((await closed) === 'SIGKILL') kills += 1;
        clearTimeout(watchdog);
        clearInterval(look);
      }
      expect(kills, `seed ${seed}`).toBe(KILLS);
      end = 'calm';
      kill = () => {};
      // The last two go on at once, from what the killed left; the second finds nothing to do.
      for (let last = 0; last < 2; last++) {
        const ran = await run(process.execPath, [program, ...args, '--once'], {
          env: { ...env, FUSELINK_URL: proxy.url },
        });
        expect([ran.code, ran.stderr], `seed ${seed}`).toEqual([0, '']);
      }
      const there = await transfers(server);
      expect(there.map(({ sha256 }) => sha256).sort(), `seed ${seed}`).toEqual([...expected.keys()].sort());
      expect(new Set(there.map(({ state }) => state))).toEqual(new Set(['ready']));
      const known = new Map<string, Set<string>>();
      for (const line of (await readFile(links, 'utf8')).trim().split('\n')) {
        // A line that a kill tore is written again whole.
        const told = parsed(line);
        if (told !== null) known.set(told.id, (known.get(told.id) ?? new Set()).add(told.url));
      }
      expect([...known.keys()].sort(), `seed ${seed}`).toEqual(there.map(({ id }) => id).sort());
      const left = (await readdir(inbox)).length;
      expect(left).toBe(options.length === 0 ? expected.size : 0);
      expect((await readdir(done)).length).toBe(options.includes('--move') ? expected.size : 0);
    } finally {
      await proxy.close();
      await server.close();
      await folder.remove();
    }
  });
});

function parsed(line: string): { id: string; url: string } | null {
  try {
    return JSON.parse(line) as { id: string; url: string };
  } catch {
    return null;
  }
}

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type PostgresServer, startPostgres } from '../../server/adapters/postgres/testing.ts';
import { selfSigned } from '../../test/e2e/read-kit.ts';
import { run } from '../../test/support/run.ts';
import { temporaryFolder } from '../../test/support/test-server.ts';
import { runProgram } from '../program.testkit.ts';
import { brokenOf, type LiveServer, shortRun, startLiveServer } from './live.testkit.ts';
import { type Lie, startLyingProxy } from './lying-proxy.testkit.ts';
import { MARK } from './marks.ts';
import { LIVE_FAULTS, type LiveOptions } from './options.ts';
import type { LiveResult } from './result.ts';

const ROOT = join(import.meta.dirname, '../..');
const BUILT = join(ROOT, 'dist/sim/fuselink-sim.mjs');
const MEMORY = { FUSELINK_METADATA: 'memory:', FUSELINK_BLOBS: 'memory:' };

// They mostly wait for back-offs and ticks.
vi.setConfig({ maxConcurrency: 8 });
const postgres: PostgresServer | null = await startPostgres();
beforeAll(async () => {
  if (!existsSync(BUILT)) await run('npm', ['run', '-s', 'build'], { cwd: ROOT });
});
afterAll(() => postgres?.stop());

/** A run against a server of its own; through a proxy that lies, where one is named. */
async function runOn(
  env: Record<string, string>,
  over: Partial<LiveOptions> & { name?: string } = {},
  how: { lie?: Lie | 'none'; hurry?: number } = {},
): Promise<LiveResult> {
  const live = await startLiveServer(env, how.hurry);
  const proxy = how.lie === undefined ? null : await startLyingProxy(live.server.url, how.lie);
  try {
    return await shortRun(live, { ...(proxy === null ? {} : { url: new URL(proxy.url) }), ...over });
  } finally {
    await proxy?.close();
    await live.close();
  }
}

test.concurrent('live: a rotation under load on SQLite and a disk → all holds', async () => {
  const result = await runOn({});
  expect(brokenOf(result)).toEqual([]);
  expect(result).toMatchObject({ ok: true, campaigns_completed: 1 });
});

// npm brings PostgreSQL for the usual machines; elsewhere there is none to run against.
test.skipIf(postgres === null).concurrent('live: a rotation under load on PostgreSQL → all holds', async () => {
  const result = await runOn({ FUSELINK_METADATA: postgres?.url() ?? '' }, {}, { hurry: 6 });
  expect(brokenOf(result)).toEqual([]);
  expect(result).toMatchObject({ ok: true, campaigns_completed: 1 });
});

test.concurrent('live: everything at once that a client can cause → nothing is found on an honest server', async () => {
  const result = await runOn(MEMORY, { faults: LIVE_FAULTS, durationMs: 6_000, seed: 3 });
  expect(brokenOf(result)).toEqual([]);
  expect(Object.keys(result.faults).length).toBeGreaterThan(8);
});

test.concurrent.each(['outage-then-herd', 'stolen-key', 'bad-canary'])(
  'live: %s → goes as its operator expects',
  async (name) => {
    // Slowly where what is proven must still be there to be rolled back.
    const hurry = name === 'bad-canary' ? { hurry: 5 } : {};
    const result = await runOn(MEMORY, { name, faults: [], durationMs: 6_000 }, hurry);
    expect(brokenOf(result)).toEqual([]);
    expect(result.missed).toBeNull();
  },
);

test.concurrent.each<[Lie, string, string]>([
  ['wrong-digest', 'answered-digest', 'rotation-under-load'],
  ['stores-twice', 'kept-once', 'rotation-under-load'],
  ['generation-falls', 'I9', 'rotation-under-load'],
  ['echoes-key', 'I11', 'rotation-under-load'],
  ['settles-falsely', 'I1', 'bad-canary'],
])('live: a server that %s → %s is broken', async (lie, check, name) => {
  // Slowly: what is proven must still be there to be rolled back.
  const result = await runOn(MEMORY, { name, faults: [], durationMs: 5_000 }, { lie, hurry: 5 });
  expect(result.ok).toBe(false);
  expect(result.findings.find((one) => one.name === check)?.broken.length).toBeGreaterThan(0);
});

test.concurrent('live: a proxy that does not lie → nothing is found', async () => {
  expect(brokenOf(await runOn(MEMORY, { faults: [] }, { lie: 'none' }))).toEqual([]);
});

test.concurrent('live: the usual limit → exactly sixty a minute; a server that has none is found', async () => {
  const env = { ...MEMORY, FUSELINK_UPLOADS_PER_MINUTE: '60' };
  const few = { devices: 2, rate: 1, faults: [] };
  const [honest, lied] = await Promise.all([
    runOn(env, few, { hurry: 1 }),
    runOn(env, few, { hurry: 1, lie: 'no-limit' }),
  ]);
  const limitOf = (result: LiveResult) => result.findings.find(({ name }) => name === 'upload-limit');
  expect(limitOf(honest)).toMatchObject({ broken: [], skipped: null });
  expect(limitOf(honest)?.checks).toBeGreaterThan(0);
  expect(limitOf(lied)?.broken[0]?.what).toBe('65 of 60 uploads were accepted within a window');
});

/** Starts the built program against a server and waits until its devices run. */
async function running(live: LiveServer): Promise<{ end(signal: NodeJS.Signals): Promise<number | null> }> {
  const words = ['live', '--url', live.server.url, '--management-key-file', live.keyFile, '--duration', '300'];
  const child = spawn(process.execPath, [BUILT, ...words, '--devices', '5', '--json'], { stdio: 'pipe' });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let out = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString();
      if (out.includes('"running"')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`the program ended with ${code}: ${out}`)));
  });
  return {
    end(signal) {
      child.kill(signal);
      return ended;
    },
  };
}

async function marked({ server }: LiveServer): Promise<unknown[]> {
  const headers = { authorization: `Bearer ${server.accountKey}` };
  const answer = await fetch(`${server.url}/v1/devices?tag=${MARK}`, { headers });
  return ((await answer.json()) as { devices: unknown[] }).devices;
}

test.concurrent('live: Ctrl-C in the middle → 130, and its devices are gone', async () => {
  const live = await startLiveServer(MEMORY);
  const program = await running(live);
  expect((await marked(live)).length).toBeGreaterThanOrEqual(5);
  expect(await program.end('SIGINT')).toBe(130);
  expect(await marked(live)).toEqual([]);
  await live.close();
});

test.concurrent('live: killed in the middle → its devices stay; --clean leaves them while they are fresh, --clean all removes them and no other', async () => {
  const live = await startLiveServer(MEMORY);
  const theirs = await live.server.device('sim-abcd1234-1');
  const program = await running(live);
  await program.end('SIGKILL');
  const left = (await marked(live)).length;
  expect(left).toBeGreaterThanOrEqual(5);
  const words = ['live', '--url', live.server.url, '--management-key-file', live.keyFile];
  const silent = await run(process.execPath, [BUILT, ...words, '--clean']);
  expect([silent.code, silent.stdout]).toEqual([0, 'removed 0 devices and ended 0 campaigns\n']);
  const all = await run(process.execPath, [BUILT, ...words, '--clean', 'all']);
  expect([all.code, all.stdout]).toEqual([
    0,
    expect.stringMatching(`^removed ${left} devices and ended [01] campaigns\n$`),
  ]);
  expect(await marked(live)).toEqual([]);
  const headers = { authorization: `Bearer ${theirs.key}` };
  expect((await fetch(`${live.server.url}/v1/device`, { headers })).status).toBe(200);
  await live.close();
});

test.concurrent('live: https with a certificate of one’s own → 3 without --ca, and a run with it', async () => {
  const folder = await temporaryFolder();
  const { cert, key } = selfSigned(folder.path);
  const live = await startLiveServer({ ...MEMORY, FUSELINK_TLS_CERT: cert, FUSELINK_TLS_KEY: key });
  const server = ['live', '--url', live.server.url, '--management-key-file', live.keyFile];
  const words = [...server, '--devices', '3', '--rate', '2.5', '--duration', '4', '--only', 'none', '--json'];
  const distrusted = await runProgram(...words);
  expect([distrusted.code, distrusted.err]).toEqual([3, expect.stringMatching(/self-signed certificate/)]);
  const trusted = await runProgram(...words, '--ca', cert);
  expect([trusted.code, trusted.err]).toEqual([0, '']);
  await live.close();
  await folder.remove();
});

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ProgramRun, runProgram } from '../program.testkit.ts';
import { brokenOf, type LiveServer, shortRun, startLiveServer } from './live.testkit.ts';
import { startLyingProxy } from './lying-proxy.testkit.ts';
import type { LiveResult } from './result.ts';
import { parseXml } from './xml.testkit.ts';

let live: LiveServer;
let theirs: string | null;
/** The program against an honest server, and a run through a proxy that loses uploads: at once, because both mostly wait. */
let honest: ProgramRun;
let lied: LiveResult;

beforeAll(async () => {
  live = await startLiveServer({ FUSELINK_METADATA: 'memory:', FUSELINK_BLOBS: 'memory:' });
  theirs = (await live.server.device('theirs')).deviceId;
  const proxy = await startLyingProxy(live.server.url, 'loses-uploads');
  const words = ['--url', live.server.url, '--management-key-file', live.keyFile, '--devices', '6', '--rate', '5'];
  const files = ['--junit', join(live.folder, 'out.xml'), '--report', join(live.folder, 'out.html')];
  [honest, lied] = await Promise.all([
    runProgram('live', ...words, '--duration', '4', '--seed', '5', '--read-back', '50', '--json', ...files),
    shortRun(live, { url: new URL(proxy.url), devices: 4, faults: [] }),
  ]);
  await proxy.close();
});
afterAll(() => live.close());

const lines = () =>
  honest.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const result = () => lines().at(-1) as unknown as LiveResult & { event: string };

test('live: a rotation under load against a real server → 0, every key replaced, nothing broken, all read back the same', () => {
  expect(brokenOf(result())).toEqual([]);
  expect(honest).toMatchObject({ code: 0, err: '' });
  expect(result()).toMatchObject({ event: 'result', ok: true, missed: null, campaigns_completed: 1, devices: 6 });
  expect(result().readings.delivered).toBe(result().readings.kept);
  expect(result().uploads.read_back).toBeGreaterThan(2);
  const looked = result().findings.filter(({ checks }) => checks > 0);
  expect(looked.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['I1', 'I2', 'I3', 'I6', 'I9', 'I11', 'I12', 'I13', 'I14', 'answered-digest', 'kept-once']),
  );
});

test('live: progress and latencies → lines of JSON while it runs, percentiles in order, every status counted', () => {
  const progress = lines().filter(({ event }) => event === 'progress');
  expect(progress.map(({ phase }) => phase)).toEqual(expect.arrayContaining(['enrolling', 'running', 'removing']));
  const upload = result().latencies.find(({ verb }) => verb === 'upload');
  expect(upload?.count).toBeGreaterThan(5);
  const { p50_ms: p50 = 0, p90_ms: p90 = 0, p99_ms: p99 = 0, max_ms: max = 0 } = upload ?? {};
  expect([p50, p90, p99, max]).toEqual([p50, p90, p99, max].sort((a, b) => a - b));
  const counted = Object.values(result().statuses).reduce((sum, count) => sum + count, 0);
  expect(counted).toBe(result().requests);
});

test('live: --junit and --report → a test case for each thing that must hold, and a page with the story', async () => {
  const xml = parseXml(await readFile(join(live.folder, 'out.xml'), 'utf8'));
  expect(xml.attributes).toMatchObject({ tests: String(result().findings.length + 1), failures: '0', errors: '0' });
  const page = await readFile(join(live.folder, 'out.html'), 'utf8');
  expect(page).toContain('rotation-under-load');
  expect(page).toContain('SOAK');
  expect(page).toContain('<title>Fuselink live · seed 5');
  expect(page).toMatch(/<th>upload<\/th><td class="number">\d+<\/td>/);
  expect(page).toMatch(/<th>kept-once<\/th>.*<td>holds<\/td>/);
});

test('live: what it prints and writes → no key, no link, nothing that opens anything', async () => {
  const files = await Promise.all(['out.xml', 'out.html'].map((name) => readFile(join(live.folder, name), 'utf8')));
  for (const text of [honest.out, honest.err, ...files]) {
    expect(text).not.toContain(live.server.accountKey);
    expect(text).not.toMatch(/\b[0-9a-f]{64}\b/);
    expect(text).not.toMatch(/\/get\/[\w-]{20,}/);
  }
});

test('live: a proxy that loses uploads it answered as taken → broken, each named, and the rest holds', () => {
  expect(lied.ok).toBe(false);
  const lost = lied.findings.find(({ name }) => name === 'kept-once')?.broken ?? [];
  expect(lost.length).toBeGreaterThan(0);
  expect(lost[0]?.what).toMatch(/^tr_\w+ was accepted, and is not there$/);
  expect(brokenOf(lied).filter((line) => !line.startsWith('kept-once'))).toEqual([]);
});

test('live: after both runs → their devices and campaigns are gone, another device of the account is as it was', async () => {
  const headers = { authorization: `Bearer ${live.server.accountKey}` };
  const get = async (path: string) =>
    (await fetch(live.server.url + path, { headers })).json() as Promise<
      Record<string, { id: string; state: string }[]>
    >;
  expect((await get('/v1/devices'))['devices']?.map(({ id }) => id)).toEqual([theirs]);
  expect((await get('/v1/campaigns'))['campaigns']?.map(({ state }) => state)).toEqual(['COMPLETED', 'COMPLETED']);
  expect(result().removed).toEqual({ devices: 7, campaigns: 0, left: [] });
});

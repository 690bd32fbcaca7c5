import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeRelay, fakeRelay } from '../node/testing/fake-relay.ts';
import { COMMANDS } from './program.ts';
import { type RunOptions, runCli } from './testing.ts';

let relay: FakeRelay;
let folder: string;
const KEY = 'ab'.repeat(32);

beforeEach(async () => {
  relay = await fakeRelay();
  relay.keys.add(KEY);
  folder = await mkdtemp(join(tmpdir(), 'fuselink-json-'));
  await mkdir(join(folder, 'inbox'));
  for (const name of ['a.csv', 'inbox/b.csv']) await writeFile(join(folder, name), 'x');
});
afterEach(async () => {
  await relay.close();
  await rm(folder, { recursive: true, force: true });
});

async function cli(args: string[], over: RunOptions = {}) {
  const env = {
    FUSELINK_URL: relay.url,
    FUSELINK_KEY: KEY,
    FUSELINK_STATE: join(folder, 'state'),
    FUSELINK_CREDENTIALS: join(folder, 'credentials'),
    ...over.env,
  };
  const ran = await runCli([...args, '--json'], { ...over, env });
  const lines = ran.out.split('\n');
  // Whole lines, each an object, and nothing else.
  expect(lines.pop()).toBe('');
  const objects = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(ran.out + ran.err).not.toContain(KEY.slice(0, 8));
  return { code: ran.code, objects };
}

describe('--json', () => {
  test('every command that can → one object a line, exit 0', async () => {
    const sent = await cli(['send', join(folder, 'a.csv')]);
    const link = String(sent.objects[0]?.['url']);
    const identity = join(folder, 'ops.key');
    const told: Record<string, Awaited<ReturnType<typeof cli>>[]> = {
      send: [sent],
      receive: [await cli(['receive', link, '-o', join(folder, 'got')])],
      watch: [await cli(['watch', join(folder, 'inbox'), '--once'])],
      record: [await cli(['record', '--device', 'pump'], { stdin: '{"n":1}\n' })],
      key: [
        await cli(['key', 'import'], { stdin: KEY }),
        await cli(['key', 'show']),
        await cli(['key', 'status']),
        await cli(['key', 'stage'], { stdin: JSON.stringify({ key: 'cd'.repeat(32), generation: 2 }) }),
      ],
      keygen: [await cli(['keygen', identity])],
      doctor: [await cli(['doctor'])],
    };
    expect(sent.objects).toEqual([expect.objectContaining({ filename: 'a.csv', size: 1, url: expect.any(String) })]);
    expect(told['record']?.[0]?.objects).toEqual([expect.objectContaining({ readings: 1, url: expect.any(String) })]);
    const fingerprint = expect.stringMatching(/^[0-9a-f]{16}$/);
    expect(told['key']?.map(({ objects }) => objects[0])).toEqual([
      expect.objectContaining({ fingerprint }),
      expect.objectContaining({ key: { fingerprint, generation: 1 }, candidate: null }),
      expect.objectContaining({ key: { fingerprint, generation: 1 }, mirrored: true }),
      expect.objectContaining({ fingerprint, generation: 2 }),
    ]);
    for (const [name, runs] of Object.entries(told)) {
      for (const { code, objects } of runs) {
        // The server of this test has no health to look at.
        expect([name, code]).toEqual([name, name === 'doctor' ? 1 : 0]);
        expect(objects.length).toBeGreaterThan(0);
      }
    }
    // `open` is shown with sealed files (test/e2e/sealed.test.ts).
    const able = COMMANDS.filter(({ options }) => options['json'] !== undefined).map(({ name }) => name);
    expect([...Object.keys(told), 'open'].sort()).toEqual(able.sort());
  });

  test('what fails → an object with its code, and the exit code of its kind', async () => {
    const missing = await cli(['send', join(folder, 'none')]);
    expect([missing.code, missing.objects]).toEqual([1, [expect.objectContaining({ error: expect.anything() })]]);
    const refused = await cli(['send', join(folder, 'a.csv')], { env: { FUSELINK_KEY: 'wrong' } });
    expect([refused.code, refused.objects.length]).toEqual([3, 1]);
    const unknown = await cli(['receive', `${relay.url}/get/${'A'.repeat(43)}`, '-o', join(folder, 'x')]);
    expect([unknown.code, unknown.objects.length]).toEqual([4, 1]);
    const away = await cli(['send', join(folder, 'a.csv'), '--wait', '1'], {
      env: { FUSELINK_URL: 'http://127.0.0.1:1' },
    });
    expect([away.code, away.objects.length]).toEqual([5, 1]);
  });
});

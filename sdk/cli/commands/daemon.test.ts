import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FakeRelay } from '../../node/testing/fake-relay.ts';
import { fakeRelay } from '../../node/testing/fake-relay.ts';
import { type Ran, type RunOptions, runCli } from '../testing.ts';

let relay: FakeRelay;
let folder: string;
let inbox: string;

beforeEach(async () => {
  relay = await fakeRelay();
  folder = await mkdtemp(join(tmpdir(), 'fuselink-daemon-'));
  inbox = join(folder, 'inbox');
  await mkdir(inbox);
});

afterEach(async () => {
  await relay.close();
  await rm(folder, { recursive: true, force: true });
});

const KEY = 'ab'.repeat(32);

const cli = (args: string[], over: RunOptions = {}): Promise<Ran> =>
  runCli(args, {
    ...over,
    env: {
      FUSELINK_URL: relay.url,
      FUSELINK_KEY: 'good-key',
      FUSELINK_STATE: join(folder, 'state'),
      FUSELINK_CREDENTIALS: join(folder, 'credentials'),
      ...over.env,
    },
  });

const names = () =>
  relay
    .finished()
    .map(({ filename }) => filename)
    .sort();
const put = (name: string, text = name) => writeFile(join(inbox, name), text);

describe('fuselink watch', () => {
  test('watch --once: files, hidden and unfinished ones, a folder → the files, once each across runs', async () => {
    await Promise.all(['a.csv', 'b.csv', '.hidden', 'c.part', 'd.tmp', 'e~'].map((name) => put(name)));
    await mkdir(join(inbox, 'folder'));
    const first = await cli(['watch', inbox, '--once', '--json']);
    expect(first.code).toBe(0);
    expect(
      first.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).filename),
    ).toEqual(['a.csv', 'b.csv']);
    await put('f.csv');
    const second = await cli(['watch', inbox, '--once']);
    expect(second.code).toBe(0);
    expect(names()).toEqual(['a.csv', 'b.csv', 'f.csv']);
  });

  test('watch: changed after it was sent → sent again', async () => {
    await put('a.csv', 'one');
    await cli(['watch', inbox, '--once']);
    await put('a.csv', 'two, longer');
    await cli(['watch', inbox, '--once']);
    expect(relay.finished().map((held) => relay.content(held).toString())).toEqual(['one', 'two, longer']);
  });

  test('watch --delete, --move → put away only after the server has it', async () => {
    await put('a.csv');
    await cli(['watch', inbox, '--once', '--delete']);
    expect(await readdir(inbox)).toEqual([]);
    await put('b.csv');
    await mkdir(join(folder, 'done'));
    await cli(['watch', inbox, '--once', '--move', join(folder, 'done')]);
    expect(await readdir(join(folder, 'done'))).toEqual(['b.csv']);
    await put('c.csv');
    const refused = await cli(['watch', inbox, '--once', '--delete'], { env: { FUSELINK_KEY: 'wrong' } });
    expect(refused.code).toBe(3);
    expect(await readdir(inbox)).toEqual(['c.csv']);
  });

  test('watch --links: the link goes to a file of mode 0600, and not to the output', async () => {
    await put('a.csv');
    const links = join(folder, 'links.ndjson');
    const ran = await cli(['watch', inbox, '--once', '--links', links]);
    expect(ran.out).not.toContain('/get/');
    expect((await stat(links)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(links, 'utf8'))).toMatchObject({
      filename: 'a.csv',
      url: expect.stringContaining('/get/'),
    });
    // A power cut tore the last line: the next one begins on its own.
    await truncate(links, (await stat(links)).size - 20);
    await put('b.csv');
    await cli(['watch', inbox, '--once', '--links', links]);
    const [, second = ''] = (await readFile(links, 'utf8')).split('\n');
    expect(JSON.parse(second)).toMatchObject({ filename: 'b.csv' });
  });

  test('watch: journal torn in its last line → what that line said is sent again, the rest is not', async () => {
    await put('a.csv');
    await put('b.csv');
    await cli(['watch', inbox, '--once']);
    const [journal] = await readdir(join(folder, 'state', 'watch'));
    const path = join(folder, 'state', 'watch', journal as string);
    await truncate(path, (await stat(path)).size - 20);
    await cli(['watch', inbox, '--once']);
    expect(names()).toEqual(['a.csv', 'b.csv', 'b.csv']);
    await cli(['watch', inbox, '--once']);
    expect(names()).toHaveLength(3);
  });

  test('watch: left running → sends what appears, ends on its signal', async () => {
    const stop = new AbortController();
    const running = cli(['watch', inbox, '--settle', '0'], {
      signal: stop.signal,
      onOut: (out) => {
        if (out.includes('second.csv')) stop.abort();
        else if (out.includes('first.csv')) void put('second.csv');
      },
    });
    await put('first.csv');
    expect((await running).code).toBe(130);
    expect(names()).toEqual(['first.csv', 'second.csv']);
  });

  test('watch: no such folder, --delete with --move → exit 2', async () => {
    expect((await cli(['watch', join(folder, 'none')])).code).toBe(2);
    expect((await cli(['watch', inbox, '--delete', '--move', folder])).code).toBe(2);
  });
});

describe('fuselink record', () => {
  const lines = () => relay.finished().flatMap((held) => gunzipSync(relay.content(held)).toString().trim().split('\n'));

  test('record: lines on standard input → each once, links on stdout, exit 0', async () => {
    const given = Array.from({ length: 500 }, (_, i) => `{"n":${i}}`);
    const ran = await cli(['record', '--device', 'pump'], { stdin: `${given.join('\n')}\n` });
    expect(ran.code).toBe(0);
    expect(lines()).toEqual(given);
    expect(ran.out).toMatch(/^http.*\/get\//);
  });

  test('record: server away → exit 5 and kept; the next run sends it', async () => {
    const away = await cli(['record', '--wait', '1'], { stdin: 'a\nb\n', env: { FUSELINK_URL: 'http://127.0.0.1:1' } });
    expect(away.code).toBe(5);
    expect(away.err).toContain('kept on disk');
    const ran = await cli(['record'], { stdin: 'c\n' });
    expect(ran.code).toBe(0);
    expect(lines()).toEqual(['a', 'b', 'c']);
  });

  test('record: stopped while reading → what was read is kept, the next run sends it', async () => {
    const stop = new AbortController();
    const input = new PassThrough();
    const running = cli(['record', '--count', '2'], { stdin: input, signal: stop.signal, onOut: () => stop.abort() });
    input.write('a\nb\n');
    expect((await running).code).toBe(130);
    await cli(['record'], { stdin: 'c\n' });
    expect(lines().sort()).toEqual(['a', 'b', 'c']);
  });

  test('record: a spool that cannot be → told once and ended, although more input would come', async () => {
    await writeFile(join(folder, 'file'), '');
    const input = new PassThrough();
    input.write('a\nb\nc\n');
    const ran = await cli(['record'], { stdin: input, env: { FUSELINK_STATE: join(folder, 'file') } });
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('spool');
  });

  test('record: csv with a header, wrong numbers → as asked, exit 2', async () => {
    const ran = await cli(['record', '--format', 'csv', '--header', 'x,y', '--no-gzip'], { stdin: '1,2\n' });
    expect(ran.code).toBe(0);
    expect(relay.content(relay.finished()[0] as (typeof relay.held)[0]).toString()).toBe('x,y\n1,2\n');
    const wrong = [
      '--count x',
      '--format xml',
      'word',
      '--lane -1',
      '--lane 8',
      '--cap 1',
      '--cap x',
      '--cap 10000000G',
    ];
    for (const args of [...wrong, '--when-full sometimes', '--sync often', '--daily-cap -1', '--merge 0']) {
      const ran = await cli(['record', ...args.split(' ')]);
      expect([args, ran.code]).toEqual([args, 2]);
    }
  });

  const away = { FUSELINK_URL: 'http://127.0.0.1:1' };
  const large = Array.from({ length: 60 }, (_, n) => `{"n":${n},"pad":"${'x'.repeat(100_000)}"}`).join('\n');
  test.each([
    ['its oldest makes room', ['--cap', '4200K'], /readings were not kept: evicted/, 'the newest'],
    ['a lane of its own', ['--lane', '3', '--cap', '4200K', '--when-full', 'never-drop'], /lane_full/, 'the oldest'],
    ['so many bytes a day', ['--daily-cap', '1M', '--sync', 'every'], /not kept: wear/, 'the oldest'],
  ])(
    'record: more than the disk may hold, %s → told and counted, the rest is sent later',
    async (_what, args, reason, rest) => {
      const ran = await cli(['record', ...args, '--wait', '1'], { stdin: large, env: away });
      expect(ran.code).toBe(5);
      expect(ran.err).toMatch(reason);
      expect((await cli(['record', ...args])).code).toBe(0);
      const kept = lines().map((line) => (JSON.parse(line) as { n: number }).n);
      expect(kept.length).toBeGreaterThan(5);
      expect(kept.length).toBeLessThan(60);
      expect(kept.at(-1) === 59).toBe(rest === 'the newest');
    },
  );

  test('record: --merge, --manifest, --no-gzip → files of that size, the manifest as first line of each', async () => {
    const given = Array.from({ length: 100 }, (_, n) => `{"n":${n}}`);
    const args = ['record', '--merge', '500', '--manifest', '--no-gzip', '--device', 'pump'];
    await cli([...args, '--wait', '1'], { stdin: given.join('\n'), env: away });
    expect((await cli(args)).code).toBe(0);
    const files = relay.finished().map((held) => relay.content(held).toString().trim().split('\n'));
    expect(files.length).toBeGreaterThan(1);
    expect(files.flatMap(([, ...rest]) => rest)).toEqual(given);
    for (const [first] of files) expect(JSON.parse(first as string)).toMatchObject({ fuselink: { device: 'pump' } });
  });
});

describe('fuselink key', () => {
  test('key: imported from standard input → fingerprint shown, the key nowhere, and send uses it', async () => {
    relay.keys.add(KEY);
    const imported = await cli(['key', 'import'], { stdin: `${KEY}\n` });
    expect(imported).toMatchObject({ code: 0, out: expect.stringMatching(/^[0-9a-f]{16}\n$/) });
    const shown = await cli(['key', 'show']);
    const status = await cli(['key', 'status', '--json']);
    expect(shown.out).toBe(imported.out);
    expect(JSON.parse(status.out)).toMatchObject({ state: 'settled', mirrored: true, candidate: null });
    for (const { out, err } of [imported, shown, status]) expect(out + err).not.toContain(KEY.slice(0, 8));
    await put('a.csv');
    expect((await cli(['send', join(inbox, 'a.csv')], { env: { FUSELINK_KEY: '' } })).code).toBe(0);
  });

  test('key: another key there → refused without --replace, replaced with it under a higher generation', async () => {
    await cli(['key', 'import'], { stdin: KEY });
    const other = 'cd'.repeat(32);
    expect((await cli(['key', 'import'], { stdin: other })).code).toBe(2);
    expect((await cli(['key', 'import'], { stdin: KEY })).code).toBe(0);
    expect((await cli(['key', 'import', '--replace'], { stdin: other })).code).toBe(0);
    expect(JSON.parse((await cli(['key', 'status', '--json'])).out).key.generation).toBe(2);
  });

  test('key: the whole JSON of an enrolment → key and recovery secret kept, 0600, neither shown', async () => {
    const recovery = 'ef'.repeat(32);
    const stdin = JSON.stringify({
      device_id: 'dev_1',
      api_key: KEY,
      recovery_secret: recovery,
      device: { name: 'x' },
    });
    const ran = await cli(['key', 'import', '--json'], { stdin });
    expect(JSON.parse(ran.out)).toMatchObject({ fingerprint: expect.any(String), recovery: true });
    for (const secret of [KEY, recovery]) expect(ran.out + ran.err).not.toContain(secret.slice(0, 8));
    const kept = join(folder, 'credentials', 'device.json');
    expect(JSON.parse(await readFile(kept, 'utf8'))).toEqual({ device_id: 'dev_1', recovery_secret: recovery });
    expect((await stat(kept)).mode & 0o777).toBe(0o600);
    expect((await cli(['key', 'import'], { stdin: '{"api_key": 1' })).code).toBe(2);
    expect((await cli(['key', 'import', '--replace'], { stdin: '{"device_id": "d"}' })).code).toBe(2);
  });

  test('key: carried by hand (the JSON of issue) → staged beside the present one, which stays', async () => {
    await cli(['key', 'import'], { stdin: KEY });
    const issued = { key: 'cd'.repeat(32), generation: 2, fingerprint: 'x', rotation: { device_id: 'dev_1' } };
    const staged = await cli(['key', 'stage', '--json'], { stdin: JSON.stringify(issued) });
    expect(staged.code).toBe(0);
    const { candidate, key } = JSON.parse((await cli(['key', 'status', '--json'])).out);
    expect([candidate.generation, key.generation]).toEqual([2, 1]);
    expect(candidate.fingerprint).toBe(JSON.parse(staged.out).fingerprint);
    expect((await cli(['key', 'stage'], { stdin: JSON.stringify({ ...issued, generation: 1 }) })).code).toBe(2);
    expect((await cli(['key', 'stage'], { stdin: 'cd'.repeat(32) })).code).toBe(2);
  });

  test('key: nonsense, nothing, a key on the command line → exit 2 without repeating it', async () => {
    for (const stdin of ['', 'nonsense-secret', 'x'.repeat(10_000)]) {
      const ran = await cli(['key', 'import'], { stdin });
      expect(ran.code).toBe(2);
      expect(ran.err).not.toContain('nonsense-secret');
    }
    const argv = await cli(['key', 'import', KEY]);
    expect(argv.code).toBe(2);
    expect(argv.err).not.toContain(KEY);
    expect((await cli(['key'])).code).toBe(2);
    expect((await cli(['key', 'show'])).code).toBe(1);
  });
});

describe('fuselink doctor', () => {
  const findings = (ran: Ran) =>
    ran.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { check: string; state: string });

  function health(): void {
    relay.faults.push({
      on: (request) => request.url === '/healthz',
      run: ({ response }) => {
        response.end('{"ok":true}');
        return true;
      },
    });
    relay.faults.push({
      on: (request) => request.url?.startsWith('/v1/transfers') ?? false,
      run: ({ request, response }) => {
        if (request.headers.authorization !== 'Bearer good-key') return false;
        response.end('{"transfers":[]}');
        return true;
      },
    });
  }

  test('doctor: all is well → exit 0, each check once, nothing stored', async () => {
    health();
    const ran = await cli(['doctor', '--json']);
    expect(findings(ran)).toEqual(
      ['name', 'server', 'clock', 'bodies', 'credentials', 'key', 'disk'].map((check) =>
        expect.objectContaining({ check, state: 'ok' }),
      ),
    );
    expect(ran.code).toBe(0);
    expect(relay.held).toEqual([]);
  });

  test('doctor: nobody there, no key, wrong key → exit 1, what is wrong and how to mend it, the key not shown', async () => {
    const away = await cli(['doctor', '--url', 'http://127.0.0.1:1'], { env: { FUSELINK_KEY: '' } });
    expect(away.code).toBe(1);
    expect(away.out).toMatch(/fail {2}server .*\n.*-> /);
    expect(away.out).toMatch(/fail {2}credentials .*\n.*-> `fuselink key import`/);
    health();
    const wrong = await cli(['doctor'], { env: { FUSELINK_KEY: 'wrong-secret' } });
    expect(wrong.code).toBe(1);
    expect(wrong.out).toMatch(/fail {2}key/);
    expect(wrong.out + wrong.err).not.toContain('wrong-secret');
  });

  test('doctor: clock far off, a proxy that refuses bodies → warned, exit 0', async () => {
    relay.faults.push({
      on: (request) => request.url === '/healthz',
      run: ({ response }) => {
        response.setHeader('Date', new Date(Date.now() - 3_600_000).toUTCString());
        response.end('{}');
        return true;
      },
    });
    relay.faults.push({
      on: (request) => request.url === '/v1/upload',
      run: ({ request, response }) => {
        request.resume();
        response.writeHead(413, { 'Content-Type': 'text/html' });
        response.end('<h1>413 Request Entity Too Large</h1>');
        return true;
      },
    });
    health();
    const ran = await cli(['doctor', '--json']);
    expect(
      findings(ran)
        .filter(({ state }) => state !== 'ok')
        .map(({ check, state }) => [check, state]),
    ).toEqual([
      ['clock', 'warn'],
      ['bodies', 'warn'],
    ]);
    expect(ran.code).toBe(0);
  });
});

import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/test-server.ts';
import { runProgram } from '../program.testkit.ts';

let folder: { path: string; remove(): Promise<void> };
let key: string;
let nonsense: string;
beforeAll(async () => {
  folder = await temporaryFolder();
  key = join(folder.path, 'key');
  await writeFile(key, `${'ab'.repeat(32)}\n`);
  nonsense = join(folder.path, 'nonsense');
  await writeFile(nonsense, 'abababab, which is no secret');
});
afterAll(() => folder.remove());

const SERVER = ['--url', 'http://127.0.0.1:9'];

test.each<[string, () => string[], RegExp]>([
  ['no server', () => ['--management-key-file', key], /which server\? give --url or set FUSELINK_URL/],
  ['no URL', () => ['--url', 'nonsense', '--management-key-file', key], /--url: expected http:\/\/… or https/],
  ['another scheme', () => ['--url', 'ftp://x', '--management-key-file', key], /got ftp:\/\//],
  ['a secret in the URL', () => ['--url', 'http://a:b@x', '--management-key-file', key], /secrets come in files/],
  ['a query', () => ['--url', 'http://x/?key=1', '--management-key-file', key], /expected no user, password or query/],
  ['no key', () => SERVER, /which account\? give --management-key-file or set FUSELINK_MANAGEMENT_KEY/],
  ['a key file that is not there', () => [...SERVER, '--management-key-file', '/nowhere'], /ENOENT/],
  ['half a sign-in', () => [...SERVER, '--management-key-file', key, '--email', 'a@b.c'], /expected both/],
  [
    'an authenticator that is none',
    () => [...SERVER, '--management-key-file', key, '--email', 'a@b.c', '--totp-file', nonsense],
    /expected an otpauth/,
  ],
  ['no CA', () => [...SERVER, '--management-key-file', key, '--ca', '/nowhere'], /--ca: ENOENT/],
  [
    'too many uploads',
    () => [...SERVER, '--management-key-file', key, '--devices', '6', '--rate', '6'],
    /at most 5\.0 uploads a second \(50 a minute each\), got 6/,
  ],
  [
    'a duration in which it is another story',
    () => [...SERVER, '--management-key-file', key, '--duration', '2s'],
    /is expected to take 4s or more, got 2s/,
  ],
  [
    'ten weeks in a minute',
    () => [...SERVER, '--management-key-file', key, '--scenario', 'ten-weeks-offline', '--duration', '1m'],
    /expected to take 80d, its real pace, got 60s \(the server’s clock is real/,
  ],
  [
    'what no client can do',
    () => [...SERVER, '--management-key-file', key, '--scenario', 'database-restored'],
    /cannot be run against a server: it brings/,
  ],
  [
    'a fault of the server',
    () => [...SERVER, '--management-key-file', key, '--only', 'server-crash'],
    /got server-crash: those of the server are yours/,
  ],
  ['a fault that is none', () => [...SERVER, '--only', 'rain'], /expected names of faults/],
  ['a word that every object knows', () => [...SERVER, '--only', 'constructor'], /expected names of faults/],
  ['no devices', () => [...SERVER, '--devices', '0'], /expected a whole number from 1 to/],
  ['a word for a time', () => [...SERVER, '--duration', 'soon'], /expected seconds, or a number with a unit/],
])('fuselink-sim live: %s → 2, and says what was expected', async (_what, words, message) => {
  const { code, out, err } = await runProgram('live', ...words());
  expect(err).toMatch(message);
  expect(err).not.toContain('abababab');
  expect([code, out]).toEqual([2, '']);
});

/** A server that gives the same answer to everything. */
async function answering(status: number, json: object): Promise<{ url: string; close(): void }> {
  const server = createServer((_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => void server.close() };
}

test.each<[string, number, object, RegExp]>([
  ['refuses the key', 401, { code: 'key_unknown', detail: 'No such key.' }, /got 401 key_unknown No such key\./],
  ['lets the key manage nothing', 200, { may_manage: false }, /this key alone opens no management: give --email/],
  ['is another server', 404, {}, /expected 200 from \/v1\/auth\/session, got 404/],
])('fuselink-sim live: the server %s → 3, said in one line, nothing enrolled', async (_what, status, json, message) => {
  const server = await answering(status, json);
  const { code, out, err } = await runProgram('live', '--url', server.url, '--management-key-file', key, '--json');
  server.close();
  expect(err).toMatch(message);
  expect(err).not.toContain('abababab');
  expect(code).toBe(3);
  expect(out).not.toContain('result');
});

test('fuselink-sim live: nobody listens → 3, with why', async () => {
  const { code, err } = await runProgram('live', '--url', 'http://127.0.0.1:9', '--management-key-file', key, '--json');
  expect([code, err]).toEqual([3, expect.stringMatching(/^error: the server does not answer: .*ECONNREFUSED/)]);
});

test('fuselink-sim live --help → 0, exit codes are in the program’s help, and what is not to be had is said', async () => {
  const { code, out } = await runProgram('live', '--help');
  expect(code).toBe(0);
  expect(out).toContain('--management-key-file');
  expect(out).toContain('never from the command line');
  expect((await runProgram('--help')).out).toMatch(/3 {2}live: the server could not be reached/);
});

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { renderUnicodeCompact } from 'uqr';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { readSettings } from '../settings.ts';
import { type RunningServer, startServer } from '../start.ts';
import { program } from './program.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'fuselink-cli-'));
const env = { FUSELINK_DATA: join(folder, 'data') };
let server: RunningServer;

beforeAll(async () => {
  vi.stubEnv('FUSELINK_DATA', env.FUSELINK_DATA);
  server = await startServer(readSettings({ ...env, FUSELINK_PORT: '0' }));
});
afterAll(async () => {
  await server.stop();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

class Exit extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/** Runs the command line in this process, as main.ts does, on the stores the server has open as well. */
async function cli(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const collect = (parts: string[]) => (text: unknown) => {
    parts.push(String(text));
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(collect(out));
  vi.spyOn(process.stderr, 'write').mockImplementation(collect(err));
  vi.spyOn(process, 'exit').mockImplementation((code) => {
    throw new Exit(Number(code ?? 0));
  });
  process.exitCode = undefined;
  let code = 0;
  try {
    await program().parseAsync(['node', 'fuselink-server', ...args]);
    code = Number(process.exitCode ?? 0);
  } catch (error) {
    code = error instanceof Exit ? error.code : 1;
    if (!(error instanceof Exit)) err.push((error as Error).message);
  } finally {
    vi.restoreAllMocks();
    process.exitCode = undefined;
  }
  return { code, out: out.join(''), err: err.join('') };
}

const login = (json: object) =>
  fetch(`${server.url}/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(json),
  });

describe('fuselink-server account, audit', () => {
  test('create: with the server running → all that signs in, as JSON; oathtool makes a code the server takes', async (context) => {
    const { out } = await cli('account', 'create', '--email', 'A@Example.com', '--json');
    const made = JSON.parse(out);
    expect(Object.keys(made).sort()).toEqual(
      ['account_id', 'api_key', 'email', 'recovery_codes', 'setup_secret', 'totp_uri'].sort(),
    );
    expect(made).toMatchObject({ email: 'a@example.com', api_key: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(made.recovery_codes).toHaveLength(10);
    const key = await fetch(`${server.url}/v1/keys`, { headers: { authorization: `Bearer ${made.api_key}` } });
    expect(key.status).toBe(200);

    const seed = new URL(made.totp_uri).searchParams.get('secret') ?? '';
    const oath = await run('oathtool', ['--totp', '--base32', seed]).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (oath === null) return context.skip('oathtool is not installed: apt-get install oathtool');
    const answer = await login({ email: made.email, api_key: made.api_key, totp: oath.stdout.trim() });
    expect(answer.status).toBe(200);
  });

  test('add-user: for eyes → a QR code in the terminal that says the otpauth URI, ten codes, the setup secret', async () => {
    await owner();
    const { out } = await cli('account', 'add-user', '--email', 'eyes@example.com', '--role', 'auditor');
    const uri = /^otpauth:\/\/totp\/\S+$/m.exec(out)?.[0] ?? '';
    expect(new URL(uri).searchParams.get('secret')).toMatch(/^[A-Z2-7]{32}$/);
    expect(out).toContain(renderUnicodeCompact(uri));
    const codes = out.slice(out.indexOf('Recovery codes')).match(/\b[0-9a-z]{4}(?:-[0-9a-z]{4}){3}\b/g) ?? [];
    expect(new Set(codes).size).toBe(10);
    expect(out).toMatch(/Setup secret {3}\S+/);
  });

  test('users: added, set to a role, reset and removed from the command line → the running server follows', async () => {
    const { json } = await owner();
    const added = JSON.parse(
      (await cli('account', 'add-user', '--email', 'b@example.com', '--role', 'auditor', '--json')).out,
    );
    expect(added).toMatchObject({ email: 'b@example.com', role: 'auditor', second_factor: 'pending' });
    const person = { email: 'b@example.com', api_key: json.api_key };
    expect((await login({ ...person, recovery_code: added.recovery_codes[0] })).status).toBe(200);
    const reset = JSON.parse((await cli('account', 'reset-second-factor', '--email', 'b@example.com', '--json')).out);
    expect((await login({ ...person, recovery_code: added.recovery_codes[1] })).status).toBe(401);
    expect((await login({ ...person, recovery_code: reset.recovery_codes[0] })).status).toBe(200);
    expect((await cli('account', 'set-role', '--email', 'b@example.com', '--role', 'operator')).out).toContain(
      'is operator now',
    );
    expect((await cli('account', 'remove-user', '--email', 'b@example.com')).code).toBe(0);
    expect((await login({ ...person, recovery_code: reset.recovery_codes[1] })).status).toBe(401);
    const unknown = await cli('account', 'set-role', '--email', 'nobody@example.com', '--role', 'operator');
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('there is no user nobody@example.com')]);
    const misspelt = await cli('account', 'add-user', '--email', 'c@example.com', '--role', 'root');
    expect([misspelt.code, misspelt.err]).toEqual([2, expect.stringContaining('owner, operator, auditor')]);
  });

  test('audit: verify → the chain holds, exit 0; an entry altered → exit 1 and which', async () => {
    await owner();
    const { store } = server.deps;
    const before = await cli('audit', 'verify', '--json');
    expect([before.code, JSON.parse(before.out).ok]).toEqual([0, true]);
    const { head } = JSON.parse(before.out);
    expect((await cli('audit', 'verify', '--head', `${head.seq}:${head.hash}`)).code).toBe(0);
    const [row] = await store.list('audit', { where: [], orderBy: [['id', 'asc']], limit: 1 });
    if (row === undefined) throw new Error('expected an entry');
    await store.commit([{ kind: 'put', table: 'audit', row: { ...row, actor: 'nobody' } }]);
    const after = await cli('audit', 'verify');
    await store.commit([{ kind: 'put', table: 'audit', row }]);
    expect([after.code, after.out]).toEqual([1, expect.stringContaining(`Broken at entry ${row.seq}`)]);
    expect((await cli('audit', 'list', '--limit', '3')).out).toContain('operator:cli');
  });

  test('events: what the server commits meanwhile → told by another process, as JSON a line, until as many as were asked for', async () => {
    const { json } = await owner();
    const head = JSON.parse((await cli('audit', 'list', '--limit', '1', '--json')).out).entries[0].seq;
    const following = cli('events', '--after', String(head), '--action', 'transfer.', '--count', '2', '--json');
    for (const body of ['one', 'two'])
      await fetch(`${server.url}/v1/upload`, { method: 'POST', headers: { 'x-api-key': json.api_key }, body });
    const { code, out } = await following;
    const lines = out.trimEnd().split('\n');
    expect(code).toBe(0);
    expect(lines.map((line) => JSON.parse(line).action)).toEqual(['transfer.sent', 'transfer.sent']);
    const wrong = await cli('events', '--count', '0');
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('--count: expected a whole number from 1')]);
  });

  /** The account of the first test. */
  let known: Promise<{ json: { api_key: string } }> | null = null;
  function owner() {
    known ??= (async () => {
      const made = await cli('key', 'create', '--name', 'for signing in', '--json');
      return { json: { api_key: JSON.parse(made.out).key as string } };
    })();
    return known;
  }
});

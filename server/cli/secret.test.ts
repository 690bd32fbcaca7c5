import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { readSettings } from '../settings.ts';
import { startServer } from '../start.ts';
import { seedOf } from '../testing/server-kit.ts';
import { createAccount } from '../usecases/account/create-account.ts';
import { program } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'fuselink-secret-'));
const env = { FUSELINK_DATA: join(folder, 'data'), FUSELINK_PORT: '0' };
beforeAll(() => void vi.stubEnv('FUSELINK_DATA', env.FUSELINK_DATA));
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

async function rotate(): Promise<string> {
  const out: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out.push(String(text));
    return true;
  });
  try {
    await program().parseAsync(['node', 'fuselink-server', 'secret', 'rotate']);
  } finally {
    write.mockRestore();
  }
  return out.join('');
}

test('secret: rotated, twice → what was sealed before still opens; the keyring taken away → refused, with what to do', async () => {
  await expect(rotate()).rejects.toThrow('made on first start');
  const first = await startServer(readSettings(env));
  const account = await createAccount(first.deps, { email: 'a@example.com' });
  await first.stop();
  expect(await rotate()).toContain('version 2 is used from the next start on');
  expect(await rotate()).toContain('The keyring now has 3 keys');

  const second = await startServer(readSettings(env));
  expect(second.deps.keyring.current).toBe(3);
  const totp = second.deps.totp.code(seedOf(account.totpUri), Math.floor(second.deps.clock.nowMs() / 30_000));
  const signedIn = await fetch(`${second.url}/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'a@example.com', api_key: account.apiKey, totp }),
  });
  expect(signedIn.status).toBe(200);
  await second.stop();

  const { secretFile } = readSettings(env);
  renameSync(secretFile, join(folder, 'elsewhere'));
  const before = readdirSync(env.FUSELINK_DATA);
  await expect(startServer(readSettings(env))).rejects.toThrow(secretFile);
  expect(readdirSync(env.FUSELINK_DATA)).toEqual(before);
});

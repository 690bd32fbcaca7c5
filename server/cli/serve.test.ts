import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, '../main.ts');
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-serve-'));
});
afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

/** Starts the program, waits until it has said `enough`, lets `meanwhile` work with it, and stops it. */
async function serve(enough: RegExp, meanwhile: (said: string) => Promise<void>): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, 'serve'], {
    env: { PATH: process.env['PATH'] ?? '', FUSELINK_DATA: join(folder, 'data'), FUSELINK_PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  let said = '';
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error(`expected ${enough}, the program ended having said: ${said}`)));
      child.stdout.on('data', (chunk) => {
        said += String(chunk);
        if (enough.test(said)) resolve();
      });
    });
    await meanwhile(said);
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

test('serve: a server without an account → prints a link that makes the first one, once', async () => {
  await serve(/account create --email/, async (said) => {
    const link = /(http:\/\/127\.0\.0\.1:\d+)\/dashboard\/set-up#first=([\w-]{43})\n/.exec(said);
    if (link === null) throw new Error(`expected a set-up link, got: ${said}`);
    expect(new URL(link[0].trim()).search).toBe('');
    const make = () =>
      fetch(`${link[1]}/v1/auth/first-account`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email: 'first@example.com', setup_secret: link[2] }),
      });
    expect([(await make()).status, (await make()).status]).toEqual([201, 403]);
  });
});

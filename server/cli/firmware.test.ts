import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { program } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'fuselink-firmware-cli-'));

beforeAll(async () => {
  await mkdir(join(folder, 'data'));
  vi.stubEnv('FUSELINK_DATA', join(folder, 'data'));
  await cli('account', 'create', '--email', 'owner@example.com');
  await cli('device', 'enrol', 'pump');
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a command in this process; what it printed as JSON, or what it failed with. */
async function cli(...args: string[]): Promise<Record<string, unknown>> {
  const out: string[] = [];
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out.push(String(text));
    return true;
  });
  try {
    await program().parseAsync(['node', 'fuselink-server', ...args, '--json']);
    return JSON.parse(out.join('')) as Record<string, unknown>;
  } catch (error) {
    return { failed: (error as Error).message };
  } finally {
    spy.mockRestore();
  }
}

test('firmware: a key, trust, an image, its roll-out, distrust; what is not signed by a trusted key → refused', async () => {
  const key = join(folder, 'vendor.pem');
  const image = join(folder, 'pump.bin');
  await writeFile(image, Buffer.alloc(50_000, 7));
  const made = await cli('firmware', 'keygen', key);
  expect(made['public_key']).toMatch(/^[0-9a-f]{64}$/);
  expect((await stat(key)).mode & 0o777).toBe(0o600);
  expect(await readFile(key, 'utf8')).toContain('PRIVATE KEY');
  expect((await cli('firmware', 'keygen', key))['failed']).toContain('EEXIST');
  const add = () => cli('firmware', 'add', image, '--release', '1.2.0', '--key', key);
  expect((await add())['failed']).toContain('signature');
  expect((await cli('firmware', 'trust', 'abc', '--name', 'vendor'))['failed']).toContain('64 hex characters');
  await cli('firmware', 'trust', String(made['public_key']), '--name', 'vendor');
  expect((await cli('firmware', 'keys'))['keys']).toMatchObject([{ public_key: made['public_key'], name: 'vendor' }]);
  const added = await add();
  expect(added).toMatchObject({ release: '1.2.0', size: 50_000, name: 'pump.bin', signer: made['public_key'] });
  expect((await add())['failed']).toContain('1.2.0');
  expect((await cli('firmware', 'list'))['images']).toMatchObject([{ id: added['id'] }]);
  expect((await cli('campaign', 'create', 'none', '--firmware', '9.9.9'))['failed']).toContain('no such image');
  const campaign = await cli('campaign', 'create', 'pumps', '--firmware', '1.2.0', '--device', 'pump');
  expect(campaign).toMatchObject({ kind: 'firmware', state: 'DRAFT' });
  expect(await cli('campaign', 'start', String(campaign['id']))).toMatchObject({ kind: 'firmware', state: 'CANARY' });
  expect(await cli('firmware', 'distrust', String(made['public_key']))).toMatchObject({ name: 'vendor' });
  expect((await cli('firmware', 'keys'))['keys']).toEqual([]);
  expect(await cli('firmware', 'remove', String(added['id']))).toMatchObject({ id: added['id'] });
});

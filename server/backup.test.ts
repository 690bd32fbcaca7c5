import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { backUp, restore } from './backup.ts';
import type { DeviceId } from './domain/ids.ts';
import { readSettings, type ServerSettings } from './settings.ts';
import { type RunningServer, startServer } from './start.ts';
import { createAccount, operatorOf } from './usecases/account/create-account.ts';
import type { Caller } from './usecases/caller.ts';
import { enrolDevice } from './usecases/device/enrol-device.ts';
import { createKey, revokeKey } from './usecases/key/manage-keys.ts';
import { orderRotation } from './usecases/rotation/operate.ts';

let folder: string;
let settings: ServerSettings;
let server: RunningServer;
let operator: Caller;
let accountKey: string;
let file: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fuselink-backup-'));
  file = join(folder, 'monday.backup');
  settings = readSettings({ FUSELINK_DATA: join(folder, 'data'), FUSELINK_PORT: '0' });
  server = await startServer(settings);
  const account = await createAccount(server.deps, { email: 'owner@example.com' });
  accountKey = account.apiKey;
  operator = { ...operatorOf(account.accountId, account.row), mayManage: true };
});
afterEach(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const list = (key: string) => fetch(`${server.url}/v1/transfers`, { headers: { 'x-api-key': key } });
const send = (key: string, body: string) =>
  fetch(`${server.url}/v1/upload`, { method: 'POST', headers: { 'x-api-key': key }, body });
const codeOf = async (answer: Response) => ((await answer.json()) as { code?: string }).code;
/** The same link on the server that is running now: each start has a port of its own. */
const at = (link: string) => server.url + new URL(link).pathname;
const read = (link: string) => fetch(at(link), { headers: { 'user-agent': 'curl/8.0' } });

/** The disk is lost, and the backup brought back in its place. */
async function loseAndRestore(nothingEnded: boolean) {
  await server.stop();
  rmSync(join(folder, 'data'), { recursive: true });
  const report = await restore(settings, file, { nothingEnded, warn: () => {} });
  server = await startServer(settings);
  return report;
}

it('backup: taken while uploads go on → a sound copy, for its owner only, with whole transfers in it', async () => {
  const uploads = Promise.all(Array.from({ length: 30 }, (_, i) => send(accountKey, `body ${i}`)));
  await backUp(settings, file);
  await uploads;
  expect(statSync(file).mode & 0o777).toBe(0o600);
  await expect(backUp(settings, file)).rejects.toThrow(/expected a name that is not taken/);
  await loseAndRestore(true);
  const rows = await server.deps.store.list('transfers', { where: [], orderBy: [['id', 'asc']], limit: 100 });
  for (const row of rows) expect(await server.deps.store.get('bodies', { transfer_id: row.id })).not.toBeNull();
});

it('restore: what was revoked, rotated or read after the backup → stays so; one new key opens the account', async () => {
  const second = await createKey(server.deps, operator, { name: 'second' });
  const device = await enrolDevice(server.deps, operator, { name: 'boiler' });
  const sent = (await (await send(accountKey, 'read after the backup')).json()) as { url: string };
  await backUp(settings, file);
  await revokeKey(server.deps, operator, { id: second.id as never });
  expect(await (await read(sent.url)).text()).toBe('read after the backup');

  const report = await loseAndRestore(false);
  expect(report).toMatchObject({ epoch: 1, keysRevoked: 2, devicesQuarantined: 1, linksRevoked: 1 });
  expect(await codeOf(await list(second.key))).toBe('key_revoked');
  expect(await codeOf(await list(accountKey))).toBe('key_revoked');
  expect(await codeOf(await send(device.key, 'x'))).toBe('key_quarantined');
  expect((await read(sent.url)).status).toBe(410);
  const [made] = report.newKeys;
  expect(made?.email).toBe('owner@example.com');
  expect((await list(made?.key ?? '')).status).toBe(200);

  // The device was told to keep its data: released by an operator it goes on under its own key.
  await orderRotation(server.deps, operator, device.device.id as DeviceId, { verb: 'release' });
  expect((await send(device.key, 'x')).status).toBe(201);
});

it('restore: the backup was the last thing the old server did → everything is as it was, under the next epoch', async () => {
  const sent = (await (await send(accountKey, 'not read yet')).json()) as { url: string };
  await backUp(settings, file);
  const report = await loseAndRestore(true);
  expect(report).toMatchObject({ epoch: 1, keysRevoked: 0, linksRevoked: 0, newKeys: [] });
  expect((await list(accountKey)).status).toBe(200);
  expect(await (await read(sent.url)).text()).toBe('not read yet');
});

it('restore: a database is there already, or the keyring is another one → refused, and nothing is changed', async () => {
  await backUp(settings, file);
  await expect(restore(settings, file, { nothingEnded: false, warn: () => {} })).rejects.toThrow(
    /expected no database/,
  );
  expect((await list(accountKey)).status).toBe(200);
  const other = readSettings({
    FUSELINK_DATA: join(folder, 'elsewhere'),
    FUSELINK_SECRET: JSON.stringify({ fuselink_secret: 1, current: 1, keys: { 1: '13'.repeat(32) } }),
  });
  await expect(restore(other, file, { nothingEnded: false, warn: () => {} })).rejects.toThrow(/got another key/);
  expect(() => statSync(join(folder, 'elsewhere/fuselink.db'))).toThrow();
});

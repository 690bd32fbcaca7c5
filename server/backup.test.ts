import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSqliteStore } from './adapters/sqlite/metadata-store.ts';
import { backUp, restore } from './backup.ts';
import type { DeviceId } from './domain/ids.ts';
import type { RecipientRow } from './ports/tables.ts';
import { readSettings, type ServerSettings } from './settings.ts';
import { type RunningServer, startServer } from './start.ts';
import { everyTable, exampleRow, fillEveryTable, rowsOfEveryTable } from './testing/every-table.ts';
import { type SignedFields, SigningDevice } from './testing/signing-device.ts';
import { createAccount, operatorOf } from './usecases/account/create-account.ts';
import type { Caller } from './usecases/caller.ts';
import { createCampaign, orderCampaign } from './usecases/campaign/manage.ts';
import { enrolDevice } from './usecases/device/enrol-device.ts';
import { trustFirmwareKey } from './usecases/firmware/firmware-keys.ts';
import { addDelivery } from './usecases/gateway/deliveries.ts';
import { createKey, revokeKey } from './usecases/key/manage-keys.ts';
import { orderRotation } from './usecases/rotation/operate.ts';
import { addWebhook, enableWebhook } from './usecases/webhook/manage.ts';

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

it('backup: a row in every table there is → all of them in the backup, counted table by table', async () => {
  await fillEveryTable(server.deps.store);
  const before = await rowsOfEveryTable(server.deps.store);
  expect(Object.values(before).filter((rows) => rows === 0)).toEqual([]);
  await backUp(settings, file);
  await server.stop();
  rmSync(join(folder, 'data'), { recursive: true });
  await restore(settings, file, { nothingEnded: true, warn: () => {} });
  const store = await openSqliteStore({ path: join(folder, 'data/fuselink.db') });
  try {
    // One fact more: the epoch.
    expect(await rowsOfEveryTable(store)).toEqual({ ...before, facts: (before.facts ?? 0) + 1 });
    expect(Object.keys(before).sort()).toEqual(everyTable());
  } finally {
    await store.close();
  }
});

it('restore: campaigns, webhooks, signers of firmware, files for devices and sealing keys → stopped until somebody says so', async () => {
  const { deps } = server;
  const device = (await enrolDevice(deps, operator, { name: 'boiler' })).device.id as DeviceId;
  const campaign = async (name: string) => createCampaign(deps, operator, { name, selection: { devices: [device] } });
  const running = await campaign('running');
  const draft = await campaign('draft');
  const scheduled = await campaign('scheduled');
  await orderCampaign(deps, operator, running.id, { verb: 'start' });
  const startAtMs = deps.clock.nowMs() + 3_600_000;
  await orderCampaign(deps, operator, scheduled.id, { verb: 'schedule', startAtMs });
  const webhook = await addWebhook(deps, operator, { url: 'https://8.8.8.8/hook' });
  await trustFirmwareKey(deps, operator, { publicKey: 'ab'.repeat(32), name: 'vendor' });
  const sent = (await (await send(accountKey, 'for the boiler')).json()) as { url: string };
  await addDelivery(deps, operator, { device, link: sent.url });
  const recipient = { ...exampleRow('recipients', 1), account_id: operator.accountId, removed_at_ms: null };
  const doubted = { ...recipient, alarm_since_ms: null } as unknown as RecipientRow;
  await deps.store.commit([{ kind: 'insert', table: 'recipients', row: doubted }]);
  await backUp(settings, file);

  const report = await loseAndRestore(false);
  expect(report).toMatchObject({
    campaignsStopped: 2,
    webhooksDisabled: 1,
    firmwareKeysDistrusted: 1,
    deliveriesDropped: 1,
    sealingKeysDoubted: 1,
  });
  const { store } = server.deps;
  const stateOf = async (id: string) => (await store.get('campaigns', { id }))?.state;
  expect([await stateOf(running.id), await stateOf(draft.id), await stateOf(scheduled.id)]).toEqual([
    'PAUSED',
    'DRAFT',
    'ABORTED',
  ]);
  expect(await store.get('webhooks', { id: webhook.id })).toMatchObject({
    state: 'disabled',
    reason: 'the database was restored from a backup',
  });
  const rows = await rowsOfEveryTable(store);
  expect([rows['firmware_keys'], rows['deliveries']]).toEqual([0, 0]);
  expect((await store.get('recipients', { id: doubted.id }))?.alarm_since_ms).not.toBeNull();

  // Its secret is the one the receiver has, and it goes on where it was.
  expect(await enableWebhook(server.deps, operator, webhook.id)).toMatchObject({ state: 'active' });
  await orderRotation(server.deps, operator, device, { verb: 'release' });
  expect(await orderCampaign(server.deps, operator, running.id, { verb: 'resume' })).not.toMatchObject({
    state: 'PAUSED',
  });
});

it('restore: a signed request recorded after the backup, whose nonce no row remembers → refused when it is played again', async () => {
  const enrolled = await enrolDevice(server.deps, operator, { name: 'boiler' });
  const call = async (
    method: string,
    path: string,
    options: { headers?: Record<string, string>; body?: Uint8Array },
  ) => {
    const body = options.body === undefined ? {} : { body: Buffer.from(options.body) };
    const answer = await fetch(server.url + path, { method, headers: options.headers ?? {}, ...body });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text, json: text === '' ? null : JSON.parse(text) };
  };
  const device = new SigningDevice({ call } as never, { id: enrolled.device.id, key: enrolled.key });
  await device.call({ method: 'GET', target: '/v1/device' });
  await backUp(settings, file);
  const recorded: SignedFields = device.sign({ body: '21.5', headers: { 'x-filename': 'r.txt' } });
  expect((await device.send(recorded)).status).toBe(201);

  await loseAndRestore(true);
  const played = await device.send(recorded);
  expect([played.status, played.json.code]).toEqual([401, 'nonce_unknown']);
  expect((await rowsOfEveryTable(server.deps.store))['transfers']).toBe(0);
  // The device itself goes on with the nonce that this refusal brought.
  expect((await device.send(device.sign({ body: '22', headers: { 'x-filename': 'r.txt' } }))).status).toBe(201);
});

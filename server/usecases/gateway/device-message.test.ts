import { createHash, createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';
import { operatorOf } from '../account/create-account.ts';
import { raiseEpoch } from '../backup/epoch.ts';
import { addGateway, denyDevices } from './gateways.ts';

let kit: Kit;
let account: TestAccount;
let pump: { id: string; key: string };
let gateway: string;

beforeAll(async () => {
  kit = await startKit();
  account = await kit.account();
  pump = await account.device('pump');
  const operator = operatorOf(account.accountId, account.row);
  gateway = (await addGateway(kit.server.deps, operator, { name: 'hall', devices: ['pump'] })).key;
});
afterAll(() => kit.stop());

const LINE = { id: 'a1', call: 'device', boot: 1, sequence: 1, boot_tag: '8f3a01bc' };
const sha256 = (key: string) => createHash('sha256').update(Buffer.from(key, 'hex')).digest('hex');

const carry = (line: object | string, more: object = {}, key = gateway) =>
  kit.call('POST', '/v1/gateway/messages', {
    apiKey: key,
    json: { device_id: pump.id, text: typeof line === 'string' ? line : JSON.stringify(line), ...more },
  });

describe('a device’s call through its gateway', () => {
  test.each([
    ['no JSON', 'x', 'text'],
    ['no object', '[]', 'text'],
    ['no id', { ...LINE, id: '' }, 'text.id'],
    ['a call there is not', { ...LINE, call: 'upload' }, 'text.call'],
    ['a counter that is none', { ...LINE, sequence: -1 }, 'text.sequence'],
    ['an epoch that is none', { ...LINE, epoch: 1.5 }, 'text.epoch'],
    ['a boot that is none', { ...LINE, boot: 2 ** 32 }, 'text.boot'],
    ['too many keys', { ...LINE, holds: ['0'.repeat(16), '1'.repeat(16), '2'.repeat(16)] }, 'text.holds'],
    ['a body that is none', { ...LINE, body: [] }, 'text.body'],
    ['too long', { ...LINE, body: { x: 'y'.repeat(5000) } }, 'text'],
  ])('%s → invalid_field that names it', async (_what, line, field) => {
    const answer = await carry(line, { key_sha256: sha256(pump.key) });
    expect([answer.status, answer.json.code, answer.json.errors[0].field]).toEqual([400, 'invalid_field', field]);
  });

  test('nobody vouches for it, a key of another device, a key that is no digest → 401 inside, unsigned', async () => {
    const valve = await account.device('valve');
    for (const more of [{}, { key_sha256: sha256(valve.key) }, { key_sha256: 'zz' }, { fingerprint: '0'.repeat(16) }]) {
      const answer = await carry(LINE, more);
      expect(answer.status).toBe(200);
      expect(answer.json.mac).toBeNull();
      expect(JSON.parse(answer.json.text)).toMatchObject({ re: 'a1', status: 401, body: { code: 'key_unknown' } });
    }
  });

  test('the session’s key → answered and signed; a refusal of the device’s own call is an answer, too', async () => {
    const key_sha256 = sha256(pump.key);
    const good = await carry(LINE, { key_sha256 });
    expect(JSON.parse(good.json.text)).toMatchObject({ re: 'a1', status: 200, body: { device_id: pump.id } });
    expect(good.json).toMatchObject({
      fingerprint: expect.stringMatching(/^\w{16}$/),
      mac: expect.stringMatching(/^\w{64}$/),
    });
    const bad = await carry(
      { ...LINE, call: 'rotation', body: { generation: 9, sha256: 'x', fingerprint: 'y' } },
      { key_sha256 },
    );
    expect(JSON.parse(bad.json.text)).toMatchObject({ status: 400, body: { code: 'invalid_field' } });
    const wrapped = {
      generation: 9,
      sha256: '0'.repeat(64),
      fingerprint: '0'.repeat(16),
      wrapped_secret: 'f'.repeat(80),
    };
    const secret = await carry({ ...LINE, call: 'rotation', body: wrapped }, { key_sha256 });
    expect(JSON.parse(secret.json.text).body.detail).toContain('wrapped_secret');
  });

  test('not a gateway, a device that was taken from its list → refused', async () => {
    for (const key of [account.apiKey, pump.key]) {
      expect(await carry(LINE, {}, key)).toMatchObject({ status: 403, json: { code: 'role_insufficient' } });
    }
    const operator = operatorOf(account.accountId, account.row);
    await denyDevices(kit.server.deps, operator, { gateway: 'hall', devices: ['pump'] });
    expect(await carry(LINE, { key_sha256: sha256(pump.key) })).toMatchObject({
      status: 404,
      json: { code: 'not_found' },
    });
  });
});

describe('deliveries', () => {
  test('a link of nobody, of another account, no link, a device of nobody → refused; the link is nowhere in the clear', async () => {
    const target = await account.device('target');
    const sent = await kit.call('POST', '/v1/upload', { apiKey: account.apiKey, body: 'x' });
    const deliver = (link: string, id = target.id, apiKey = account.apiKey) =>
      kit.call('POST', `/v1/devices/${id}/deliveries`, { apiKey, json: { link } });
    expect(await deliver('x')).toMatchObject({ status: 400, json: { code: 'invalid_field' } });
    expect(await deliver(`${kit.url}/get/${'A'.repeat(43)}`)).toMatchObject({
      status: 404,
      json: { code: 'link_unknown' },
    });
    expect(await deliver(sent.json.url, 'dev_none')).toMatchObject({ status: 404 });
    expect(await deliver(sent.json.url, target.id, target.key)).toMatchObject({ status: 403 });
    const stranger = await kit.account();
    expect(await deliver(sent.json.url, target.id, stranger.apiKey)).toMatchObject({ status: 404 });
    expect(await deliver(sent.json.url)).toMatchObject({ status: 201, json: { device_id: target.id } });
    const token = new URL(sent.json.url).pathname.split('/')[2] as string;
    const rows = await kit.server.deps.store.list('deliveries', { where: [], orderBy: [['id', 'asc']], limit: 10 });
    expect(Buffer.from(rows[0]?.sealed_token ?? []).includes(token)).toBe(false);
    const audit = await kit.call('GET', '/v1/audit?limit=50', { apiKey: account.apiKey });
    expect(audit.text).toContain('delivery.added');
    expect(audit.text).not.toContain(token);
  });
});

describe('a counter after a restore of the database', () => {
  const hmac = (key: Uint8Array, text: string) => createHmac('sha256', key).update(text).digest();

  test('what was recorded since the backup → heard no more, whatever its counter; under the epoch that is told → heard once', async () => {
    const device = await account.device('restored');
    const operator = operatorOf(account.accountId, account.row);
    const key = (await addGateway(kit.server.deps, operator, { name: 'restored', devices: ['restored'] })).key;
    const secret = hmac(Buffer.from(device.key, 'hex'), 'fuselink device v1');
    // A session makes the server keep the device's secret: without it there is no MAC to check.
    const session = { device_id: device.id, key_sha256: sha256(device.key) };
    const { fingerprint } = (await carry(LINE, session, key)).json;
    const say = async (line: object) => {
      const text = JSON.stringify({ ...LINE, ...line });
      const mac = hmac(hmac(secret, 'fuselink mqtt up v1'), `${device.id}\n${text}`).toString('hex');
      const answer = await carry(text, { device_id: device.id, fingerprint, mac }, key);
      expect(answer.json.mac).toBe(
        hmac(hmac(secret, 'fuselink mqtt down v1'), `${device.id}\n${answer.json.text}`).toString('hex'),
      );
      const { status, epoch, body } = JSON.parse(answer.json.text);
      return [status, epoch, body.code];
    };
    expect(await say({ boot: 5, sequence: 1 })).toEqual([200, undefined, undefined]);
    // The backup is taken; what comes after it is recorded by somebody who listens.
    const counters = { id: `${device.id}/${fingerprint}` };
    const backup = await kit.server.deps.store.get('message_counters', counters);
    const recorded = { boot: 5, sequence: 2 };
    expect(await say(recorded)).toEqual([200, undefined, undefined]);
    const now = await kit.server.deps.store.get('message_counters', counters);
    await kit.server.deps.store.commit([
      {
        kind: 'put',
        table: 'message_counters',
        row: { ...(backup as NonNullable<typeof backup>), version: (now?.version ?? 0) + 1 },
      },
    ]);
    await raiseEpoch(kit.server.deps);
    expect(await say(recorded)).toEqual([409, 1, 'conflict']);
    expect(await say({ ...recorded, sequence: 3 })).toEqual([409, 1, 'conflict']);
    expect(await say({ ...recorded, epoch: 2 })).toEqual([409, 1, 'conflict']);
    expect(await say({ ...recorded, epoch: 1 })).toEqual([200, 1, undefined]);
    expect(await say({ ...recorded, epoch: 1 })).toEqual([409, undefined, 'conflict']);
    await raiseEpoch(kit.server.deps);
    expect(await say({ boot: 6, sequence: 1, epoch: 1 })).toEqual([409, 2, 'conflict']);
    expect(await say({ boot: 6, sequence: 1, epoch: 2 })).toEqual([200, 2, undefined]);
  });
});

describe('attestations', () => {
  test('a transfer of nobody, of another device, by another key; a key of another device → not_found, nothing proven', async () => {
    const a = await account.device('att-a');
    const b = await account.device('att-b');
    const operator = operatorOf(account.accountId, account.row);
    const other = (await addGateway(kit.server.deps, operator, { name: 'att', devices: ['att-a', 'att-b'] })).key;
    const upload = (key: string, device?: string) =>
      kit.call('POST', '/v1/upload', {
        apiKey: key,
        body: 'x',
        headers: device === undefined ? {} : { 'x-device': device },
      });
    const own = (await upload(a.key)).json.id;
    const sent = (await upload(other, a.id)).json.id;
    const attest = (device_id: string, key: string, transfer_id: string, apiKey = other) =>
      kit.call('POST', '/v1/gateway/attestations', {
        apiKey,
        json: { device_id, key_sha256: sha256(key), transfer_id },
      });
    for (const [device, key, transfer] of [
      [a.id, a.key, 'none'],
      [a.id, a.key, own],
      [b.id, b.key, sent],
      [a.id, b.key, sent],
      [a.id, 'ab'.repeat(32), sent],
    ] as const) {
      expect(await attest(device, key, transfer)).toMatchObject({ status: 404, json: { code: 'not_found' } });
    }
    expect(await attest(a.id, a.key, sent, account.apiKey)).toMatchObject({ status: 403 });
    expect(await attest(a.id, a.key, sent)).toMatchObject({ status: 200, json: { settled: true } });
  });
});

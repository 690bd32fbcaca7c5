import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';
import { operatorOf } from '../account/create-account.ts';
import type { Caller } from '../caller.ts';
import { revokeKey } from '../key/manage-keys.ts';
import { addGateway, allowDevices, denyDevices, listGateways } from './gateways.ts';

let kit: Kit;
let account: TestAccount;
let operator: Caller;
let pump: { id: string; key: string };
let valve: { id: string; key: string };
let gateway: { key: string; id: string; keyId: string };

beforeAll(async () => {
  kit = await startKit();
  account = await kit.account();
  operator = operatorOf(account.accountId, account.row);
  pump = await account.device('pump');
  valve = await account.device('valve');
  const made = await addGateway(kit.server.deps, operator, { name: 'hall 1', devices: ['pump'] });
  gateway = { key: made.key, id: made.gateway.id, keyId: made.gateway.key_id };
});
afterAll(() => kit.stop());

const sha256 = (key: string) => createHash('sha256').update(Buffer.from(key, 'hex')).digest('hex');

function upload(device: string | null, options: { key?: string; body?: string } = {}) {
  return kit.call('POST', '/v1/upload', {
    apiKey: options.key ?? gateway.key,
    body: options.body ?? 'reading',
    headers: { 'x-filename': 'r.txt', ...(device === null ? {} : { 'x-device': device }) },
  });
}

async function signIn(device: string, key: string, used = true) {
  const answer = await kit.call('POST', '/v1/gateway/sign-in', {
    apiKey: gateway.key,
    json: { sign_ins: [{ device_id: device, key_sha256: sha256(key) }], used },
  });
  expect(answer.status).toBe(200);
  return answer.json.sign_ins[0];
}

describe('gateway', () => {
  test('add: a name twice → conflict; a device of nobody → not_found; both leave nothing', async () => {
    const { deps } = kit.server;
    await expect(addGateway(deps, operator, { name: 'hall 1', devices: [] })).rejects.toMatchObject({
      code: 'conflict',
    });
    await expect(addGateway(deps, operator, { name: 'hall 2', devices: ['none'] })).rejects.toMatchObject({
      code: 'not_found',
    });
    const stranger = await kit.account();
    const theirs = operatorOf(stranger.accountId, stranger.row);
    await expect(addGateway(deps, theirs, { name: 'x', devices: [pump.id] })).rejects.toMatchObject({
      code: 'not_found',
    });
    await expect(allowDevices(deps, theirs, { gateway: gateway.id, devices: [] })).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(await listGateways(deps, operator)).toMatchObject([{ name: 'hall 1', devices: 1 }]);
  });

  test('sign-in: right, wrong, another device’s, unlisted → valid with the fingerprint, else unknown', async () => {
    expect(await signIn(pump.id, pump.key)).toMatchObject({
      state: 'valid',
      fingerprint: expect.stringMatching(/^\w{16}$/),
    });
    expect(await signIn(pump.id, 'ab'.repeat(32))).toEqual({ device_id: pump.id, state: 'unknown' });
    expect(await signIn(pump.id, valve.key)).toEqual({ device_id: pump.id, state: 'unknown' });
    expect(await signIn(valve.id, valve.key)).toEqual({ device_id: valve.id, state: 'unknown' });
  });

  test('sign-in: `used` → the key was used now; without it → only asked', async () => {
    const fresh = await account.device('seen');
    await allowDevices(kit.server.deps, operator, { gateway: 'hall 1', devices: ['seen'] });
    const lastUsed = async () => {
      const listed = await kit.call('GET', '/v1/keys?limit=200', { apiKey: account.apiKey });
      return listed.json.keys.find((key: { device_id: string }) => key.device_id === fresh.id).last_used_at;
    };
    await signIn(fresh.id, fresh.key, false);
    expect(await lastUsed()).toBeNull();
    await signIn(fresh.id, fresh.key, true);
    expect(await lastUsed()).not.toBeNull();
  });

  test('sign-in: a revoked key → revoked, with the fingerprint it had', async () => {
    const lost = await account.device('lost');
    await allowDevices(kit.server.deps, operator, { gateway: gateway.id, devices: [lost.id] });
    const { fingerprint } = await signIn(lost.id, lost.key);
    const key = await kit.server.deps.store.list('api_keys', {
      where: [['device_id', '=', lost.id as never]],
      orderBy: [['id', 'asc']],
      limit: 1,
    });
    await revokeKey(kit.server.deps, operator, { id: key[0]?.id as never, burn: false });
    expect(await signIn(lost.id, lost.key)).toEqual({ device_id: lost.id, state: 'revoked', fingerprint });
  });

  test('sign-in: not a gateway, not a digest, not a list → refused with why', async () => {
    const json = { sign_ins: [{ device_id: pump.id, key_sha256: sha256(pump.key) }] };
    for (const key of [account.apiKey, pump.key]) {
      const answer = await kit.call('POST', '/v1/gateway/sign-in', { apiKey: key, json });
      expect([answer.status, answer.json.code]).toEqual([403, 'role_insufficient']);
    }
    for (const wrong of [
      { sign_ins: 'x' },
      { sign_ins: [1] },
      { sign_ins: [{ device_id: pump.id, key_sha256: 'AA' }] },
    ]) {
      const answer = await kit.call('POST', '/v1/gateway/sign-in', { apiKey: gateway.key, json: wrong });
      expect([answer.status, answer.json.code]).toEqual([400, 'invalid_field']);
    }
  });

  test('upload on behalf: listed → the device’s own transfer; unlisted, none → refused', async () => {
    const sent = await upload(pump.id);
    expect(sent.status).toBe(201);
    const seen = await kit.call('GET', `/v1/transfers/${sent.json.id}`, { apiKey: pump.key });
    expect(seen.json).toMatchObject({ device_id: pump.id, key_id: gateway.keyId });
    expect(await upload(valve.id)).toMatchObject({ status: 404, json: { code: 'not_found' } });
    expect(await upload('dev_none')).toMatchObject({ status: 404, json: { code: 'not_found' } });
    expect(await upload(null)).toMatchObject({ status: 400, json: { code: 'invalid_field' } });
    expect(await upload(valve.id, { key: pump.key })).toMatchObject({ status: 400, json: { code: 'invalid_field' } });
  });

  test('upload on behalf: 60 of one device → the 61st is refused, the next device and its own key are not mixed up', async () => {
    const full = await account.device('full');
    const other = await account.device('other');
    await allowDevices(kit.server.deps, operator, { gateway: gateway.id, devices: [full.id, other.id] });
    for (let i = 0; i < 30; i++) expect((await upload(full.id)).status).toBe(201);
    for (let i = 0; i < 30; i++) {
      expect((await kit.call('POST', '/v1/upload', { apiKey: full.key, body: 'own' })).status).toBe(201);
    }
    expect(await upload(full.id)).toMatchObject({ status: 429, json: { code: 'upload_limit_exceeded' } });
    expect((await upload(other.id)).status).toBe(201);
  });

  test('a gateway key elsewhere → refused; a device taken from the list, a revoked gateway → refused at once', async () => {
    for (const [method, path] of [
      ['GET', '/v1/transfers'],
      ['GET', '/v1/keys'],
      ['GET', '/v1/devices'],
      ['GET', '/v1/account'],
    ] as const) {
      const answer = await kit.call(method, path, { apiKey: gateway.key, headers: { 'x-device': pump.id } });
      expect([path, answer.status]).toEqual([path, 403]);
    }
    const about = await kit.call('GET', '/v1/gateway', { apiKey: gateway.key });
    expect(about.json).toMatchObject({ id: gateway.id, name: 'hall 1' });
    await denyDevices(kit.server.deps, operator, { gateway: gateway.id, devices: ['pump'] });
    expect((await upload(pump.id)).status).toBe(404);
    expect(await signIn(pump.id, pump.key)).toEqual({ device_id: pump.id, state: 'unknown' });
    await revokeKey(kit.server.deps, operator, { id: gateway.keyId as never, burn: false });
    expect(await upload(pump.id)).toMatchObject({ status: 401, json: { code: 'key_revoked' } });
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { IncidentReport } from '#sdk/protocol';
import type { DeviceId } from '../../domain/ids.ts';
import { type Called, type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';
import { operatorOf } from '../account/create-account.ts';
import type { Caller } from '../caller.ts';
import { addGateway } from '../gateway/gateways.ts';
import { sweepOnce } from '../sweep.ts';
import { declareIncident } from './declare.ts';

/** Where each device is, as a proxy in front would say. */
const OFFICE = '198.51.100.7';
const PLANT = '203.0.113.9';

let kit: Kit;
let account: TestAccount;
let operator: Caller;
let token: string;

beforeEach(async () => {
  kit = await startKit({ FUSELINK_TRUST_PROXY: '1' });
  account = await kit.account();
  operator = operatorOf(account.accountId, account.row);
  ({ token } = await account.signIn());
});
afterEach(() => kit.stop());

interface Device {
  id: string;
  name: string;
  key: string;
}

/** Enrolled by a person who is signed in, from an address: the audit then knows who was shown the key. */
async function enrol(name: string, from: string): Promise<Device> {
  const headers = { 'x-forwarded-for': from };
  const made = await kit.call('POST', '/v1/devices', { auth: `Bearer ${token}`, json: { name }, headers });
  expect(made.status).toBe(201);
  return { id: made.json.device.id, name, key: made.json.api_key };
}

function upload(key: string, from: string): Promise<Called> {
  return kit.call('POST', '/v1/upload', {
    apiKey: key,
    body: 'reading',
    headers: { 'x-filename': 'r.txt', 'x-forwarded-for': from },
  });
}

function declare(json: Record<string, unknown>): Promise<Called> {
  return kit.call('POST', '/v1/incidents', {
    auth: `Bearer ${token}`,
    json: { reason: 'on a stolen laptop', ...json },
  });
}

async function stateOf(id: string): Promise<string> {
  return (await kit.call('GET', `/v1/devices/${id}/rotation`, { apiKey: account.apiKey })).json.state;
}

describe('a device key that is out', () => {
  test('dry run: person, place and gateway in common → named with what they share, and nothing is changed', async () => {
    const lost = await enrol('lost', OFFICE);
    const colleague = await enrol('colleague', OFFICE);
    const neighbour = await account.device('neighbour');
    const behind = await account.device('behind');
    const stranger = await account.device('stranger');
    await addGateway(kit.server.deps, operator, { name: 'plant', devices: [lost.id, behind.id] });
    for (const [key, from] of [
      [lost.key, PLANT],
      [lost.key, PLANT],
      [neighbour.key, PLANT],
      [stranger.key, '192.0.2.1'],
    ] as const) {
      expect((await upload(key, from)).status).toBe(201);
    }
    const answer = await declare({ key: 'lost' });
    expect(answer.status).toBe(200);
    const report: IncidentReport = answer.json;
    expect(report).toMatchObject({
      dry_run: true,
      outcome: 'would-stop',
      action: 'quarantine',
      seen_by: [{ who: account.email, this_key: true }],
      gateways: ['plant'],
      devices_total: 3,
      transfers_total: 2,
      unread_total: 2,
      burned: 0,
      campaign_id: null,
    });
    expect(report.addresses.sort()).toEqual([OFFICE, PLANT].sort());
    expect(report.devices.map(({ name, shares }) => [name, shares])).toEqual([
      ['behind', ['gateway']],
      ['colleague', ['person']],
      ['neighbour', ['address']],
    ]);
    expect(report.keys).toMatchObject([{ kind: 'gateway', name: 'plant' }]);
    expect(report.lines.at(-1)).toBe('Nothing has been changed: this is what would be done.');
    expect(await stateOf(lost.id)).toBe('IDLE');
    expect(await stateOf(colleague.id)).toBe('IDLE');
    expect((await kit.call('GET', '/v1/campaigns', { apiKey: account.apiKey })).json.campaigns).toEqual([]);
    const audit = await kit.call('GET', '/v1/audit', { apiKey: account.apiKey });
    expect(JSON.stringify(audit.json)).not.toContain('incident.');
  });

  test('done: → the key only reports, unread files are gone, the others are rotated, every step is in the audit', async () => {
    const lost = await enrol('lost', OFFICE);
    const colleague = await enrol('colleague', OFFICE);
    const sent = (await upload(lost.key, PLANT)).json;
    const answer = await declare({ key: lost.id, dry_run: false });
    const report: IncidentReport = answer.json;
    expect(report).toMatchObject({ outcome: 'stopped', burned: 1, devices_total: 1 });
    expect((await upload(lost.key, PLANT)).json.code).toBe('key_quarantined');
    expect((await fetch(sent.url, { headers: { 'user-agent': 'curl/8' } })).status).toBe(410);
    expect(await stateOf(lost.id)).toBe('QUARANTINED');
    kit.advance(3000);
    await sweepOnce(kit.server.deps, { atStart: false });
    expect(await stateOf(colleague.id)).toBe('WANTED');
    const campaign = await kit.call('GET', `/v1/campaigns/${report.campaign_id}`, { apiKey: account.apiKey });
    expect(campaign.json).toMatchObject({ state: 'CANARY', progress: { open: 1 } });
    const story = await kit.call('GET', `/v1/devices/${lost.id}/story`, { apiKey: account.apiKey });
    const sentences = story.json.events.map(({ sentence }: { sentence: string }) => sentence);
    expect(sentences.slice(-3)).toEqual([
      expect.stringContaining('is out. Reason: on a stolen laptop.'),
      expect.stringContaining('put the device in quarantine'),
      expect.stringContaining('1 unread transfers burned, 1 other devices to be rotated'),
    ]);
    expect((await kit.call('GET', '/v1/audit/verify', { apiKey: account.apiKey })).json.ok).toBe(true);
  });

  test('repeated: → stopped already, the same campaign, nothing twice', async () => {
    const lost = await enrol('lost', OFFICE);
    await enrol('colleague', OFFICE);
    const first = (await declare({ key: 'lost', dry_run: false })).json;
    const second = (await declare({ key: lost.id, dry_run: false })).json;
    expect(second).toMatchObject({ outcome: 'stopped-already', burned: 0, campaign_id: first.campaign_id });
  });

  test('crashes: the n-th commit fails, before or after it was done, for every n → a repeat ends it', async () => {
    await enrol('lost', OFFICE);
    await enrol('colleague', OFFICE);
    const { deps } = kit.server;
    const { store } = deps;
    let commits = 0;
    let failAt = 0;
    const faulty = (after: boolean) =>
      Object.assign(Object.create(store), {
        commit: async (writes: Parameters<typeof store.commit>[0]) => {
          commits++;
          if (commits === failAt && !after) throw new Error('crashed');
          const outcome = await store.commit(writes);
          if (commits === failAt && after) throw new Error('crashed');
          return outcome;
        },
      });
    const what = { key: 'lost', reason: 'out', dryRun: false };
    for (const after of [false, true]) {
      for (failAt = 1; failAt < 12; failAt++) {
        commits = 0;
        deps.store = faulty(after);
        await declareIncident(deps, operator, what).catch((error: Error) => expect(error.message).toBe('crashed'));
      }
    }
    deps.store = store;
    const report = await declareIncident(deps, operator, what);
    expect(report.outcome).toBe('stopped-already');
    const campaigns = (await kit.call('GET', '/v1/campaigns', { apiKey: account.apiKey })).json.campaigns;
    expect(campaigns).toHaveLength(1);
    expect(campaigns[0]).toMatchObject({ id: report.campaign_id, state: 'CANARY' });
  });

  test('revoke: asked for → every key of the device is revoked, and it has to be provisioned', async () => {
    const lost = await enrol('lost', OFFICE);
    const report = (await declare({ key: 'lost', action: 'revoke', rotate: 'none', dry_run: false })).json;
    expect(report).toMatchObject({ action: 'revoke', outcome: 'stopped', devices_total: 0, campaign_id: null });
    expect((await upload(lost.key, PLANT)).json.code).toBe('key_revoked');
    expect(await stateOf(lost.id)).toBe('LOST');
  });

  test('an earlier key, by its fingerprint, after the device has another → the device is stopped all the same', async () => {
    const lost = await enrol('lost', OFFICE);
    const rotation = await kit.call('GET', `/v1/devices/${lost.id}/rotation`, { apiKey: account.apiKey });
    const fingerprint: string = rotation.json.active;
    await kit.call('POST', `/v1/devices/${lost.id}/lose`, { auth: `Bearer ${token}`, json: { reason: 'test' } });
    await kit.call('POST', `/v1/devices/${lost.id}/reprovision`, { auth: `Bearer ${token}` });
    const report = (await declare({ key: fingerprint, rotate: 'none', dry_run: false })).json;
    expect(report).toMatchObject({ outcome: 'stopped', key: { fingerprint, state: 'revoked' } });
    expect(await stateOf(lost.id)).toBe('QUARANTINED');
  });
});

describe('other keys that are out', () => {
  test('gateway key: → revoked, and every device behind it is rotated', async () => {
    const behind = await account.device('behind');
    const { gateway, fingerprint } = await addGateway(kit.server.deps, operator, {
      name: 'plant',
      devices: [behind.id as DeviceId],
    });
    const report = (await declare({ key: fingerprint, dry_run: false })).json;
    expect(report).toMatchObject({ action: 'revoke', outcome: 'stopped', gateways: ['plant'], devices_total: 1 });
    expect(report.devices).toMatchObject([{ name: 'behind', shares: ['gateway'] }]);
    expect((await kit.server.deps.store.get('api_keys', { id: gateway.key_id }))?.state).toBe('revoked');
  });

  test('account key: who signed in with it → what they enrolled is rotated, and the key signs nobody in', async () => {
    const enrolled = await enrol('enrolled', OFFICE);
    const { id } = account.row;
    const report = await declareIncident(kit.server.deps, operator, { key: id, reason: 'out', dryRun: false });
    expect(report.seen_by.map(({ who }) => who)).toContain(account.email);
    expect(report.devices).toMatchObject([{ id: enrolled.id, shares: ['person'] }]);
    expect((await kit.call('GET', '/v1/account', { apiKey: account.apiKey })).json.code).toBe('key_revoked');
  });
});

test.each([
  ['no rights', { key: 'x' }, 'key', 403, 'management_required'],
  ['no such key', { key: 'nothing' }, 'token', 404, 'not_found'],
  ['no reason', { key: 'x', reason: ' ' }, 'token', 400, 'invalid_field'],
  ['another action', { key: 'x', action: 'explode' }, 'token', 400, 'invalid_field'],
] as const)('refused: %s → said so, and nothing is done', async (_name, json, by, status, code) => {
  const auth = by === 'key' ? account.apiKey : token;
  const answer = await kit.call('POST', '/v1/incidents', { auth: `Bearer ${auth}`, json: { reason: 'r', ...json } });
  expect([answer.status, answer.json.code]).toEqual([status, code]);
});

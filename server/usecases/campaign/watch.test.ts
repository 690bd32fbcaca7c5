import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';
import { driveCampaigns } from './drive.ts';

let kit: Kit;
let account: TestAccount;
let token: string;
let id: string;
beforeAll(async () => {
  kit = await startKit();
  account = await kit.account();
  for (const name of ['a', 'b', 'c']) await account.device(name);
  token = (await account.signIn()).token;
  const made = await kit.call('POST', '/v1/campaigns', { auth: token, json: { name: 'spring', canary: 1 } });
  id = made.json.id;
});
afterAll(() => kit.stop());

const get = async (path: string) => (await kit.call('GET', `/v1/campaigns/${id}/${path}`, { auth: token })).json;
async function drive(ms: number) {
  kit.advance(ms);
  await driveCampaigns(kit.server.deps);
}

describe('watching a campaign', () => {
  test('history: a draft → one sample, of now', async () => {
    expect((await get('history')).samples).toMatchObject([{ waiting: 0, wanted: 0, done: 0 }]);
  });

  test('history: driven on → what changed, once; nothing new is not written down again', async () => {
    await kit.call('POST', `/v1/campaigns/${id}/start`, { auth: token, json: {} });
    await drive(3_000);
    await drive(60_000);
    await drive(60_000);
    const { samples } = await get('history');
    const last = samples.at(-1);
    expect(last).toMatchObject({ waiting: 2, wanted: 1, done: 0, errors: 0 });
    const rows = await kit.server.deps.store.count('campaign_samples', { where: [['campaign_id', '=', id]] });
    expect(rows.rows).toBeLessThan(3);
    expect(samples.map(({ at }: { at: string }) => at)).toEqual(samples.map(({ at }: { at: string }) => at).toSorted());
  });

  test('members: page by page and by outcome → names, waves and where their rotations are', async () => {
    const all = await get('members?limit=2');
    expect(all.members).toHaveLength(2);
    const rest = await get(`members?limit=2&cursor=${all.next_cursor}`);
    const members = [...all.members, ...rest.members];
    expect(members.map(({ device_name }) => device_name).toSorted()).toEqual(['a', 'b', 'c']);
    expect(rest.next_cursor).toBeNull();
    const open = await get('members?outcome=open');
    expect(open.members).toMatchObject([{ wave: 0, outcome: 'open', rotation_state: 'WANTED', contacted: false }]);
  });

  test("members and history: a stranger's → 404", async () => {
    const stranger = await (await kit.account()).signIn();
    for (const path of ['members', 'history']) {
      const answer = await kit.call('GET', `/v1/campaigns/${id}/${path}`, { auth: stranger.token });
      expect(answer.status).toBe(404);
    }
  });

  test('history: a draft that lay for months, then started → sampled as often as any other', async () => {
    const old = await kit.call('POST', '/v1/campaigns', { auth: token, json: { name: 'old draft', canary: 1 } });
    kit.advance(90 * 86_400_000);
    ({ token } = await account.signIn());
    await kit.call('POST', `/v1/campaigns/${old.json.id}/start`, { auth: token, json: {} });
    for (let tick = 0; tick < 3; tick++) await drive(10_000);
    const devices = await kit.call('GET', '/v1/devices?state=WANTED', { auth: token });
    await kit.call('POST', `/v1/devices/${devices.json.devices[0].id}/quarantine`, {
      auth: token,
      json: { reason: 'x' },
    });
    await drive(10_000);
    const { samples } = (await kit.call('GET', `/v1/campaigns/${old.json.id}/history`, { auth: token })).json;
    expect(samples.length).toBeGreaterThanOrEqual(2);
  });
});

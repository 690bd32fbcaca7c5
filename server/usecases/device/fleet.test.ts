import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';

let kit: Kit;
let account: TestAccount;
let token: string;
beforeAll(async () => {
  kit = await startKit();
  account = await kit.account();
  token = (await account.signIn()).token;
});
afterAll(() => kit.stop());

const list = async (query: string) => (await kit.call('GET', `/v1/devices${query}`, { auth: token })).json;
const names = (page: { devices: { name: string }[] }) => page.devices.map(({ name }) => name);

describe('the fleet', () => {
  beforeAll(async () => {
    for (const [name, profile, tags] of [
      ['boiler-1', 'raspberry', ['hall a', 'heat']],
      ['boiler-2', 'raspberry', ['hall b', 'heat']],
      ['gate', 'plc', ['hall a']],
    ] as const) {
      kit.advance(1);
      const made = await kit.call('POST', '/v1/devices', { auth: token, json: { name, profile, tags: [...tags] } });
      expect(made.status).toBe(201);
    }
  });

  test.each([
    ['nothing asked', '', ['gate', 'boiler-2', 'boiler-1']],
    ['part of a name, in any case', '?q=OILER', ['boiler-2', 'boiler-1']],
    ['part of a tag', '?q=hall%20a', ['gate', 'boiler-1']],
    ['a whole tag', '?tag=heat', ['boiler-2', 'boiler-1']],
    ['half a tag', '?tag=hea', []],
    ['a profile', '?profile=plc', ['gate']],
    ['all of it', '?profile=raspberry&tag=heat&q=1', ['boiler-1']],
    ['what nobody is called', '?q=nobody', []],
    ['a state that none is in', '?state=LOST', []],
  ])('list: %s → %s', async (_what, query, expected) => {
    const page = await list(query);
    expect(names(page)).toEqual(expected);
    expect(page).toMatchObject({ next_cursor: null, total: 3 });
  });

  test('list: one row a page → every device once, searched or not, and by state', async () => {
    for (const query of ['?', '?q=boiler&', '?state=IDLE&', '?state=IDLE&q=boiler&']) {
      const seen: string[] = [];
      let cursor: string | null = '';
      while (cursor !== null && seen.length < 9) {
        const page: { devices: { name: string }[]; next_cursor: string | null } = await list(
          `${query}limit=1&cursor=${encodeURIComponent(cursor)}`,
        );
        seen.push(...names(page));
        cursor = page.next_cursor;
      }
      expect(seen.sort(), query).toEqual(
        query.includes('boiler') ? ['boiler-1', 'boiler-2'] : ['boiler-1', 'boiler-2', 'gate'],
      );
    }
  });

  test('list: a device with a rotation under way → its key, its generation, its state', async () => {
    const { devices } = await list('?q=gate');
    expect(devices[0]).toMatchObject({
      rotation_state: 'IDLE',
      campaign_id: null,
      key: { generation: 1, state: 'active' },
    });
    await kit.call('POST', `/v1/devices/${devices[0].id}/rotate`, { auth: token, json: {} });
    expect((await list('?state=WANTED')).devices).toMatchObject([{ name: 'gate', key: { generation: 1 } }]);
    await kit.call('POST', `/v1/devices/${devices[0].id}/lose`, { auth: token, json: { reason: 'fell in the sea' } });
    expect((await list('?q=gate')).devices).toMatchObject([{ rotation_state: 'LOST', key: null }]);
  });

  test.each([
    ['?state=idle', 'state'],
    ['?q=' + 'x'.repeat(101), 'q'],
    ['?name=gate', 'name'],
    ['?cursor=WzFd', 'cursor'],
  ])('list: %s → 400 that names the field', async (query, field) => {
    const answer = await kit.call('GET', `/v1/devices${query}`, { auth: token });
    expect([answer.status, answer.json.errors[0].field]).toEqual([400, field]);
  });

  test('change: tags and name → so from now on, and in the audit; a name that is taken → 409', async () => {
    const [device] = (await list('?q=boiler-1')).devices;
    const path = `/v1/devices/${device.id}`;
    const changed = await kit.call('PATCH', path, { auth: token, json: { name: 'kettle', tags: ['new'] } });
    expect(changed.json).toMatchObject({ name: 'kettle', tags: ['new'], profile: 'raspberry' });
    expect((await kit.call('GET', path, { auth: token })).json).toEqual(changed.json);
    const taken = await kit.call('PATCH', path, { auth: token, json: { name: 'boiler-2' } });
    expect([taken.status, taken.json.code]).toEqual([409, 'conflict']);
    expect((await kit.call('PATCH', path, { auth: account.apiKey, json: { name: 'x' } })).status).toBe(403);
    const audit = await kit.call('GET', `/v1/audit?subject=${device.id}`, { auth: token });
    expect(audit.json.entries.map(({ action }: { action: string }) => action)).toEqual([
      'device.changed',
      'device.enrolled',
    ]);
  });

  test('removed devices: by state → shown to nobody, and the page behind them still found', async () => {
    const gone = await account.device('gone');
    await kit.call('DELETE', `/v1/devices/${gone.id}`, { auth: token });
    const page = await list('?state=IDLE');
    expect(names(page)).not.toContain('gone');
  });
});

import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CampaignAnswer } from '#sdk/protocol';
import type { DeviceId } from '../../domain/ids.ts';
import { StorageUnavailableError } from '../../ports/faults.ts';
import { type Called, type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';
import { operatorOf } from '../account/create-account.ts';
import type { Caller } from '../caller.ts';
import { enrolDevice } from '../device/enrol-device.ts';
import { lookAtRotation, orderRotation } from '../rotation/operate.ts';
import { sweepOnce } from '../sweep.ts';
import {
  type CampaignVerb,
  createCampaign,
  lookAtCampaign,
  type NewCampaign,
  orderCampaign,
  preflight,
} from './manage.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

let kit: Kit;
let account: TestAccount;
let operator: Caller;

beforeEach(async () => {
  kit = await startKit();
  account = await kit.account();
  operator = operatorOf(account.accountId, account.row);
});
afterEach(() => kit.stop());

/** A device that does as it is told, as far as it can. */
class Device {
  readonly id: DeviceId;
  readonly name: string;
  key: string;
  staged: string | null = null;

  constructor(id: DeviceId, name: string, key: string) {
    this.id = id;
    this.name = name;
    this.key = key;
  }

  upload(key: string, position?: string): Promise<Called> {
    const headers = { 'x-filename': 'r', ...(position === undefined ? {} : { 'fuselink-device': position }) };
    return kit.call('POST', '/v1/upload', { apiKey: key, body: 'x', headers });
  }

  /** One upload; what it is told is done at once. */
  async round(): Promise<Called> {
    const answer = await this.upload(this.staged ?? this.key);
    const told = answer.headers.get('fuselink-rotation') ?? '';
    if (answer.status === 201 && this.staged !== null) {
      this.key = this.staged;
      this.staged = null;
    }
    const wanted = /wanted;gen=(\d+)/.exec(told);
    if (wanted !== null && this.staged === null) return this.stage(Number(wanted[1]));
    return answer;
  }

  async stage(generation: number): Promise<Called> {
    const bytes = randomBytes(32);
    const fingerprint = createHash('sha256').update('fuselink fp').update(bytes).digest('hex').slice(0, 16);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const json = { generation, fingerprint, sha256 };
    const answer = await kit.call('POST', '/v1/device/rotation', { apiKey: this.key, json });
    if (answer.status === 200) this.staged = bytes.toString('hex');
    return answer;
  }
}

async function fleet(count: number, profile = 'pi'): Promise<Device[]> {
  const devices: Device[] = [];
  for (let i = 0; i < count; i++) {
    const name = `${profile} ${i}`;
    const made = await enrolDevice(kit.server.deps, operator, { name, profile, tags: [profile] });
    devices.push(new Device(made.device.id as DeviceId, name, made.key));
  }
  return devices;
}

const RULES = { canary: 2, growth: 3, soakMs: MINUTE_MS, sampleMin: 2, errorsPercentMax: 20 };

async function campaign(over: Partial<NewCampaign> = {}): Promise<CampaignAnswer> {
  return createCampaign(kit.server.deps, operator, {
    name: 'all',
    selection: {},
    rules: RULES,
    plan: { soakMs: 0 },
    ...over,
  });
}

const order = (id: string, verb: CampaignVerb, more: { reason?: string; startAtMs?: number } = {}) =>
  orderCampaign(kit.server.deps, operator, id, { verb, ...more });
const look = (id: string) => lookAtCampaign(kit.server.deps, operator, id);
const tick = async (ms = MINUTE_MS) => {
  kit.advance(ms);
  await sweepOnce(kit.server.deps, { atStart: false });
};
const stateOf = async ({ id }: Device) => (await lookAtRotation(kit.server.deps, operator, id)).state;

async function until(
  id: string,
  devices: readonly Device[],
  done: (now: CampaignAnswer) => boolean,
): Promise<CampaignAnswer> {
  for (let i = 0; i < 60; i++) {
    await tick();
    const now = await look(id);
    if (done(now)) return now;
    for (const device of devices) await device.round();
  }
  throw new Error(`the campaign did not get there: ${JSON.stringify(await look(id))}`);
}

describe('campaigns', () => {
  test('whole fleet: canary, soak, waves → every key is another one, and every device still sends', async () => {
    const devices = [...(await fleet(6)), ...(await fleet(3, 'esp32'))];
    const before = devices.map(({ key }) => key);
    const { id } = await campaign();
    expect(await preflight(kit.server.deps, operator, id)).toMatchObject({
      devices: 9,
      waves: [2, 6, 1],
      locked_out_total: 0,
      within_caps: true,
    });
    expect((await order(id, 'start')).state).toBe('CANARY');
    await tick();
    const asked = await Promise.all(devices.map(stateOf));
    expect(asked.filter((state) => state === 'WANTED')).toHaveLength(2);
    const end = await until(id, devices, ({ state }) => state.startsWith('COMPLETED'));
    expect(end).toMatchObject({ state: 'COMPLETED', progress: { done: 9, errors: 0, open: 0 } });
    for (const [i, device] of devices.entries()) {
      expect(device.key).not.toBe(before[i]);
      expect((await device.round()).status).toBe(201);
      expect((await device.upload(before[i] ?? '')).json.code).toBe('key_revoked');
    }
  });

  test('selection: by tag and profile → only those are asked', async () => {
    const [pi] = await fleet(1);
    const [esp] = await fleet(1, 'esp32');
    if (pi === undefined || esp === undefined) throw new Error('expected two devices');
    const { id } = await campaign({ selection: { tags: ['esp32'], profile: 'esp32' } });
    await order(id, 'start');
    await tick();
    expect([await stateOf(pi), await stateOf(esp)]).toEqual(['IDLE', 'WANTED']);
  });

  test('paused: a registration under way → told to wait, nothing is minted; resumed → goes on', async () => {
    const [device] = await fleet(1);
    if (device === undefined) throw new Error('expected a device');
    const { id } = await campaign();
    await order(id, 'start');
    await tick();
    await order(id, 'pause', { reason: 'lunch' });
    expect(await look(id)).toMatchObject({ state: 'PAUSED', reason: 'lunch' });
    expect((await device.stage(2)).json.code).toBe('rotation_paused');
    expect((await device.upload(device.key)).headers.get('fuselink-rotation')).toBeNull();
    expect((await order(id, 'resume')).state).toBe('CANARY');
    expect((await until(id, [device], ({ state }) => state === 'COMPLETED')).progress.done).toBe(1);
  });

  test('errors: devices of the canary fall back to their old keys → it pauses itself and says why', async () => {
    const devices = await fleet(6);
    const { id } = await campaign();
    await order(id, 'start');
    await tick();
    for (const device of devices) {
      if ((await stateOf(device)) !== 'WANTED') continue;
      await device.round();
      await device.round();
      await orderRotation(kit.server.deps, operator, device.id, { verb: 'roll-back' });
    }
    await tick();
    const now = await look(id);
    expect(now).toMatchObject({ state: 'PAUSED', progress: { errors: 2 } });
    expect(now.reason).toContain('2 errors among 2 devices');
    await tick();
    expect((await Promise.all(devices.map(stateOf))).every((state) => state === 'IDLE')).toBe(true);
  });

  test('limbo: one device says that both its keys are refused → everything pauses', async () => {
    const devices = await fleet(4);
    const { id } = await campaign({ rules: { ...RULES, canary: 4 } });
    await order(id, 'start');
    await tick();
    const third = devices[2];
    if (third === undefined) throw new Error('expected a third device');
    // Two keys for one generation: both are refused for good, and a device that holds them is in LIMBO.
    await third.stage(2);
    const pending = third.staged ?? '';
    await third.stage(2);
    await third.upload(pending, 'boot=3;seq=1;tag=00112233;phase=LIMBO');
    await tick();
    expect(await look(id)).toMatchObject({
      state: 'PAUSED',
      reason: expect.stringContaining('refuses both their keys'),
    });
  });

  test('silence: a device that has proven its key and is gone → an error, not a success', async () => {
    const [device] = await fleet(1);
    if (device === undefined) throw new Error('expected a device');
    const { id } = await campaign({
      plan: { soakMs: 5 * MINUTE_MS },
      rules: { ...RULES, sampleMin: 1, silenceMs: 10 * MINUTE_MS },
    });
    await order(id, 'start');
    await tick();
    await device.round();
    await device.round();
    expect(await stateOf(device)).toBe('PROVEN');
    await tick(11 * MINUTE_MS);
    expect(await look(id)).toMatchObject({ state: 'PAUSED', progress: { errors: 1 } });
  });

  test('abort: before anybody was heard → every key as it was', async () => {
    const devices = await fleet(2);
    const { id } = await campaign();
    await order(id, 'start');
    await tick();
    expect((await order(id, 'abort')).state).toBe('ABORTING');
    await tick();
    expect((await look(id)).state).toBe('ABORTED');
    for (const device of devices) {
      expect(await stateOf(device)).toBe('IDLE');
      expect((await device.upload(device.key)).status).toBe(201);
    }
  });

  test('roll back: proven and not settled → the old key is active again', async () => {
    const [device] = await fleet(1);
    if (device === undefined) throw new Error('expected a device');
    const old = device.key;
    const { id } = await campaign({ plan: { soakMs: DAY_MS } });
    await order(id, 'start');
    await tick();
    await device.round();
    await device.round();
    expect(await stateOf(device)).toBe('PROVEN');
    await order(id, 'roll-back');
    await tick();
    expect((await look(id)).state).toBe('ROLLED_BACK');
    expect((await device.upload(old)).status).toBe(201);
  });

  test('stragglers: one of three is switched off → completed with stragglers, its key untouched', async () => {
    const devices = await fleet(3);
    const [asleep, ...awake] = devices;
    if (asleep === undefined) throw new Error('expected a device');
    const { id } = await campaign({ rules: { ...RULES, waveMsMax: 10 * MINUTE_MS, stragglersMsMax: 20 * MINUTE_MS } });
    await order(id, 'start');
    const end = await until(id, awake, ({ state }) => state.startsWith('COMPLETED'));
    expect(end).toMatchObject({ state: 'COMPLETED_WITH_STRAGGLERS', progress: { done: 2, open: 1 } });
    expect((await asleep.upload(asleep.key)).status).toBe(201);
  });

  test('schedule: at its time, and again after so many days → starts by itself, and the next one is there', async () => {
    const devices = await fleet(1);
    const { id } = await campaign({ repeatEveryDays: 30 });
    await order(id, 'schedule', { startAtMs: kit.server.deps.clock.nowMs() + DAY_MS });
    await tick();
    expect((await look(id)).state).toBe('SCHEDULED');
    await tick(DAY_MS);
    expect((await look(id)).state).toBe('CANARY');
    await until(id, devices, ({ state }) => state === 'COMPLETED');
    const { campaigns } = (await kit.call('GET', '/v1/campaigns', { apiKey: account.apiKey })).json;
    expect(campaigns.map(({ state }: CampaignAnswer) => state).sort()).toEqual(['COMPLETED', 'SCHEDULED']);
  });

  test('crashes: every twentieth commit fails, before or after it was done → it ends all the same', async () => {
    const devices = await fleet(4);
    const { deps } = kit.server;
    deps.warn = () => {};
    const { id } = await campaign();
    await order(id, 'start');
    const real = deps.store.commit.bind(deps.store);
    let commits = 0;
    deps.store.commit = async (writes) => {
      commits += 1;
      if (commits % 40 === 0) throw new StorageUnavailableError('crashed before the commit');
      const outcome = await real(writes);
      if (commits % 40 === 20) throw new StorageUnavailableError('crashed after the commit');
      return outcome;
    };
    const end = await until(id, devices, ({ state }) => state.startsWith('COMPLETED'));
    deps.store.commit = real;
    expect(end.progress).toMatchObject({ done: 4, errors: 0 });
    const verify = await kit.call('GET', '/v1/audit/verify', { apiKey: account.apiKey });
    expect(verify.json.ok).toBe(true);
  });

  test('deadline: a policy other than keep → the preflight names whom it would lock out', async () => {
    await fleet(2);
    const { id } = await campaign({ plan: { policy: 'revoke', deadlineMs: DAY_MS } });
    expect(await preflight(kit.server.deps, operator, id)).toMatchObject({
      locked_out_total: 2,
      locked_out: ['pi 0', 'pi 1'],
    });
  });
});

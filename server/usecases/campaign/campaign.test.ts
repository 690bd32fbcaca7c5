import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CampaignAnswer } from '#sdk/protocol';
import { StorageUnavailableError } from '../../ports/faults.ts';
import { orderRotation } from '../rotation/operate.ts';
import { DAY_MS, MINUTE_MS, RULES, startYard, type Yard } from './campaign.testkit.ts';
import { preflight } from './manage.ts';

let yard: Yard;

beforeEach(async () => {
  yard = await startYard();
});
afterEach(() => yard.kit.stop());

describe('campaigns', () => {
  test('whole fleet: canary, soak, waves → every key is another one, and every device still sends', async () => {
    const devices = [...(await yard.fleet(6)), ...(await yard.fleet(3, 'esp32'))];
    const before = devices.map(({ key }) => key);
    const { id } = await yard.campaign();
    expect(await preflight(yard.deps, yard.operator, id)).toMatchObject({
      devices: 9,
      waves: [2, 6, 1],
      locked_out_total: 0,
      within_caps: true,
    });
    expect((await yard.order(id, 'start')).state).toBe('CANARY');
    await yard.tick();
    const asked = await Promise.all(devices.map((device) => yard.stateOf(device)));
    expect(asked.filter((state) => state === 'WANTED')).toHaveLength(2);
    const end = await yard.until(id, devices, ({ state }) => state.startsWith('COMPLETED'));
    expect(end).toMatchObject({
      state: 'COMPLETED',
      progress: { done: 9, errors: 0, open: 0 },
    });
    for (const [i, device] of devices.entries()) {
      expect(device.key).not.toBe(before[i]);
      expect((await device.round()).status).toBe(201);
      expect((await device.upload(before[i] ?? '')).json.code).toBe('key_revoked');
    }
  });

  test('selection: by tag and profile → only those are asked', async () => {
    const [pi] = await yard.fleet(1);
    const [esp] = await yard.fleet(1, 'esp32');
    if (pi === undefined || esp === undefined) throw new Error('expected two devices');
    const { id } = await yard.campaign({
      selection: { tags: ['esp32'], profile: 'esp32' },
    });
    await yard.order(id, 'start');
    await yard.tick();
    expect([await yard.stateOf(pi), await yard.stateOf(esp)]).toEqual(['IDLE', 'WANTED']);
  });

  test('paused: a registration under way → told to wait, nothing is minted; resumed → goes on', async () => {
    const [device] = await yard.fleet(1);
    if (device === undefined) throw new Error('expected a device');
    const { id } = await yard.campaign();
    await yard.order(id, 'start');
    await yard.tick();
    await yard.order(id, 'pause', { reason: 'lunch' });
    expect(await yard.look(id)).toMatchObject({
      state: 'PAUSED',
      reason: 'lunch',
    });
    expect((await device.stage(2)).json.code).toBe('rotation_paused');
    expect((await device.upload(device.key)).headers.get('fuselink-rotation')).toBeNull();
    expect((await yard.order(id, 'resume')).state).toBe('CANARY');
    expect((await yard.until(id, [device], ({ state }) => state === 'COMPLETED')).progress.done).toBe(1);
  });

  test('errors: devices of the canary fall back to their old keys → it pauses itself and says why', async () => {
    const devices = await yard.fleet(6);
    const { id } = await yard.campaign();
    await yard.order(id, 'start');
    await yard.tick();
    for (const device of devices) {
      if ((await yard.stateOf(device)) !== 'WANTED') continue;
      await device.round();
      await device.round();
      await orderRotation(yard.deps, yard.operator, device.id, {
        verb: 'roll-back',
      });
    }
    await yard.tick();
    const now = await yard.look(id);
    expect(now).toMatchObject({ state: 'PAUSED', progress: { errors: 2 } });
    expect(now.reason).toContain('2 errors among 2 devices');
    await yard.tick();
    expect((await Promise.all(devices.map((device) => yard.stateOf(device)))).every((state) => state === 'IDLE')).toBe(
      true,
    );
  });

  test('limbo: one device says that both its keys are refused → everything pauses', async () => {
    const devices = await yard.fleet(4);
    const { id } = await yard.campaign({ rules: { ...RULES, canary: 4 } });
    await yard.order(id, 'start');
    await yard.tick();
    const third = devices[2];
    if (third === undefined) throw new Error('expected a third device');
    // Two keys for one generation: both are refused for good, and a device that holds them is in LIMBO.
    await third.stage(2);
    const pending = third.staged ?? '';
    await third.stage(2);
    await third.upload(pending, 'boot=3;seq=1;tag=00112233;phase=LIMBO');
    await yard.tick();
    expect(await yard.look(id)).toMatchObject({
      state: 'PAUSED',
      reason: expect.stringContaining('refuses both their keys'),
    });
  });

  test('silence: a device that has proven its key and is gone → an error, not a success', async () => {
    const [device] = await yard.fleet(1);
    if (device === undefined) throw new Error('expected a device');
    const { id } = await yard.campaign({
      plan: { soakMs: 5 * MINUTE_MS },
      rules: { ...RULES, sampleMin: 1, silenceMs: 10 * MINUTE_MS },
    });
    await yard.order(id, 'start');
    await yard.tick();
    await device.round();
    await device.round();
    expect(await yard.stateOf(device)).toBe('PROVEN');
    await yard.tick(11 * MINUTE_MS);
    expect(await yard.look(id)).toMatchObject({
      state: 'PAUSED',
      progress: { errors: 1 },
    });
  });

  test('abort: before anybody was heard → every key as it was', async () => {
    const devices = await yard.fleet(2);
    const { id } = await yard.campaign();
    await yard.order(id, 'start');
    await yard.tick();
    expect((await yard.order(id, 'abort')).state).toBe('ABORTING');
    await yard.tick();
    expect((await yard.look(id)).state).toBe('ABORTED');
    for (const device of devices) {
      expect(await yard.stateOf(device)).toBe('IDLE');
      expect((await device.upload(device.key)).status).toBe(201);
    }
  });

  test('roll back: proven and not settled → the old key is active again', async () => {
    const [device] = await yard.fleet(1);
    if (device === undefined) throw new Error('expected a device');
    const old = device.key;
    const { id } = await yard.campaign({ plan: { soakMs: DAY_MS } });
    await yard.order(id, 'start');
    await yard.tick();
    await device.round();
    await device.round();
    expect(await yard.stateOf(device)).toBe('PROVEN');
    await yard.order(id, 'roll-back');
    await yard.tick();
    expect((await yard.look(id)).state).toBe('ROLLED_BACK');
    expect((await device.upload(old)).status).toBe(201);
  });

  test('stragglers: one of three is switched off → completed with stragglers, its key untouched', async () => {
    const devices = await yard.fleet(3);
    const [asleep, ...awake] = devices;
    if (asleep === undefined) throw new Error('expected a device');
    const { id } = await yard.campaign({
      rules: {
        ...RULES,
        waveMsMax: 10 * MINUTE_MS,
        stragglersMsMax: 20 * MINUTE_MS,
      },
    });
    await yard.order(id, 'start');
    const end = await yard.until(id, awake, ({ state }) => state.startsWith('COMPLETED'));
    expect(end).toMatchObject({
      state: 'COMPLETED_WITH_STRAGGLERS',
      progress: { done: 2, open: 1 },
    });
    expect((await asleep.upload(asleep.key)).status).toBe(201);
  });

  test('schedule: at its time, and again after so many days → starts by itself, and the next one is there', async () => {
    const devices = await yard.fleet(1);
    const { id } = await yard.campaign({ repeatEveryDays: 30 });
    await yard.order(id, 'schedule', {
      startAtMs: yard.deps.clock.nowMs() + DAY_MS,
    });
    await yard.tick();
    expect((await yard.look(id)).state).toBe('SCHEDULED');
    await yard.tick(DAY_MS);
    expect((await yard.look(id)).state).toBe('CANARY');
    await yard.until(id, devices, ({ state }) => state === 'COMPLETED');
    const { campaigns } = (
      await yard.kit.call('GET', '/v1/campaigns', {
        apiKey: yard.account.apiKey,
      })
    ).json;
    expect(campaigns.map(({ state }: CampaignAnswer) => state).sort()).toEqual(['COMPLETED', 'SCHEDULED']);
  });

  test('crashes: every twentieth commit fails, before or after it was done → it ends all the same', async () => {
    const devices = await yard.fleet(4);
    const { deps } = yard;
    deps.warn = () => {};
    const { id } = await yard.campaign();
    await yard.order(id, 'start');
    const real = deps.store.commit.bind(deps.store);
    let commits = 0;
    deps.store.commit = async (writes) => {
      commits += 1;
      if (commits % 40 === 0) throw new StorageUnavailableError('crashed before the commit');
      const outcome = await real(writes);
      if (commits % 40 === 20) throw new StorageUnavailableError('crashed after the commit');
      return outcome;
    };
    const end = await yard.until(id, devices, ({ state }) => state.startsWith('COMPLETED'));
    deps.store.commit = real;
    expect(end.progress).toMatchObject({ done: 4, errors: 0 });
    const verify = await yard.kit.call('GET', '/v1/audit/verify', {
      apiKey: yard.account.apiKey,
    });
    expect(verify.json.ok).toBe(true);
  });

  test('deadline: a policy other than keep → the preflight names whom it would lock out', async () => {
    await yard.fleet(2);
    const { id } = await yard.campaign({
      plan: { policy: 'revoke', deadlineMs: DAY_MS },
    });
    expect(await preflight(yard.deps, yard.operator, id)).toMatchObject({
      locked_out_total: 2,
      locked_out: ['pi 0', 'pi 1'],
    });
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DeviceId } from '../../domain/ids.ts';
import { addGateway } from '../gateway/gateways.ts';
import { orderRotation } from '../rotation/operate.ts';
import { MINUTE_MS, RULES, startYard, type Yard } from './campaign.testkit.ts';
import { preflight } from './manage.ts';
import { selectDevices, wavesOf } from './select.ts';

let yard: Yard;

beforeEach(async () => {
  yard = await startYard();
});
afterEach(() => yard.kit.stop());

describe('gateways', () => {
  test('selection: two gateways by name and id → the devices that either may speak for, and no other', async () => {
    const devices = await yard.fleet(5);
    const ids = devices.map(({ id }) => id);
    await addGateway(yard.deps, yard.operator, {
      name: 'north',
      devices: ids.slice(0, 2),
    });
    const south = await addGateway(yard.deps, yard.operator, {
      name: 'south',
      devices: ids.slice(1, 3),
    });
    const { id } = await yard.campaign({
      selection: { gateways: ['north', south.gateway.id] },
      rules: { canary: 9 },
    });
    expect((await preflight(yard.deps, yard.operator, id)).canary.sort()).toEqual(['pi 0', 'pi 1', 'pi 2']);
    await yard.order(id, 'start');
    await yard.tick();
    const states = await Promise.all(devices.map((device) => yard.stateOf(device)));
    expect(states).toEqual(['WANTED', 'WANTED', 'WANTED', 'IDLE', 'IDLE']);
  });

  test('selection: a gateway there is not → refused by name, and nothing starts', async () => {
    await yard.fleet(1);
    const { id } = await yard.campaign({
      selection: { gateways: ['nowhere'] },
    });
    await expect(yard.order(id, 'start')).rejects.toMatchObject({
      code: 'invalid_field',
      message: 'gateways: expected the id or name of a gateway, got "nowhere".',
    });
    expect((await yard.look(id)).state).toBe('DRAFT');
  });

  test('waves: one profile, half of it behind a gateway → half of the canary is, too', async () => {
    const devices = await yard.fleet(12);
    const behind = devices.slice(0, 6).map(({ id }) => id as DeviceId);
    await addGateway(yard.deps, yard.operator, {
      name: 'plant',
      devices: behind,
    });
    const selected = await selectDevices(yard.deps, yard.account.accountId, {});
    for (const campaignId of ['cmp_a', 'cmp_b', 'cmp_c']) {
      const [canary] = wavesOf(yard.deps, campaignId, selected, {
        canary: 4,
        growth: 2,
      });
      expect(canary?.filter((id) => behind.includes(id))).toHaveLength(2);
    }
  });
});

describe('what a tick costs', () => {
  test('forty devices asked, none heard → a tick reads no device, and as much as with four', async () => {
    const reads = async (devices: number) => {
      const profile = `kind ${devices}`;
      await yard.fleet(devices, profile);
      const { id } = await yard.campaign({
        selection: { profile },
        rules: { ...RULES, canary: devices },
      });
      await yard.order(id, 'start');
      await yard.tick(3000);
      const { store } = yard.deps;
      const counted: string[] = [];
      yard.deps.store = new Proxy(store, {
        get(target, name: keyof typeof store) {
          const value = target[name].bind(target) as (...given: unknown[]) => unknown;
          return (...given: unknown[]) => {
            counted.push(`${name} ${typeof given[0] === 'string' ? given[0] : ''}`);
            return value(...given);
          };
        },
      });
      await yard.tick(3000);
      yard.deps.store = store;
      await yard.order(id, 'abort');
      await yard.tick(3000);
      return counted;
    };
    const few = await reads(4);
    expect(few).not.toContain('get devices');
    expect(few).not.toContain('get rotations');
    expect(await reads(40)).toEqual(few);
  });

  test('a first word: a device that only uploads, and does not rotate → it counts as contacted at the next tick', async () => {
    const [device] = await yard.fleet(1);
    const { id } = await yard.campaign();
    await yard.order(id, 'start');
    await yard.tick();
    expect((await yard.look(id)).progress).toMatchObject({
      open: 1,
      contacted: 0,
    });
    await device?.upload(device.key);
    await yard.tick();
    expect((await yard.look(id)).progress).toMatchObject({
      open: 1,
      contacted: 1,
    });
    expect(
      await yard.deps.store.list('campaign_news', {
        where: [['campaign_id', '=', id]],
        limit: 9,
      }),
    ).toEqual([]);
  });

  test('no news: heard without any (its gateway signed it in) → found within ten minutes all the same', async () => {
    const [device] = await yard.fleet(1);
    const { id } = await yard.campaign();
    await yard.order(id, 'start');
    await yard.tick();
    yard.deps.store.touch('devices', device?.id ?? '', 'last_seen_at_ms', yard.deps.clock.nowMs() + 1);
    await yard.tick(11 * MINUTE_MS);
    expect((await yard.look(id)).progress.contacted).toBe(1);
  });
});

describe('letting it go on', () => {
  test('errors: paused for them, and resumed → goes on; two more errors among two → pauses anew', async () => {
    const devices = await yard.fleet(8);
    const { id } = await yard.campaign({
      rules: { ...RULES, canary: 2, growth: 1 },
    });
    await yard.order(id, 'start');
    const failAll = async () => {
      for (const device of devices) {
        if ((await yard.stateOf(device)) !== 'WANTED') continue;
        await device.round();
        await device.round();
        await orderRotation(yard.deps, yard.operator, device.id, {
          verb: 'roll-back',
        });
      }
      await yard.tick();
    };
    await yard.tick();
    await failAll();
    expect(await yard.look(id)).toMatchObject({
      state: 'PAUSED',
      progress: { errors: 2 },
    });
    await yard.order(id, 'resume');
    for (let i = 0; i < 5; i++) await yard.tick();
    expect(await yard.look(id)).toMatchObject({
      state: 'WAVE',
      reason: null,
      progress: { errors: 2, open: 2 },
    });
    await failAll();
    expect(await yard.look(id)).toMatchObject({
      state: 'PAUSED',
      reason: '2 errors among 2 devices that were heard, more than 20 %',
      progress: { errors: 4 },
    });
  });
});

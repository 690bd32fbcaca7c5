import { expect } from 'vitest';
import { createCampaign, orderCampaign } from '../../server/usecases/campaign/manage.ts';
import { type OperatorOrder, orderRotation } from '../../server/usecases/rotation/operate.ts';
import { chances } from './chances.ts';
import { type StoreKind, startVirtualServer, type VirtualServer } from './node.ts';
import { expectConverged, expectOneEntryAnArrow, expectReachable } from './oracle.ts';
import { type Harm, VirtualDevice } from './virtual-device.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DEVICES = 3;
const STEPS = 150;
const ROUNDS_MAX = 200;

function harmBy(chance: () => number): Harm {
  return {
    write() {
      const roll = chance();
      if (roll >= 0.25) return 'whole';
      return roll < 0.1 ? 'before' : roll < 0.18 ? 'torn' : 'after';
    },
    request() {
      const roll = chance();
      if (roll >= 0.44) return 'fine';
      return roll < 0.12 ? 'lost' : roll < 0.24 ? 'late' : roll < 0.36 ? 'answer-lost' : 'twice';
    },
  };
}

async function orderByChance(server: VirtualServer, device: VirtualDevice, chance: () => number): Promise<void> {
  const plan = { pendingTtlMs: HOUR_MS, soakMs: 10 * MINUTE_MS };
  const orders: readonly OperatorOrder[] = [
    { verb: 'rotate', plan },
    { verb: 'rotate', plan: { ...plan, source: 'offer' } },
    { verb: 'rotate', plan },
    { verb: 'abort' },
    { verb: 'roll-back' },
    { verb: 'quarantine', reason: 'by chance' },
  ];
  const order = orders[Math.floor(chance() * orders.length)] ?? { verb: 'abort' };
  // What its state does not allow is refused, and that is fine.
  await server.on((deps) => orderRotation(deps, server.operator, device.id, order).catch(() => null));
}

async function campaignByChance(server: VirtualServer, chance: () => number): Promise<void> {
  const { store } = server.deps();
  const [last] = await store.list('campaigns', {
    where: [['account_id', '=', server.operator.accountId]],
    orderBy: [
      ['created_at_ms', 'desc'],
      ['id', 'desc'],
    ],
    limit: 1,
  });
  const running = last !== undefined && /^(CANARY|SOAK|WAVE|STRAGGLERS|PAUSED)$/.test(last.state);
  if (!running) {
    const rules = {
      canary: 1,
      growth: 2,
      soakMs: MINUTE_MS,
      sampleMin: 1,
      waveMsMax: HOUR_MS,
      stragglersMsMax: HOUR_MS,
    };
    const plan = { soakMs: 10 * MINUTE_MS, pendingTtlMs: HOUR_MS };
    await server.on(async (deps) => {
      const { id } = await createCampaign(deps, server.operator, { name: 'by chance', selection: {}, rules, plan });
      await orderCampaign(deps, server.operator, id, { verb: 'start' });
    });
    return;
  }
  const verbs = ['pause', 'resume', 'resume', 'abort', 'roll-back'] as const;
  const verb = verbs[Math.floor(chance() * verbs.length)] ?? 'resume';
  await server.on((deps) => orderCampaign(deps, server.operator, last.id, { verb }).catch(() => null));
}

/** Nothing waits for anybody any more: campaigns that a chance left paused are called off. */
async function endCampaigns(server: VirtualServer): Promise<void> {
  const { store } = server.deps();
  const rows = await store.list('campaigns', { where: [['account_id', '=', server.operator.accountId]], limit: 100 });
  for (const { id, state } of rows) {
    if (state !== 'PAUSED' && state !== 'DRAFT') continue;
    await orderCampaign(server.deps(), server.operator, id, { verb: 'abort' });
  }
}

/** A paused campaign mints nothing, in whatever order things happen (I13): its pending keys are older than its pause. */
async function expectNothingMintedInPause(server: VirtualServer): Promise<void> {
  const { store } = server.deps();
  const rows = await store.list('campaigns', { where: [['account_id', '=', server.operator.accountId]], limit: 100 });
  for (const { id, campaign } of rows) {
    if (campaign.state !== 'PAUSED') continue;
    const minted = await store.list('rotations', {
      where: [
        ['campaign_id', '=', id],
        ['state', '=', 'MINTED'],
      ],
      limit: 9,
    });
    for (const { device_id, rotation } of minted) {
      const [key] = await store.list('api_keys', {
        where: [
          ['device_id', '=', device_id],
          ['fingerprint', '=', rotation.pending ?? ''],
        ],
        limit: 1,
      });
      expect(key?.created_at_ms).toBeLessThanOrEqual(campaign.sinceMs);
    }
  }
}

/** Everything at once, by chance: then it all heals, and every device must end on one key that works. */
export async function harshLife(kind: StoreKind, seed: number): Promise<void> {
  const chance = chances(seed);
  const server = await startVirtualServer(kind, { seed });
  try {
    const devices: VirtualDevice[] = [];
    for (let i = 0; i < DEVICES; i++) devices.push(await VirtualDevice.enrol(server, `device ${i}`, chance));
    for (const device of devices) device.harm = harmBy(chance);
    for (let step = 0; step < STEPS; step++) {
      const device = devices[Math.floor(chance() * DEVICES)] as VirtualDevice;
      if (chance() < 0.15) {
        server.crashAt({ at: 1 + Math.floor(chance() * 4), side: chance() < 0.5 ? 'before' : 'after' });
      }
      const roll = chance();
      if (roll < 0.3) await device.upload();
      else if (roll < 0.5) await device.due();
      else if (roll < 0.56) device.start();
      else if (roll < 0.64) {
        const [late] = device.late.splice(Math.floor(chance() * device.late.length), 1);
        await late?.().catch(() => null);
      } else if (roll < 0.8) {
        server.advance(Math.floor(chance() * 20 * MINUTE_MS));
        await server.sweep();
      } else if (roll < 0.92) await campaignByChance(server, chance);
      else await orderByChance(server, device, chance);
      await server.quiet();
      for (const one of devices) expectReachable(one);
      await expectNothingMintedInPause(server);
    }
    server.crashAt({ at: Number.POSITIVE_INFINITY, side: 'before' });
    for (const device of devices) device.heal();
    await endCampaigns(server);
    let settled = false;
    for (let round = 0; round < ROUNDS_MAX && !settled; round++) {
      server.advance(HOUR_MS);
      await server.sweep();
      await endCampaigns(server);
      settled = true;
      for (const device of devices) {
        await device.due();
        settled = (await device.upload()) && settled;
        settled = (await device.isSettled()) && settled;
      }
    }
    for (const device of devices) {
      const about = `${JSON.stringify(device.rotator.state)} ${JSON.stringify(await device.look())}`;
      expect(await device.isSettled(), about).toBe(true);
      await expectOneEntryAnArrow(server, device);
    }
    await expectConverged(server, devices);
  } finally {
    await server.stop();
  }
}

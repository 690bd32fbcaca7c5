import { expect } from 'vitest';
import { createCampaign, lookAtCampaign, orderCampaign } from '../../server/usecases/campaign/manage.ts';
import { type StoreKind, startVirtualServer } from './node.ts';
import { expectConverged, expectReachable } from './oracle.ts';
import { VirtualDevice } from './virtual-device.ts';

const HOUR_MS = 3_600_000;
const WEEK_MS = 7 * 24 * HOUR_MS;
export const STAGES = ['before it was asked', 'when it had staged', 'when it had proven itself'] as const;

/** Whether the campaign that is under way has brought the device to where it is to be switched off. */
async function isAt(stage: (typeof STAGES)[number], device: VirtualDevice): Promise<boolean> {
  const { state } = await device.look();
  if (stage === 'before it was asked') return true;
  return stage === 'when it had staged' ? state === 'MINTED' : state === 'PROVEN';
}

/** One device is switched off at that stage of the first of three campaigns, for ten weeks; another stays on. */
export async function tenWeeks(kind: StoreKind, stage: (typeof STAGES)[number]): Promise<void> {
  const server = await startVirtualServer(kind);
  try {
    const away = await VirtualDevice.enrol(server, 'away');
    const home = await VirtualDevice.enrol(server, 'home');
    const began = server.nowMs();
    let off = stage === 'before it was asked';
    const round = async (ms: number) => {
      server.advance(ms);
      await server.sweep();
      for (const device of off ? [home] : [home, away]) {
        await device.due();
        if (device === away) off = await isAt(stage, away);
        if (!off || device === home) await device.upload();
        expectReachable(device);
      }
    };
    const ends: string[] = [];
    for (let week = 0; ends.length < 3; week++) {
      const { id } = await createCampaign(server.deps(), server.operator, {
        name: `campaign ${week}`,
        selection: {},
        rules: {
          canary: 2,
          soakMs: HOUR_MS,
          sampleMin: 1,
          waveMsMax: 24 * HOUR_MS,
          stragglersMsMax: WEEK_MS,
          errorsPercentMax: 100,
        },
        plan: { soakMs: HOUR_MS, deadlineMs: 2 * 24 * HOUR_MS, pendingTtlMs: WEEK_MS },
      });
      await orderCampaign(server.deps(), server.operator, id, { verb: 'start' });
      for (let hours = 0; hours < 24 * 22; hours += 6) await round(6 * HOUR_MS);
      ends.push((await lookAtCampaign(server.deps(), server.operator, id)).state);
    }
    while (server.nowMs() - began < 10 * WEEK_MS) await round(12 * HOUR_MS);
    expect(ends.every((state) => state.startsWith('COMPLETED'))).toBe(true);
    // Its keys were left as they were: a deadline that keeps locks nobody out.
    off = false;
    away.start();
    for (let rounds = 0; rounds < 30 && !(await away.isSettled()); rounds++) {
      server.advance(HOUR_MS);
      await server.sweep();
      await away.due();
      await away.upload();
      expectReachable(away);
    }
    expect(await away.isSettled()).toBe(true);
    expect(away.rotator.state.base?.generation).toBeGreaterThan(1);
    expect(await away.upload()).toBe(true);
    await expectConverged(server, [home, away]);
  } finally {
    await server.stop();
  }
}

import { describe, expect, test } from 'vitest';
import { settleRestored } from '../../server/usecases/backup/settle-restored.ts';
import { orderRotation } from '../../server/usecases/rotation/operate.ts';
import { startVirtualServer, type VirtualServer } from './node.ts';
import { expectConverged, expectReachable } from './oracle.ts';
import { VirtualDevice } from './virtual-device.ts';

const HOUR_MS = 3_600_000;
const ROUNDS_MAX = 60;

async function settle(server: VirtualServer, device: VirtualDevice): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    server.advance(HOUR_MS);
    await server.sweep();
    await device.due();
    const stored = await device.upload();
    expectReachable(device);
    if (stored && (await device.isSettled())) return;
  }
  throw new Error(`${JSON.stringify(device.rotator.state)} ${JSON.stringify(await device.look())}`);
}

/** Rotates twice, with a backup after every commit; what it returns brings one of them back. */
async function rotateWithBackups(server: VirtualServer, device: VirtualDevice) {
  const backups: (() => Promise<void>)[] = [await server.backup()];
  server.watchCommits(async () => void backups.push(await server.backup()));
  for (let i = 0; i < 2; i++) {
    await orderRotation(server.deps(), server.operator, device.id, { verb: 'rotate', plan: { soakMs: 0 } });
    await settle(server, device);
  }
  server.watchCommits(null);
  return backups;
}

describe('the whole database is brought back from a backup', () => {
  test.each([
    ['settled as what may have ended', false],
    ['taken for the last thing the old server did', true],
  ])(
    '%s, the backup from behind each commit of two rotations → the device heals itself, told and counted',
    async (_how, nothingEnded) => {
      const server = await startVirtualServer('sqlite');
      try {
        const device = await VirtualDevice.enrol(server, 'boiler');
        const backups = await rotateWithBackups(server, device);
        expect(backups.length).toBeGreaterThan(15);
        let healed = 0;
        const slots = device.slots.pair().map((slot) => slot?.fingerprint);
        // The newest first: each earlier one knows less than the device has become by then.
        for (const restore of backups.reverse()) {
          await restore();
          const report = await settleRestored(server.deps(), { nothingEnded });
          expect(report.devicesQuarantined).toBe(nothingEnded ? 0 : 1);
          await settle(server, device);
          const { events } = await device.story();
          const recoveries = events.filter(({ action }) => action === 'rotation.recovered');
          if (recoveries.length > 0) {
            healed++;
            expect(recoveries[0]?.sentence).toContain('with its recovery secret');
          }
          expect((await device.look()).active).toBe(device.slots.pair()[0]?.fingerprint);
          await expectConverged(server, [device]);
        }
        expect(device.slots.pair().map((slot) => slot?.fingerprint)).not.toEqual(slots);
        expect(healed).toBeGreaterThan(nothingEnded ? 5 : 15);
        // What `/metrics` tells: every recovery, under its own name.
        const counted = /fuselink_events_total\{action="rotation\.recovered"\} (\d+)/.exec(server.metrics())?.[1];
        expect(Number(counted)).toBeGreaterThanOrEqual(healed);
      } finally {
        await server.stop();
      }
    },
    180_000,
  );
});

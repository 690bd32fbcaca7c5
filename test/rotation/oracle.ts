import { expect } from 'vitest';
import { verifyAudit } from '../../server/usecases/audit/verify-audit.ts';
import type { VirtualServer } from './node.ts';
import type { VirtualDevice } from './virtual-device.ts';

/** Nothing a device could be locked out by, at any moment: called between any two steps of a test. */
export function expectReachable(device: VirtualDevice): void {
  // I1, as far as the device goes: at least one slot holds a key that reads back.
  expect(device.slots.pair().some((slot) => slot !== null)).toBe(true);
}

/** What must hold when everything has come to rest: keys, audit and device agree. */
export async function expectConverged(server: VirtualServer, devices: readonly VirtualDevice[]): Promise<void> {
  const { store } = server.deps();
  for (const device of devices) {
    const rotation = await device.look();
    const keys = await store.list('api_keys', { where: [['device_id', '=', device.id]], limit: 100 });
    // I4, I5, I6: every key but the active one has come to its end.
    const living = keys.filter(({ state }) => state !== 'revoked');
    expect(living.map(({ fingerprint, state }) => [fingerprint, state])).toEqual([[rotation.active, 'active']]);
    await expectOneEntryAnArrow(server, device);
    const story = await device.story();
    expect(story.events.filter(({ action }) => action.startsWith('rotation.alarm'))).toEqual([]);
  }
  expect(await verifyAudit(server.deps(), server.operator, null)).toMatchObject({ ok: true });
}

/** I14: from enrolment to now the audit's arrows lead into one another, and the last into the state that is. I9, too. */
export async function expectOneEntryAnArrow(server: VirtualServer, device: VirtualDevice): Promise<void> {
  const entries = await server.deps().store.list('audit', {
    where: [
      ['chain', '=', server.operator.accountId],
      ['subject', '=', device.id],
    ],
    orderBy: [['seq', 'asc']],
    limit: 10_000,
  });
  const arrows = entries.filter(({ action }) => /^rotation\.(?!alarm)/.test(action));
  let state = 'IDLE';
  let generation = 0;
  for (const { action, detail } of arrows) {
    expect(detail['from'], `${device.name}: ${action}`).toBe(state);
    expect(Number(detail['generation'])).toBeGreaterThanOrEqual(generation);
    // Its evidence: what caused it.
    expect(detail['cause'], action).toEqual(expect.any(String));
    state = String(detail['to']);
    generation = Number(detail['generation']);
  }
  expect((await device.look()).state).toBe(state);
}

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../../sdk/cli/testing.ts';
import { openCredentialSlots } from '../../sdk/node/credentials/index.ts';
import { createTransport } from '../../sdk/node/http/transport.ts';
import { openRotation, ROTATING, type Rotation } from '../../sdk/node/rotation/index.ts';
import type { DeviceId } from '../../server/domain/ids.ts';
import { type Kit, startKit } from '../../server/testing/server-kit.ts';
import { operatorOf } from '../../server/usecases/account/create-account.ts';
import type { Caller } from '../../server/usecases/caller.ts';
import { enrolDevice } from '../../server/usecases/device/enrol-device.ts';
import { issueKey, lookAtRotation, orderRotation } from '../../server/usecases/rotation/operate.ts';
import { tellStory } from '../../server/usecases/rotation/story.ts';
import { sweepOnce } from '../../server/usecases/sweep.ts';
import { type ConnectionPlan, type FlakyProxy, startFlakyProxy } from '../support/flaky-proxy.ts';

/** Rounds in which everything has long come to rest, however often the line breaks. */
const ROUNDS_MAX = 300;

let kit: Kit;
let operator: Caller;
let folder: string;
let proxy: FlakyProxy;

/** Requests cut on their way, answers cut off whole or in the middle, and lines that hold for a while. */
function plan(connection: number): ConnectionPlan {
  const fates: readonly ConnectionPlan[] = [
    { cutAfterUpBytes: 60 },
    { cutAfterDownBytes: 1 },
    {},
    { cutAfterDownBytes: 700 },
    { cutAfterDownBytes: 1, how: 'close' },
    { cutAfterDownBytes: 4000 },
  ];
  return fates[connection % fates.length] ?? {};
}

beforeAll(async () => {
  kit = await startKit({ FUSELINK_UPLOADS_PER_MINUTE: '100000' });
  const account = await kit.account();
  operator = operatorOf(account.accountId, account.row);
  folder = await mkdtemp(join(tmpdir(), 'fuselink-real-'));
  proxy = await startFlakyProxy(Number(new URL(kit.url).port), plan);
});
afterAll(async () => {
  await proxy.close();
  await kit.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Enrolled, and provisioned as somebody would: the enrolment's JSON goes into `fuselink key import`. */
async function provision(name: string): Promise<{ id: DeviceId; store: string }> {
  const made = await enrolDevice(kit.server.deps, operator, { name });
  const store = join(folder, name);
  const stdin = JSON.stringify({
    device_id: made.device.id,
    api_key: made.key,
    recovery_secret: made.recoverySecret,
  });
  expect((await runCli(['key', 'import', '--folder', store], { stdin })).code).toBe(0);
  return { id: made.device.id as DeviceId, store };
}

function start(store: string): Promise<Rotation> {
  return openRotation({
    store,
    base: new URL(proxy.url),
    transport: createTransport({ env: {}, proxy: null }),
    trustPlainHttp: false,
    changed: () => {},
    warn: () => {},
    random: () => 0.002,
  });
}

/** Uploads over the bad line until device and server agree that the rotation is done. Every start is a boot. */
async function settle(device: { id: DeviceId; store: string }, generation: number): Promise<void> {
  let rotation = await start(device.store);
  try {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      kit.advance(30_000);
      await sweepOnce(kit.server.deps, { atStart: false });
      const body = Buffer.from(`reading ${round}`);
      const headers = { Authorization: ROTATING, 'X-Filename': 'r', 'Content-Length': String(body.byteLength) };
      const request = { method: 'POST', url: new URL('/v1/upload', proxy.url), headers, body };
      await rotation.transport.exchange(request).catch(() => null);
      await rotation.rotator.idle();
      const { state, active } = await lookAtRotation(kit.server.deps, operator, device.id);
      const { base, mirrored, candidate } = openCredentialSlots(device.store).look();
      const rests = mirrored && candidate === null && base?.fingerprint === active;
      if (state === 'IDLE' && rests && base.generation >= generation) return;
      if (round % 40 !== 39) continue;
      await rotation.close(0);
      rotation = await start(device.store);
    }
    throw new Error(
      JSON.stringify([rotation.rotator.state, await lookAtRotation(kit.server.deps, operator, device.id)]),
    );
  } finally {
    await rotation.close(0);
  }
}

async function alarms(id: DeviceId): Promise<unknown[]> {
  const { events } = await tellStory(kit.server.deps, operator, id);
  return events.filter(({ action }) => action.startsWith('rotation.alarm'));
}

test.each(['self', 'offer'] as const)(
  '%s, over a line that breaks again and again: → a new key, no alarm',
  async (source) => {
    const device = await provision(`by ${source}`);
    for (const generation of [2, 3]) {
      await orderRotation(kit.server.deps, operator, device.id, { verb: 'rotate', plan: { source, soakMs: 0 } });
      await settle(device, generation);
    }
    expect(await alarms(device.id)).toEqual([]);
  },
  180_000,
);

test('manual: an operator issues the key, `fuselink key stage` puts it beside the old one → its use is the proof', async () => {
  const device = await provision('by hand');
  await orderRotation(kit.server.deps, operator, device.id, { verb: 'rotate', plan: { source: 'manual', soakMs: 0 } });
  const issued = await issueKey(kit.server.deps, operator, device.id);
  const stdin = JSON.stringify(issued);
  expect((await runCli(['key', 'stage', '--folder', device.store], { stdin })).code).toBe(0);
  expect(openCredentialSlots(device.store).look().state).not.toBe('settled');
  await settle(device, 2);
  expect((await lookAtRotation(kit.server.deps, operator, device.id)).active).toBe(issued.fingerprint);
  expect(await alarms(device.id)).toEqual([]);
}, 180_000);

test('quarantined, with the recovery secret that was imported: → out of it by itself, over the same line', async () => {
  const device = await provision('in quarantine');
  await orderRotation(kit.server.deps, operator, device.id, { verb: 'quarantine', reason: 'test' });
  await settle(device, 2);
  expect(await alarms(device.id)).toEqual([]);
}, 180_000);

test('the line: → it did break', () => {
  expect(proxy.cuts).toBeGreaterThan(10);
});

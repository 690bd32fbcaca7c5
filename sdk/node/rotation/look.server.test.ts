import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseApiKey } from '#sdk/core';
import type { DeviceId } from '../../../server/domain/ids.ts';
import { type Kit, startKit } from '../../../server/testing/server-kit.ts';
import { operatorOf } from '../../../server/usecases/account/create-account.ts';
import { enrolDevice } from '../../../server/usecases/device/enrol-device.ts';
import { lookAtRotation, orderRotation } from '../../../server/usecases/rotation/operate.ts';
import { openCredentialSlots } from '../credentials/index.ts';
import { createTransport } from '../http/transport.ts';
import { Rotator } from './rotator.ts';

const LOOK_MS = 3_600_000;

let kit: Kit;
let folder: string;
beforeAll(async () => {
  kit = await startKit();
  folder = await mkdtemp(join(tmpdir(), 'fuselink-look-'));
});
afterAll(async () => {
  await kit.stop();
  await rm(folder, { recursive: true });
});

interface Timer {
  ms: number;
  action(): void;
}

/** A device at the real server whose timers go off when the test says so. */
async function idleDevice(drives = true) {
  const account = await kit.account();
  const operator = operatorOf(account.accountId, account.row);
  const { deps } = kit.server;
  const made = await enrolDevice(deps, operator, { name: 'quiet' });
  const id = made.device.id as DeviceId;
  const slots = openCredentialSlots(join(folder, id));
  const key = parseApiKey(made.key);
  if (key === null) throw new Error('expected a key in a known form');
  slots.provision(key, 1);
  const timers = new Set<Timer>();
  const asked: string[] = [];
  const transport = createTransport({ env: {} });
  let dead = false;
  const rotator = new Rotator({
    slots,
    transport: {
      ...transport,
      exchange(request) {
        asked.push(`${request.method} ${request.url.pathname}`);
        return dead ? Promise.reject(new Error('no answer')) : transport.exchange(request);
      },
    },
    base: new URL(kit.url),
    identity: null,
    boots: null,
    drives,
    authentic: true,
    changed: () => {},
    warn: () => {},
    lookMs: LOOK_MS,
    random: () => 0.5,
    after(ms, action) {
      const timer = { ms, action };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  });
  return {
    asked,
    rotator,
    timers,
    order: () => orderRotation(deps, operator, id, { verb: 'rotate', plan: {} }),
    state: () => lookAtRotation(deps, operator, id),
    kill: () => {
      dead = true;
    },
    /** Everything that is due within so many ms goes off. */
    async goOff(msMax: number) {
      for (const timer of [...timers].filter(({ ms }) => ms <= msMax)) {
        timers.delete(timer);
        timer.action();
      }
      await rotator.idle();
    },
    close() {
      rotator.close();
      transport.close();
    },
  };
}

/** One that has reported its start, and waits for nothing. */
async function settledDevice() {
  const device = await idleDevice();
  await device.goOff(LOOK_MS / 4);
  expect(device.asked).toEqual(['POST /v1/device/status']);
  return device;
}

test('a settled device with nothing to send → hears of a rotation within the hour, and proves its next key', async () => {
  const device = await settledDevice();
  await device.order();
  expect([...device.timers].map(({ ms }) => ms)).toEqual([0.75 * LOOK_MS]);
  for (let turns = 0; turns < 12 && (await device.state()).state !== 'PROVEN'; turns++) await device.goOff(LOOK_MS);
  expect(device.asked[1]).toBe('GET /v1/device');
  expect(await device.state()).toMatchObject({ state: 'PROVEN', generation: 2 });
  device.close();
});

test('no answer → asks again an hour later at the latest; an answer to something else puts the next look off', async () => {
  const device = await settledDevice();
  device.kill();
  await device.goOff(LOOK_MS);
  await device.goOff(LOOK_MS);
  expect(device.asked.filter((what) => what === 'GET /v1/device')).toHaveLength(2);
  const looks = () => [...device.timers].filter(({ ms }) => ms >= LOOK_MS / 2);
  const [waiting] = looks();
  device.rotator.heard(
    device.rotator.nextKey().fingerprint,
    { status: 201, headers: {}, body: Buffer.from('{}') },
    'commit',
  );
  expect(looks()).toHaveLength(1);
  expect(looks()).not.toContain(waiting);
  device.close();
  expect(device.timers.size).toBe(0);
});

test('a process that only follows the store → looks at nothing', async () => {
  const device = await idleDevice(false);
  expect(device.timers.size).toBe(0);
  device.close();
});

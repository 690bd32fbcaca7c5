import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CutFlash, cutFlash, decodeSlot, SLOT_BYTES, steadyPower } from '#sdk/core';
import type { DeviceId } from '../../server/domain/ids.ts';
import { orderRotation } from '../../server/usecases/rotation/operate.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { espruinoBundle } from './bundle.ts';
import { declaredBy, idleBlocks, withOpenHeap } from './heap.ts';
import { Realm } from './realm.ts';

/** What a client that waits may take of RAM. */
const IDLE_BLOCKS_MAX = 400;
const DAY_MS = 86_400_000;

let server: TestServer;
let text: string;
let aheadMs = 0;
beforeAll(async () => {
  text = await espruinoBundle();
  server = await startTestServer({ FUSELINK_METADATA: 'memory:', FUSELINK_BLOBS: 'memory:' });
  const { clock } = server.deps;
  server.deps.clock = { nowMs: () => clock.nowMs() + Math.floor(aheadMs), monotonicMs: () => clock.monotonicMs() };
});
afterAll(() => server.close());

interface Waiting {
  realm: Realm;
  flash: CutFlash;
  deviceId: DeviceId;
  blocks(): number;
  until(done: () => boolean | Promise<boolean>, msMax?: number): Promise<boolean>;
}

/** A device that has connected, sent a text and a stream, and has nothing left to do. */
async function waiting(bundle = text): Promise<Waiting> {
  const made = await server.device();
  const [deviceId, key] = [made.deviceId as DeviceId, made.key];
  const flash = cutFlash(steadyPower(), 2, 128);
  const realm = new Realm({ bundle: withOpenHeap(bundle), flash });
  const heap: { values?: () => Record<string, unknown>; own?: unknown[] } = {};
  realm.run(
    `const options = { host: '127.0.0.1', port: ${server.port}, device: '${deviceId}', key: '${key}' };
     const fuselink = require('fuselink');
     const client = fuselink.connect(options);
     client.send('21.5', { 'x-filename': 'a.txt' });
     client.send({ size: 1234, read: (offset, length) => 'x'.repeat(length) }, { 'x-filename': 'b.txt' });
     print(fuselink.heap, options, client);`,
    (values, ...own) => Object.assign(heap, { values, own }),
  );
  const until: Waiting['until'] = async (done, msMax) => {
    const [before, begun] = [aheadMs, realm.nowMs];
    const reached = await realm.until(() => {
      aheadMs = before + realm.nowMs - begun;
      return done();
    }, msMax);
    aheadMs = before + realm.nowMs - begun;
    return reached;
  };
  const stored = async () =>
    (await server.deps.store.list('transfers', { where: [], limit: 200 } as never)).filter(
      (row) => row.device_id === deviceId && row.state === 'ready',
    ).length;
  expect(await until(async () => (await stored()) === 2)).toBe(true);
  await until(() => false, 60_000);
  expect(realm.faults).toEqual([]);
  // What `connect` was given is in a variable of the module as well.
  const blocks = () => idleBlocks(bundle, heap.values?.() ?? {}, (heap.own ?? []).slice(1));
  return { realm, flash, deviceId, blocks, until };
}

const rotate = (deviceId: DeviceId) =>
  orderRotation(server.deps, server.operator, deviceId, { verb: 'rotate', plan: { soakMs: 0 } });
const settledAt = async (deviceId: DeviceId) =>
  (await server.deps.store.get('rotations', { device_id: deviceId }))?.rotation.settledGeneration ?? 0;

describe('a client that waits', () => {
  test('blocks of RAM, after uploads and after a rotation: told, and within the budget', async () => {
    const device = await waiting();
    const uploaded = device.blocks();
    await rotate(device.deviceId);
    expect(await device.until(async () => (await settledAt(device.deviceId)) === 2, 2 * DAY_MS)).toBe(true);
    await device.until(() => false, 60_000);
    const rotated = device.blocks();
    console.log(
      `fuselink.min.js: about ${uploaded} blocks idle after uploads, ${rotated} after a rotation (at most ${IDLE_BLOCKS_MAX})`,
    );
    for (const blocks of [uploaded, rotated]) {
      expect(blocks).toBeGreaterThan(150);
      expect(blocks).toBeLessThanOrEqual(IDLE_BLOCKS_MAX);
    }
  });

  test('what is declared for good: what timers, answers and the program call, and nothing that only works', async () => {
    const functions = declaredBy(text).filter(({ params }) => params !== null);
    expect(functions.length).toBeLessThanOrEqual(12);
    expect(functions.length).toBeGreaterThan(4);
  });

  test('canary: a module that declares all its functions for good, or keeps its answers → over the budget', async () => {
    const more = Array.from({ length: 30 }, (_, i) => `function spare${i}() { return ${i}; }`).join('\n');
    expect((await waiting(`${text}\n${more}`)).blocks()).toBeGreaterThan(IDLE_BLOCKS_MAX);
    const hoard = `${text}\nvar kept=[];for(let i=0;i<30;i++)kept.push("an answer that nobody needs any more");`;
    expect((await waiting(hoard)).blocks()).toBeGreaterThan(IDLE_BLOCKS_MAX);
  });

  test('nothing to send for days → it looks each day whether there is a wish, and rotates', async () => {
    const device = await waiting();
    const before = device.realm.requests;
    await device.until(() => false, 5 * DAY_MS);
    const looks = device.realm.requests - before;
    // Somewhere in each day, so about two a day; each may take a second request for its nonce.
    expect(looks).toBeGreaterThanOrEqual(5);
    expect(looks).toBeLessThanOrEqual(40);
    await rotate(device.deviceId);
    expect(await device.until(async () => (await settledAt(device.deviceId)) === 2, DAY_MS + 3_600_000)).toBe(true);
    const slots = () => [0, 1].map((slot) => decodeSlot(device.flash.read(slot * 128, SLOT_BYTES))?.generation);
    expect(await device.until(() => slots().join() === '2,2', 3_600_000)).toBe(true);
    expect(device.realm.faults).toEqual([]);
  });

  test('a look that ends in an error, because flash does not read → it looks again the next day', async () => {
    const device = await waiting();
    await rotate(device.deviceId);
    const { read } = device.flash;
    let failed = 0;
    device.flash.read = () => {
      failed++;
      throw new Error('no memory');
    };
    expect(await device.until(() => failed > 0, DAY_MS)).toBe(true);
    device.flash.read = read;
    expect(device.realm.faults.map((fault) => (fault as Error).message)).toEqual(['no memory']);
    expect(await device.until(async () => (await settledAt(device.deviceId)) === 2, 2 * DAY_MS)).toBe(true);
  });

  test('canary: a module that looks once in decades → does not hear of a wish', async () => {
    const deaf = text.replaceAll('864e5', '864e9');
    expect(deaf).not.toBe(text);
    const device = await waiting(deaf);
    await rotate(device.deviceId);
    const before = device.realm.requests;
    await device.until(() => false, 5 * DAY_MS);
    expect(device.realm.requests).toBe(before);
    expect(await settledAt(device.deviceId)).toBe(0);
  });
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { cutFlash, decodeSlot, SLOT_BYTES, steadyPower } from '#sdk/core';
import type { DeviceId } from '../../server/domain/ids.ts';
import { orderRotation } from '../../server/usecases/rotation/operate.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { espruinoBundle } from './bundle.ts';
import { QuickJsDevice } from './quickjs.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ FUSELINK_METADATA: 'memory:', FUSELINK_BLOBS: 'memory:' });
});
afterAll(() => server.close());

test.each([true, false])('the module in QuickJS, minified: %s → uploads, and rotates its key', async (minified) => {
  const flash = cutFlash(steadyPower(), 2, 128);
  const key = await server.device();
  const world = { host: '127.0.0.1', port: server.port, device: key.deviceId, key: key.key };
  const device = await QuickJsDevice.boot(await espruinoBundle(minified), flash, world);
  try {
    device.eval(
      `client.send('21.5', { 'x-filename': 'a.txt' }, (error, told) => ended.push([error, told['fuselink-id']]))`,
    );
    expect(await device.until(() => device.eval('ended.length') === 1)).toBe(true);
    const [[error, id]] = device.eval('ended') as [[unknown, string]];
    expect(error).toBeNull();
    expect(await server.deps.store.get('transfers', { id: id as never })).toMatchObject({ state: 'ready', size: 4 });

    await orderRotation(server.deps, server.operator, key.deviceId as DeviceId, {
      verb: 'rotate',
      plan: { soakMs: 0 },
    });
    device.eval(`client.send('learns of it', {})`);
    const settled = async () =>
      (await server.deps.store.get('rotations', { device_id: key.deviceId as DeviceId }))?.rotation
        .settledGeneration === 2;
    expect(await device.until(settled)).toBe(true);
    expect(await device.until(() => device.eval('client.rotation()') === 'SETTLED')).toBe(true);
    const slots = [0, 1].map((slot) => decodeSlot(flash.read(slot * 128, SLOT_BYTES))?.generation);
    expect(slots).toEqual([2, 2]);
  } finally {
    device.close();
  }
});

test('canary: a module that QuickJS cannot run → is not taken for one that it can', async () => {
  const flash = cutFlash(steadyPower(), 2, 128);
  const broken = (await espruinoBundle()).replace('E.toUint8Array', 'E.toBytes');
  await expect(
    QuickJsDevice.boot(broken, flash, { host: '127.0.0.1', port: 1, device: 'd', key: '00'.repeat(32) }),
  ).rejects.toThrow();
});

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DeviceId, KeyId } from '../../server/domain/ids.ts';
import { revokeKey } from '../../server/usecases/key/manage-keys.ts';
import { until } from '../../test/support/until.ts';
import { MqttWorld } from '../testing/mqtt-world.ts';

/* Real devices, a real bridge and a real server: what becomes of a session whose key is revoked, and of the key after it. */

let world: MqttWorld;
let pump: { id: string; key: string };
let fan: { id: string; key: string };

beforeEach(async () => {
  world = await MqttWorld.start('own');
  [pump = { id: '', key: '' }, fan = { id: '', key: '' }] = await world.enrol('pump', 'fan');
  await world.gateway('hall', [pump.id, fan.id]);
});
afterEach(() => world.stop());

/** The code of CONNACK, and the client. */
async function connect({ id, key }: { id: string; key: string }) {
  const url = world.gateways[0]?.bridge.urls[0] as string;
  const client = mqtt.connect(url, { username: id, password: key, protocolVersion: 4, reconnectPeriod: 0 });
  const code = await new Promise<number>((resolve) => {
    client.once('connect', () => resolve(0));
    client.once('error', (error) => resolve((error as { code?: number }).code ?? -1));
  });
  client.on('error', () => {});
  return { client, code };
}

test('a key revoked on the server → its session is ended, the key is forgotten, and does not come back while the WAN is down', async () => {
  const one = await connect(pump);
  const other = await connect(fan);
  expect([one.code, other.code]).toEqual([0, 0]);
  const topic = `fuselink/v1/${pump.id}/up/readings/t`;
  await one.client.publishAsync(topic, '1', { qos: 1 });

  const { deps } = world.kit.server;
  const keys = await deps.store.list('api_keys', { where: [['device_id', '=', pump.id as DeviceId]], limit: 1 });
  await revokeKey(deps, world.operator, { id: keys[0]?.id as KeyId, confirmLast: true });
  await until('the session is ended', () => !one.client.connected);
  expect(other.client.connected).toBe(true);
  expect(await world.metrics(world.gateways[0] as never)).toMatch(/disconnected_revoked_total 1$/m);
  const kept = () => readFile(join(world.folder, 'hall/data/keys.json'), 'utf8');
  await until('forgotten on the disk', async () => !(await kept()).includes(pump.id));
  expect(await kept()).toContain(fan.id);
  // With the server there it is known to be wrong; without, nobody can say so, and it gets no further all the same.
  expect((await connect(pump)).code).toBe(5);
  world.wanPlan = () => ({ cutAfterUpBytes: 0 });
  world.wan.cutAll();
  expect((await connect(pump)).code).toBe(3);
  await world.gateways[0]?.restart();
  expect((await connect(pump)).code).toBe(3);
  const again = await connect(fan);
  expect(again.code).toBe(0);
  await again.client.publishAsync(`fuselink/v1/${fan.id}/up/readings/t`, '2', { qos: 1 });
  for (const { client } of [one, other, again]) client.end(true);
});

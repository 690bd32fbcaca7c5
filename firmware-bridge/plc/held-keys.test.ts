import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCredentialSlots } from '#sdk/node';
import type { DeviceId } from '../../server/domain/ids.ts';
import { listGateways } from '../../server/usecases/gateway/gateways.ts';
import { lookAtRotation, orderRotation } from '../../server/usecases/rotation/operate.ts';
import { until } from '../../test/support/until.ts';
import { type Gateway, MqttWorld } from '../testing/mqtt-world.ts';

let world: MqttWorld;
let plc: { id: string; key: string };
let pump: { id: string; key: string };
let hall: Gateway;
const clients: mqtt.MqttClient[] = [];

beforeEach(async () => {
  world = await MqttWorld.start('own');
  [plc = { id: '', key: '' }, pump = { id: '', key: '' }] = await world.enrol('plc', 'pump');
  await mkdir(join(world.folder, 'hall'));
  await writeFile(join(world.folder, 'hall/plc.key'), plc.key);
  await writeFile(join(world.folder, 'hall/plc.password'), 'lan-only');
  world.more.plcs = [{ device: plc.id, key_file: 'plc.key', password_file: 'plc.password' }];
  hall = await world.gateway('hall', [plc.id, pump.id]);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await world.stop();
});

async function publish(payload: string): Promise<void> {
  const url = hall.bridge.urls[0] as string;
  const client = await mqtt.connectAsync(url, { username: plc.id, password: 'lan-only', protocolVersion: 4 });
  clients.push(client);
  await client.publishAsync(`fuselink/v1/${plc.id}/up/readings/t`, payload, { qos: 1 });
}

const look = (id: string) => lookAtRotation(world.kit.server.deps, world.operator, id as DeviceId);

test('a PLC with a password: its readings go out under its own key, held here; rotated twice; labelled; another password → 5', async () => {
  await publish('1');
  await until('sent', async () => (await world.metrics(hall)).includes('readings_sent_total 1'));
  const listed = await world.kit.call('GET', '/v1/transfers', { apiKey: world.account.apiKey });
  const keys = await world.kit.call('GET', '/v1/keys?limit=200', { apiKey: world.account.apiKey });
  const key = keys.json.keys.find(({ id }: { id: string }) => id === listed.json.transfers[0].key_id);
  expect(key).toMatchObject({ kind: 'device', device_id: plc.id });
  await until('labelled', async () => (await look(plc.id)).key_held_by?.startsWith('gw_') === true);
  expect((await look(pump.id)).key_held_by).toBeNull();
  expect(await listGateways(world.kit.server.deps, world.operator)).toMatchObject([{ holds_keys_of: [plc.id] }]);
  const audit = await world.kit.call('GET', '/v1/audit?limit=100', { apiKey: world.account.apiKey });
  expect(audit.json.entries.filter(({ action }: { action: string }) => action === 'gateway.holds_keys')).toHaveLength(
    1,
  );
  await rm(join(world.folder, 'hall/plc.key'));
  for (const generation of [2, 3]) {
    await orderRotation(world.kit.server.deps, world.operator, plc.id as DeviceId, {
      verb: 'rotate',
      plan: { soakMs: 0 },
    });
    await until(
      'proven',
      async () =>
        ['PROVEN', 'IDLE'].includes((await look(plc.id)).state) && (await look(plc.id)).generation === generation,
      20_000,
    );
    await publish(String(generation));
    await until('settled', async () => (await look(plc.id)).state === 'IDLE', 20_000);
    const { active } = await look(plc.id);
    await until(
      'in the store',
      () => {
        const { state, base } = openCredentialSlots(join(world.folder, 'hall/data/plcs', plc.id)).look();
        return state === 'settled' && base?.fingerprint === active;
      },
      20_000,
    );
    await hall.restart();
  }
  expect((await world.kit.call('GET', '/v1/device', { apiKey: plc.key })).json.code).toBe('key_revoked');
  const refused = mqtt.connect(hall.bridge.urls[0] as string, {
    username: plc.id,
    password: 'other',
    reconnectPeriod: 0,
  });
  clients.push(refused);
  const error = await new Promise<Error & { code?: number }>((resolve) =>
    refused.once('error', (one) => resolve(one as Error)),
  );
  expect(error.code).toBe(5);
  // Nothing of any key in what the gateway says of itself.
  const health = await (await fetch(`${hall.bridge.httpUrl}/healthz`)).text();
  expect(health).not.toContain(plc.key);
  expect(await readFile(join(world.folder, 'hall/data/keys.json'), 'utf8').catch(() => '')).not.toContain(plc.id);
});

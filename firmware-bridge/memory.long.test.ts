import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { expect, test } from 'vitest';
import { startKit } from '../server/testing/server-kit.ts';
import { operatorOf } from '../server/usecases/account/create-account.ts';
import { addGateway } from '../server/usecases/gateway/gateways.ts';
import { until } from '../test/support/until.ts';
import { startBridgeChild } from './testing/bridge-child.ts';

const DEVICES = 1000;
const ROUNDS = 10;
const RESIDENT_MB_MAX = 160;
const PAYLOAD = Buffer.alloc(1024, 'x');

test('a thousand devices that all publish, ten times, and whose batches come due in the same second → 160 MB at the most', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-memory-'));
  const kit = await startKit();
  const account = await kit.account();
  const devices: { id: string; key: string }[] = [];
  for (let i = 0; i < DEVICES; i++) devices.push(await account.device(`d${i}`));
  const operator = operatorOf(account.accountId, account.row);
  const listed = devices.map(({ id }) => id);
  const gateway = await addGateway(kit.server.deps, operator, { name: 'hall', devices: listed });
  await writeFile(join(folder, 'gateway.key'), gateway.key);
  const config = {
    ...{ server: kit.url, gateway_key_file: 'gateway.key', data: 'data', http: '127.0.0.1:0' },
    listen: ['mqtt://127.0.0.1:0'],
    uplink: { count_max: ROUNDS },
  };
  await writeFile(join(folder, 'bridge.json'), JSON.stringify(config));
  const bridge = await startBridgeChild(join(folder, 'bridge.json'));
  const clients: mqtt.MqttClient[] = [];
  const status = async (name: string) => {
    const text = await readFile(`/proc/${bridge.pid}/status`, 'utf8');
    return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1]) / 1024;
  };
  try {
    for (let at = 0; at < DEVICES; at += 50) {
      const some = devices.slice(at, at + 50);
      const options = { protocolVersion: 4, reconnectPeriod: 0 } as const;
      const coming = some.map(({ id, key }) =>
        mqtt.connectAsync(bridge.url, { ...options, username: id, password: key }),
      );
      clients.push(...(await Promise.all(coming)));
    }
    const idleMb = await status('VmRSS');
    for (let round = 0; round < ROUNDS; round++) {
      const topic = (i: number) => `fuselink/v1/${devices[i]?.id}/up/readings/t`;
      await Promise.all(clients.map((client, i) => client.publishAsync(topic(i), PAYLOAD, { qos: 1 })));
    }
    await until(
      'all on the server',
      async () => {
        const { json } = await kit.call('GET', '/v1/transfers?limit=1', { apiKey: account.apiKey });
        const metrics = await (await fetch(`${bridge.httpUrl}/metrics`)).text();
        return json.transfers.length === 1 && /readings_sent_total 10000$/m.test(metrics);
      },
      120_000,
    );
    console.log(`resident: ${Math.round(idleMb)} MB idle, ${Math.round(await status('VmHWM'))} MB at the most`);
    expect(await status('VmHWM')).toBeLessThanOrEqual(RESIDENT_MB_MAX);
  } finally {
    for (const client of clients) client.end(true);
    await bridge.kill();
    await kit.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

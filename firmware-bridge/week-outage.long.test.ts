import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import mqtt from 'mqtt';
import { expect, test } from 'vitest';
import { startKit } from '../server/testing/server-kit.ts';
import { operatorOf } from '../server/usecases/account/create-account.ts';
import { addGateway } from '../server/usecases/gateway/gateways.ts';
import { startFlakyProxy } from '../test/support/flaky-proxy.ts';
import { freePort } from '../test/support/free-port.ts';
import { until } from '../test/support/until.ts';
import { startBridgeChild } from './testing/bridge-child.ts';

/** A reading a minute of each device, for a week. */
const READINGS = 7 * 24 * 60;
const DEVICES = 3;
const RESTARTS = 7;
const IN_FLIGHT = 50;

test('a WAN outage of a week, a reading a minute, the gateway killed every day → each reading on the server once, in order', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-week-'));
  const kit = await startKit();
  let down = false;
  const wan = await startFlakyProxy(Number(new URL(kit.url).port), () => (down ? { cutAfterUpBytes: 0 } : {}));
  const account = await kit.account();
  const devices = await Promise.all(Array.from({ length: DEVICES }, (_, i) => account.device(`d${i}`)));
  const gateway = await addGateway(kit.server.deps, operatorOf(account.accountId, account.row), {
    name: 'far',
    devices: devices.map(({ id }) => id),
  });
  await writeFile(join(folder, 'gateway.key'), gateway.key);
  const config = join(folder, 'bridge.json');
  await writeFile(
    config,
    JSON.stringify({
      server: wan.url,
      gateway_key_file: 'gateway.key',
      data: 'data',
      listen: [`mqtt://127.0.0.1:${await freePort()}`],
      http: '127.0.0.1:0',
      uplink: { age_ms_max: 200, retry_delay_ms_max: 500, spread_ms_max: 200 },
    }),
  );
  let bridge = await startBridgeChild(config);
  try {
    // Each signs in once while there is a WAN: from then on the gateway knows its key.
    const session = (at: number) =>
      mqtt.connectAsync(bridge.url, {
        username: devices[at]?.id as string,
        password: devices[at]?.key as string,
        protocolVersion: 4,
        reconnectPeriod: 0,
      });
    for (let at = 0; at < DEVICES; at++) await (await session(at)).endAsync();
    down = true;
    wan.cutAll();
    for (let day = 0; day < RESTARTS; day++) {
      await bridge.kill();
      bridge = await startBridgeChild(config);
      await Promise.all(
        devices.map(async ({ id }, at) => {
          const client = await session(at);
          const end = ((day + 1) * READINGS) / RESTARTS;
          for (let n = (day * READINGS) / RESTARTS; n < end; n += IN_FLIGHT) {
            const some = Array.from({ length: Math.min(IN_FLIGHT, end - n) }, (_, i) => n + i);
            await Promise.all(
              some.map((one) =>
                client.publishAsync(`fuselink/v1/${id}/up/readings/t`, JSON.stringify({ n: one }), { qos: 1 }),
              ),
            );
          }
          await client.endAsync();
        }),
      );
    }
    down = false;
    await until(
      'drained',
      async () => {
        const health = (await (await fetch(`${bridge.httpUrl}/healthz`)).json()) as { backlogReadings: number };
        return health.backlogReadings === 0;
      },
      60_000,
    );
    const found = new Map<string, number[]>();
    const lines = (await readFile(join(folder, 'data/links.jsonl'), 'utf8')).trimEnd().split('\n');
    const links = new Map(lines.map((line) => JSON.parse(line)).map((link) => [link.id as string, link]));
    for (const { device, url } of links.values()) {
      const answer = await fetch(`${kit.url}${new URL(url).pathname}`);
      const rows = gunzipSync(Buffer.from(await answer.arrayBuffer()))
        .toString()
        .trimEnd()
        .split('\n');
      found.set(device, [...(found.get(device) ?? []), ...rows.map((row) => JSON.parse(row).json.n as number)]);
    }
    for (const { id } of devices) expect(found.get(id)).toEqual(Array.from({ length: READINGS }, (_, n) => n));
    // A backlog is merged: a week drains within the first minute's sixty uploads.
    expect(links.size).toBeLessThanOrEqual(DEVICES * 10);
    expect(await bridge.stop()).toBe(0);
  } finally {
    await bridge.kill();
    await wan.close();
    await kit.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

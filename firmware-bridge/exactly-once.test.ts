import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import mqtt from 'mqtt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Kit, startKit, type TestAccount } from '../server/testing/server-kit.ts';
import { operatorOf } from '../server/usecases/account/create-account.ts';
import { addGateway } from '../server/usecases/gateway/gateways.ts';
import { type FlakyProxy, startFlakyProxy } from '../test/support/flaky-proxy.ts';
import { freePort } from '../test/support/free-port.ts';
import { until } from '../test/support/until.ts';
import { type BridgeChild, startBridgeChild } from './testing/bridge-child.ts';

/*
 * Devices over MQTT → the bridge's program → a proxy that cuts → a real server → links, read. Nothing between is a fake.
 */

const SEED = Number(process.env['FUSELINK_SEED'] ?? 20_261);
const CHANNELS = ['temperature', 'line1/pressure'];

let folder: string;
let kit: Kit;
let account: TestAccount;
let wan: FlakyProxy;
let wanPort: number;
let wanDown: boolean;
/** No more cuts: everything must arrive now. */
let calm: boolean;
let devices: { id: string; key: string }[];
let bridge: BridgeChild | null = null;
let configFile: string;
const clients: mqtt.MqttClient[] = [];

/** Mulberry32: the same schedule for the same seed. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-once-'));
  kit = await startKit();
  account = await kit.account();
  devices = await Promise.all(['a', 'b', 'c', 'd'].map((name) => account.device(name)));
  const gateway = await addGateway(kit.server.deps, operatorOf(account.accountId, account.row), {
    name: 'plant',
    devices: devices.map(({ id }) => id),
  });
  await writeFile(join(folder, 'gateway.key'), `${gateway.key}\n`);
  wanDown = false;
  calm = false;
  const random = seeded(SEED);
  wan = await startFlakyProxy(Number(new URL(kit.url).port), () => {
    const dice = random();
    if (wanDown) return { cutAfterUpBytes: 0 };
    if (calm) return {};
    if (dice < 0.15) return { cutAfterUpBytes: Math.ceil(random() * 2000) };
    if (dice < 0.4) return { cutAfterDownBytes: Math.ceil(random() * 400) };
    return {};
  });
  wanPort = wan.port;
  configFile = join(folder, 'bridge.json');
  await writeFile(
    configFile,
    JSON.stringify({
      server: `http://127.0.0.1:${wanPort}`,
      gateway_key_file: 'gateway.key',
      data: 'data',
      listen: [`mqtt://127.0.0.1:${await freePort()}`],
      http: '127.0.0.1:0',
      uplink: { count_max: 100, age_ms_max: 500, retry_delay_ms_max: 300, spread_ms_max: 300 },
    }),
  );
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await bridge?.kill();
  bridge = null;
  await wan.close();
  await kit.stop();
  await rm(folder, { recursive: true, force: true });
});

/** mqtt.js sends again without DUP, which MQTT-3.3.1-1 forbids; what it keeps to send again is marked here. */
class MarkingStore extends mqtt.Store {
  override put(packet: Parameters<mqtt.Store['put']>[0], done: Parameters<mqtt.Store['put']>[1]): this {
    super.put(packet.cmd === 'publish' ? { ...packet, dup: true } : packet, done);
    return this;
  }
}

function connect(device: { id: string; key: string }): mqtt.MqttClient {
  const client = mqtt.connect(bridge?.url ?? '', {
    username: device.id,
    password: device.key,
    clientId: 'plc',
    clean: false,
    outgoingStore: new MarkingStore(),
    protocolVersion: 4,
    reconnectPeriod: 30,
    reconnectOnConnackError: true,
  } as mqtt.IClientOptions);
  client.on('error', () => {});
  clients.push(client);
  return client;
}

/** Every reading on the server, by its device and channel: read through the links the bridge wrote down. */
async function readBack(): Promise<Map<string, number[]>> {
  const text = await readFile(join(folder, 'data/links.jsonl'), 'utf8');
  const lines = text.split('\n').filter((line) => line !== '');
  const links = new Map(lines.map((line) => JSON.parse(line)).map((link) => [link.id, link]));
  const all = await kit.call('GET', '/v1/transfers?limit=200', { apiKey: account.apiKey });
  expect(all.json.next_cursor).toBeNull();
  // Whatever the server has, whoever reads the journal can get.
  expect(new Set(all.json.transfers.map(({ id }: { id: string }) => id))).toEqual(new Set(links.keys()));
  const found = new Map<string, number[]>();
  for (const { device, channel, url, readings } of links.values()) {
    // The link was made for the address the bridge sees.
    const answer = await fetch(`${kit.url}${new URL(url).pathname}`);
    const rows = gunzipSync(Buffer.from(await answer.arrayBuffer()))
      .toString()
      .trimEnd()
      .split('\n');
    expect(rows).toHaveLength(readings);
    const numbers = found.get(`${device} ${channel}`) ?? [];
    found.set(`${device} ${channel}`, numbers);
    numbers.push(...rows.map((row) => JSON.parse(row).json.n as number));
  }
  return found;
}

async function drained(): Promise<void> {
  await until(
    'everything is on the server',
    async () => {
      const health = (await (await fetch(`${bridge?.httpUrl}/healthz`)).json()) as { backlogReadings: number };
      return health.backlogReadings === 0;
    },
    40_000,
  );
}

test(`readings: the WAN cut at random, the bridge killed again and again → each exactly once, in order [FUSELINK_SEED=${SEED}]`, async () => {
  const random = seeded(SEED + 1);
  bridge = await startBridgeChild(configFile);
  const ROUNDS = 5;
  const PER_ROUND = 60;
  const sent: Promise<unknown>[] = [];
  const publishers = devices.map(connect);
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < PER_ROUND; i++) {
      const n = round * PER_ROUND + i;
      for (const [at, client] of publishers.entries()) {
        const topic = `fuselink/v1/${devices[at]?.id}/up/readings/${CHANNELS[n % 2]}`;
        sent.push(client.publishAsync(topic, JSON.stringify({ n }), { qos: 1 }));
      }
    }
    // Some of this round is acknowledged when the bridge dies, some is on its disk, some is on the wire.
    await Promise.race(sent.slice(-Math.ceil(random() * PER_ROUND * 4)));
    await bridge.kill();
    bridge = await startBridgeChild(configFile);
  }
  await Promise.all(sent);
  calm = true;
  await drained();
  const found = await readBack();
  for (const { id } of devices) {
    for (const [odd, channel] of CHANNELS.entries()) {
      const expected = Array.from({ length: (ROUNDS * PER_ROUND) / 2 }, (_, i) => 2 * i + odd);
      expect([id, channel, found.get(`${id} ${channel}`)]).toEqual([id, channel, expected]);
    }
  }
  expect(wan.cuts).toBeGreaterThan(0);
  expect(await bridge.stop()).toBe(0);
});

test('a WAN outage: known devices sign in and are acknowledged all through it → everything arrives after it, once', async () => {
  bridge = await startBridgeChild(configFile);
  const device = devices[0] as { id: string; key: string };
  const topic = `fuselink/v1/${device.id}/up/readings/temperature`;
  const first = connect(device);
  await first.publishAsync(topic, '{"n":0}', { qos: 1 });
  await first.endAsync();
  wanDown = true;
  wan.cutAll();
  await bridge.kill();
  bridge = await startBridgeChild(configFile);
  const during = connect(device);
  for (let n = 1; n <= 300; n++) await during.publishAsync(topic, JSON.stringify({ n }), { qos: n % 2 === 0 ? 1 : 2 });
  wanDown = false;
  await drained();
  const found = await readBack();
  expect(found.get(`${device.id} temperature`)).toEqual(Array.from({ length: 301 }, (_, n) => n));
  const metrics = await (await fetch(`${bridge.httpUrl}/metrics`)).text();
  expect(metrics).toContain('fuselink_bridge_readings_total 300');
  expect(metrics).toMatch(/fuselink_bridge_backlog_readings 0\n/);
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Aedes } from 'aedes';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseApiKey } from '#sdk/core';
import { openCredentialSlots } from '#sdk/node';
import type { DeviceId } from '../../server/domain/ids.ts';
import { type Kit, startKit, type TestAccount } from '../../server/testing/server-kit.ts';
import { operatorOf } from '../../server/usecases/account/create-account.ts';
import type { Caller } from '../../server/usecases/caller.ts';
import { addGateway } from '../../server/usecases/gateway/gateways.ts';
import { lookAtRotation, orderRotation } from '../../server/usecases/rotation/operate.ts';
import { type FlakyProxy, startFlakyProxy } from '../../test/support/flaky-proxy.ts';
import { until } from '../../test/support/until.ts';
import { type RunningBridge, startBridge } from '../program/bridge.ts';
import { readConfig } from '../program/config.ts';
import { MqttDevice } from '../testing/mqtt-device.ts';

/*
 * The reference device over MQTT → a LAN that cuts → the bridge → a WAN that cuts → a real server. Nothing between is a fake.
 */

const SEED = Number(process.env['FUSELINK_SEED'] ?? 2_061);

let folder: string;
let kit: Kit;
let account: TestAccount;
let operator: Caller;
let pump: { id: string; key: string };
let wan: FlakyProxy;
let lan: FlakyProxy;
let bridge: RunningBridge;
let plant: { broker: Aedes; server: Server; port: number } | null = null;
/** What comes over the lines: everything, nothing, or cuts by chance. */
let wanPlan: () => object;
let lanPlan: () => object;
/** Whether the next message of a device is delivered twice. */
let repeats: () => boolean;
const devices: MqttDevice[] = [];
/** All that every broker here was ever asked to keep or carry. */
const carried: { topic: string; payload: string; retain: boolean }[] = [];

function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

async function startPlant(): Promise<NonNullable<typeof plant>> {
  const broker = new Aedes();
  await broker.listen();
  const server = createServer((socket: Socket) => {
    socket.on('error', () => {});
    broker.handle(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  broker.on('publish', (packet) => {
    if (packet.topic.startsWith('$SYS')) return;
    carried.push({ topic: packet.topic, payload: packet.payload.toString('latin1'), retain: packet.retain });
  });
  return { broker, server, port: (server.address() as { port: number }).port };
}

async function setUp(how: 'own' | 'joined'): Promise<void> {
  if (how === 'joined') plant = await startPlant();
  await writeFile(
    join(folder, 'bridge.json'),
    JSON.stringify({
      server: wan.url,
      gateway_key_file: 'gateway.key',
      data: 'data',
      limits: { work_interval_ms: 100 },
      uplink: { age_ms_max: 50, retry_delay_ms_max: 200, spread_ms_max: 100 },
      ...(plant === null
        ? { listen: ['mqtt://127.0.0.1:0'] }
        : {
            broker: { url: `mqtt://127.0.0.1:${plant.port}`, topics: [{ filter: 'x/+', device: '{1}', channel: 'x' }] },
          }),
    }),
  );
  bridge = await startBridge(readConfig(join(folder, 'bridge.json')), () => {});
  const port = plant === null ? Number(new URL(bridge.urls[0] as string).port) : plant.port;
  lan = await startFlakyProxy(port, () => lanPlan());
}

async function boot(how: 'own' | 'joined'): Promise<MqttDevice> {
  const url = () => lan.url.replace('http:', 'mqtt:');
  const device = await MqttDevice.boot({
    device: pump.id,
    broker: how,
    url,
    store: join(folder, 'pump'),
    answerMs: 500,
    repeats: () => repeats(),
  });
  devices.push(device);
  return device;
}

const rotation = () => lookAtRotation(kit.server.deps, operator, pump.id as DeviceId);
const order = (plan: object) =>
  orderRotation(kit.server.deps, operator, pump.id as DeviceId, { verb: 'rotate', plan: { soakMs: 0, ...plan } });

async function audit(): Promise<{ action: string; actor: string }[]> {
  const listed = await kit.call('GET', '/v1/audit?limit=200', { apiKey: account.apiKey });
  return listed.json.entries;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-mqtt-rotation-'));
  kit = await startKit();
  account = await kit.account();
  operator = operatorOf(account.accountId, account.row);
  pump = await account.device('pump');
  const gateway = await addGateway(kit.server.deps, operator, { name: 'hall', devices: [pump.id] });
  await writeFile(join(folder, 'gateway.key'), gateway.key);
  openCredentialSlots(join(folder, 'pump')).provision(parseApiKey(pump.key) as never, 1);
  wanPlan = () => ({});
  lanPlan = () => ({});
  repeats = () => false;
  wan = await startFlakyProxy(Number(new URL(kit.url).port), () => wanPlan());
});
afterEach(async () => {
  for (const device of devices.splice(0)) device.cut();
  await bridge?.stop();
  await lan?.close();
  plant?.broker.close();
  plant?.server.close();
  plant = null;
  carried.length = 0;
  await wan.close();
  await kit.stop();
  await rm(folder, { recursive: true, force: true });
});

describe.each(['own', 'joined'] as const)('rotation over MQTT, %s broker', (how) => {
  test.each(['self', 'offer'] as const)(
    'source %s: a retained hint, then twice a whole rotation → new key, the old one revoked, no secret on any topic',
    async (source) => {
      await setUp(how);
      const device = await boot(how);
      const secrets = [pump.key];
      for (const generation of [2, 3]) {
        await until('heard by the server', async () => {
          await device.look();
          return device.state.phase === 'SETTLED';
        });
        const before = device.state.base?.fingerprint;
        await order({ source });
        await until('done', async () => (await rotation()).state === 'IDLE' && device.state.phase === 'SETTLED');
        const now = await rotation();
        expect(now).toMatchObject({ generation, state: 'IDLE', active: device.state.base?.fingerprint });
        expect(now.active).not.toBe(before);
        const slots = openCredentialSlots(join(folder, 'pump')).look();
        expect(slots).toMatchObject({ state: 'settled', mirrored: true });
        secrets.push(Buffer.from(slots.base?.key.bytes() as Uint8Array).toString('hex'));
      }
      await until('the hint is taken back', () =>
        device.heard.some(({ topic, payload }) => topic === 'down/rotation' && JSON.parse(payload).wanted === false),
      );
      const hints = device.heard
        .filter(({ topic }) => topic === 'down/rotation')
        .map(({ payload }) => JSON.parse(payload));
      for (const hint of hints) expect(Object.keys(hint)).toEqual(['gen', 'base', 'wanted']);
      const all = JSON.stringify([device.heard, carried]);
      for (const secret of secrets) expect(all).not.toContain(secret);
      const retained = carried.filter(({ retain }) => retain);
      expect(retained.every(({ topic }) => topic.endsWith('/down/rotation'))).toBe(true);
      // The audit says through whom the device's word came.
      const proven = (await audit()).filter(({ action }) => action === 'rotation.proven');
      expect(proven).toHaveLength(2);
      const word = how === 'own' ? 'attested' : 'carried';
      for (const { actor } of proven) expect(actor).toMatch(new RegExp(`^key:\\S+ ${word} by gateway:gw_`));
      // Both keys that were replaced are refused.
      for (const old of secrets.slice(0, -1)) {
        expect((await kit.call('GET', '/v1/device', { apiKey: old })).json.code).toBe('key_revoked');
      }
    },
  );

  test(`cuts on both lines, power cuts, WAN outages, lost and repeated messages → it comes out settled [FUSELINK_SEED=${SEED}]`, async () => {
    await setUp(how);
    const random = seeded(SEED);
    let calm = false;
    let down = false;
    wanPlan = () => {
      if (down) return { cutAfterUpBytes: 0 };
      const dice = random();
      if (calm || dice > 0.3) return {};
      return dice < 0.1
        ? { cutAfterUpBytes: Math.ceil(random() * 800) }
        : { cutAfterDownBytes: Math.ceil(random() * 500) };
    };
    lanPlan = () => (calm || random() > 0.25 ? {} : { cutAfterDownBytes: Math.ceil(random() * 600) });
    repeats = () => !calm && random() < 0.3;
    for (const [round, source] of (['self', 'offer', 'self'] as const).entries()) {
      calm = false;
      let device = await boot(how);
      await order({ source });
      for (let cuts = 0; cuts < 6; cuts++) {
        const phase = device.state.phase;
        await Promise.race([
          until('it moves', () => device.state.phase !== phase, 60_000).catch(() => {}),
          new Promise((resolve) => setTimeout(resolve, Math.ceil(random() * 150))),
        ]);
        down = random() < 0.3;
        if (down) wan.cutAll();
        if (random() < 0.5) lan.cutAll();
        device.cut();
        device = await boot(how);
      }
      down = false;
      calm = true;
      // Ten calls a minute are a device's own: the cuts have spent some of them.
      kit.advance(61_000);
      await until(
        `round ${round} comes out`,
        async () => {
          if (device.state.phase === 'SETTLED') await device.look().catch(() => {});
          const { state, generation, active } = await rotation();
          return (
            state === 'IDLE' &&
            generation >= 2 + round &&
            device.state.base?.fingerprint === active &&
            device.state.phase === 'SETTLED'
          );
        },
        20_000,
      );
      device.cut();
    }
    expect(wan.cuts + lan.cuts).toBeGreaterThan(0);
    const alarms = (await audit()).filter(({ action }) => action.includes('alarm'));
    expect(alarms).toEqual([]);
  });
});

test('own broker: a key revoked by a roll-back is refused with 5, and named only on the other key’s session → dropped', async () => {
  await setUp('own');
  const device = await boot('own');
  await until('settled', () => device.state.phase === 'SETTLED');
  await order({ source: 'self', soakMs: 3_600_000 });
  await until('proven', async () => (await rotation()).state === 'PROVEN' && device.state.phase === 'PROVEN');
  const candidate = device.state.candidate?.fingerprint;
  await orderRotation(kit.server.deps, operator, pump.id as DeviceId, { verb: 'roll-back' });
  kit.advance(61_000);
  device.cut();
  const again = await boot('own');
  await until('back on its first key', () => again.state.phase === 'SETTLED' && again.state.candidate === null, 20_000);
  expect(again.state.base?.fingerprint).not.toBe(candidate);
  const naming = again.heard.filter(({ payload }) => payload.includes('"revoked":["'));
  expect(naming.length).toBeGreaterThan(0);
  expect(JSON.stringify(again.heard)).not.toContain('key_revoked');
});

test('joined broker: without a MAC, with a wrong one, replayed, of a stranger → nothing moves, nothing is signed', async () => {
  await setUp('joined');
  const device = await boot('joined');
  await device.look();
  const sent = carried.filter(({ topic }) => topic.endsWith('/up/rotation'));
  const line = (sent[0]?.payload ?? '').split('\n')[0] as string;
  const answers = async (payload: string, id = pump.id) => {
    const from = carried.length;
    plant?.broker.publish(
      { cmd: 'publish', topic: `fuselink/v1/${id}/up/rotation`, payload, qos: 1, retain: false, dup: false },
      () => {},
    );
    await until('an answer', () => carried.slice(from).some(({ topic }) => topic === `fuselink/v1/${id}/down/ack`));
    const [text = '', mac] = (
      carried.slice(from).find(({ topic }) => topic.endsWith('/down/ack'))?.payload ?? ''
    ).split('\n');
    return { ...JSON.parse(text), signed: mac !== undefined };
  };
  expect(await answers(line)).toMatchObject({ status: 401, signed: false, body: { code: 'key_unknown' } });
  const [, trailer = ''] = (sent[0]?.payload ?? '').split('\n');
  expect(await answers(`${line}\n${trailer.slice(0, -1)}${trailer.endsWith('0') ? '1' : '0'}`)).toMatchObject({
    status: 401,
    signed: false,
  });
  expect(await answers(sent[0]?.payload ?? '')).toMatchObject({
    status: 409,
    signed: true,
    body: { code: 'conflict' },
  });
  const stranger = await account.device('stranger');
  expect(await answers(sent[0]?.payload ?? '', stranger.id)).toMatchObject({ status: 404, signed: false });
  expect(await answers('{"id":"a","call":"format"}')).toMatchObject({ re: 'a', status: 400, signed: false });
});

test('own broker: an unknown candidate while the WAN is down → CONNACK 3, nothing is dropped; it goes on after', async () => {
  await setUp('own');
  let device = await boot('own');
  await until('settled', () => device.state.phase === 'SETTLED');
  await device.look();
  await order({ source: 'self', soakMs: 0 });
  await until('it has two keys', () => device.state.candidate !== null);
  device.cut();
  wanPlan = () => ({ cutAfterUpBytes: 0 });
  wan.cutAll();
  device = await boot('own');
  await until('it tried', () => device.phases.length > 0 || device.state.failures > 0);
  expect(device.state.candidate === null && device.state.base === null).toBe(false);
  wanPlan = () => ({});
  kit.advance(61_000);
  await until('done', async () => (await rotation()).state === 'IDLE' && device.state.phase === 'SETTLED', 20_000);
  expect((await rotation()).active).toBe(device.state.base?.fingerprint);
});

import { join } from 'node:path';
import mqtt from 'mqtt';
import { afterEach, describe, expect, test } from 'vitest';
import { openCredentialSlots } from '#sdk/node';
import type { DeviceId } from '../../server/domain/ids.ts';
import { raiseEpoch } from '../../server/usecases/backup/epoch.ts';
import { issueKey, lookAtRotation, orderRotation } from '../../server/usecases/rotation/operate.ts';
import { until } from '../../test/support/until.ts';
import { type BrokerKind, MqttWorld, seeded } from '../testing/mqtt-world.ts';

/*
 * The reference device over MQTT → a LAN that cuts → the bridge → a WAN that cuts → a real server. Nothing between is a fake.
 */

const SEED = Number(process.env['FUSELINK_SEED'] ?? 2_061);

let world: MqttWorld;
let pump: { id: string; key: string };

async function setUp(how: BrokerKind): Promise<void> {
  world = await MqttWorld.start(how);
  [pump = { id: '', key: '' }] = await world.enrol('pump');
  await world.gateway('hall', [pump.id]);
}
afterEach(() => world.stop());

const boot = () => world.boot(pump.id);
const rotation = () => lookAtRotation(world.kit.server.deps, world.operator, pump.id as DeviceId);
const order = (plan: object) =>
  orderRotation(world.kit.server.deps, world.operator, pump.id as DeviceId, {
    verb: 'rotate',
    plan: { soakMs: 0, ...plan },
  });
const slots = () => openCredentialSlots(join(world.folder, pump.id)).look();

describe.each(['own', 'joined'] as const)('rotation over MQTT, %s broker', (how) => {
  test.each(['self', 'offer'] as const)(
    'source %s: a retained hint, then twice a whole rotation → new key, the old one revoked, no secret on any topic',
    async (source) => {
      await setUp(how);
      const device = await boot();
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
        expect(slots()).toMatchObject({ state: 'settled', mirrored: true });
        secrets.push(Buffer.from(slots().base?.key.bytes() as Uint8Array).toString('hex'));
      }
      await until('the hint is taken back', () =>
        device.heard.some(({ topic, payload }) => topic === 'down/rotation' && JSON.parse(payload).wanted === false),
      );
      const hints = device.heard
        .filter(({ topic }) => topic === 'down/rotation')
        .map(({ payload }) => JSON.parse(payload));
      for (const hint of hints) expect(Object.keys(hint)).toEqual(['gen', 'base', 'wanted']);
      const all = JSON.stringify([device.heard, world.carried]);
      for (const secret of secrets) expect(all).not.toContain(secret);
      const retained = world.carried.filter(({ retain }) => retain);
      expect(retained.every(({ topic }) => topic.endsWith('/down/rotation'))).toBe(true);
      // The audit says through whom the device's word came.
      const proven = (await world.audit()).filter(({ action }) => action === 'rotation.proven');
      expect(proven).toHaveLength(2);
      const word = how === 'own' ? 'attested' : 'carried';
      for (const { actor } of proven) expect(actor).toMatch(new RegExp(`^key:\\S+ ${word} by gateway:gw_`));
      // Both keys that were replaced are refused.
      for (const old of secrets.slice(0, -1)) {
        expect((await world.kit.call('GET', '/v1/device', { apiKey: old })).json.code).toBe('key_revoked');
      }
    },
  );

  test(`cuts on both lines, power cuts, WAN outages, lost and repeated messages → it comes out settled [FUSELINK_SEED=${SEED}]`, async () => {
    await setUp(how);
    const random = seeded(SEED);
    let calm = false;
    let down = false;
    world.wanPlan = () => {
      if (down) return { cutAfterUpBytes: 0 };
      const dice = random();
      if (calm || dice > 0.3) return {};
      return dice < 0.1
        ? { cutAfterUpBytes: Math.ceil(random() * 800) }
        : { cutAfterDownBytes: Math.ceil(random() * 500) };
    };
    world.lanPlan = () => (calm || random() > 0.25 ? {} : { cutAfterDownBytes: Math.ceil(random() * 600) });
    world.repeats = () => !calm && random() < 0.3;
    for (const [round, source] of (['self', 'offer', 'self'] as const).entries()) {
      calm = false;
      let device = await boot();
      await order({ source });
      for (let cuts = 0; cuts < 6; cuts++) {
        const phase = device.state.phase;
        await Promise.race([
          until('it moves', () => device.state.phase !== phase, 60_000).catch(() => {}),
          new Promise((resolve) => setTimeout(resolve, Math.ceil(random() * 150))),
        ]);
        down = random() < 0.3;
        if (down) world.wan.cutAll();
        if (random() < 0.5) world.gateways[0]?.lan.cutAll();
        device.cut();
        device = await boot();
      }
      down = false;
      calm = true;
      // Ten calls a minute are a device's own: the cuts have spent some of them.
      world.kit.advance(61_000);
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
    expect(world.wan.cuts + (world.gateways[0]?.lan.cuts ?? 0)).toBeGreaterThan(0);
    const alarms = (await world.audit()).filter(({ action }) => action.includes('alarm'));
    expect(alarms).toEqual([]);
  });
});

test('own broker: a key revoked by a roll-back is refused with 5, and named only on the other key’s session → dropped', async () => {
  await setUp('own');
  const device = await boot();
  await until('settled', () => device.state.phase === 'SETTLED');
  await order({ source: 'self', soakMs: 3_600_000 });
  await until('proven', async () => (await rotation()).state === 'PROVEN' && device.state.phase === 'PROVEN');
  const candidate = device.state.candidate?.fingerprint;
  await orderRotation(world.kit.server.deps, world.operator, pump.id as DeviceId, { verb: 'roll-back' });
  world.kit.advance(61_000);
  device.cut();
  const again = await boot();
  await until('back on its first key', () => again.state.phase === 'SETTLED' && again.state.candidate === null, 20_000);
  expect(again.state.base?.fingerprint).not.toBe(candidate);
  const naming = again.heard.filter(({ payload }) => payload.includes('"revoked":["'));
  expect(naming.length).toBeGreaterThan(0);
  expect(JSON.stringify(again.heard)).not.toContain('key_revoked');
});

test('joined broker: without a MAC, with a wrong one, replayed, of a stranger → nothing moves, nothing is signed', async () => {
  await setUp('joined');
  const device = await boot();
  await device.look();
  const sent = world.carried.filter(({ topic }) => topic.endsWith('/up/rotation'));
  const line = (sent[0]?.payload ?? '').split('\n')[0] as string;
  const idOf = (text: string) => String(JSON.parse(text.split('\n')[0] ?? '{}').id);
  // Told apart by their ids: the device itself may ask once more while a busy machine answers late.
  const answers = async (payload: string, status: number, id = pump.id) => {
    const from = world.carried.length;
    world.plant?.broker.publish(
      { cmd: 'publish', topic: `fuselink/v1/${id}/up/rotation`, payload, qos: 1, retain: false, dup: false },
      () => {},
    );
    return until('an answer', () => {
      for (const { topic, payload: told } of world.carried.slice(from)) {
        if (topic !== `fuselink/v1/${id}/down/ack`) continue;
        const [text = '', mac] = told.split('\n');
        const answer = JSON.parse(text);
        if (answer.re === idOf(payload) && answer.status === status) return { ...answer, signed: mac !== undefined };
      }
      return null;
    });
  };
  const bare = line.replace(idOf(line), 'aaaaaaaaaaaa');
  expect(await answers(bare, 401)).toMatchObject({ signed: false, body: { code: 'key_unknown' } });
  const [, trailer = ''] = (sent[0]?.payload ?? '').split('\n');
  const altered = line.replace(idOf(line), 'bbbbbbbbbbbb');
  expect(await answers(`${altered}\n${trailer}`, 401)).toMatchObject({ signed: false });
  expect(await answers(sent[0]?.payload ?? '', 409)).toMatchObject({ signed: true, body: { code: 'conflict' } });
  const stranger = await world.account.device('stranger');
  expect(await answers(sent[0]?.payload ?? '', 404, stranger.id)).toMatchObject({ signed: false });
  expect(await answers('{"id":"a","call":"format"}', 400)).toMatchObject({ re: 'a', signed: false });
  // The database comes back from a backup: the recording is told so and no more, and the device goes on.
  await raiseEpoch(world.kit.server.deps);
  expect(await answers(sent[0]?.payload ?? '', 409)).toMatchObject({ signed: true, epoch: 1 });
  const from = world.carried.length;
  await device.look();
  const heard = world.carried.slice(from).filter(({ topic }) => topic.endsWith(`${pump.id}/down/ack`));
  const told = heard.map(({ payload }) => JSON.parse(payload.split('\n')[0] ?? '{}'));
  expect(told.at(-1)).toMatchObject({ status: 200, epoch: 1 });
});

test('own broker: an unknown candidate while the WAN is down → CONNACK 3, nothing is dropped; it goes on after', async () => {
  await setUp('own');
  let device = await boot();
  await until('settled', () => device.state.phase === 'SETTLED');
  await device.look();
  await order({ source: 'self', soakMs: 0 });
  await until('it has two keys', () => device.state.candidate !== null);
  device.cut();
  world.wanPlan = () => ({ cutAfterUpBytes: 0 });
  world.wan.cutAll();
  device = await boot();
  await until('it tried', () => device.phases.length > 0 || device.state.failures > 0);
  expect(device.state.candidate === null && device.state.base === null).toBe(false);
  world.wanPlan = () => ({});
  world.kit.advance(61_000);
  await until('done', async () => (await rotation()).state === 'IDLE' && device.state.phase === 'SETTLED', 20_000);
  expect((await rotation()).active).toBe(device.state.base?.fingerprint);
});

test('own broker, a device that knows nothing of calls: signs in with a key carried to it and publishes → that is the proof', async () => {
  await setUp('own');
  const { deps } = world.kit.server;
  const publish = async (key: string, payload: string) => {
    const url = world.gateways[0]?.bridge.urls[0] as string;
    const client = await mqtt.connectAsync(url, { username: pump.id, password: key, protocolVersion: 4 });
    await client.publishAsync(`fuselink/v1/${pump.id}/up/readings/t`, payload, { qos: 1 });
    await client.endAsync();
  };
  await publish(pump.key, '1');
  await orderRotation(deps, world.operator, pump.id as DeviceId, {
    verb: 'rotate',
    plan: { source: 'manual', soakMs: 0 },
  });
  const issued = await issueKey(deps, world.operator, pump.id as DeviceId);
  await publish(pump.key, '2');
  expect((await rotation()).state).toBe('MINTED');
  await publish(issued.key, '3');
  await until('its upload is the proof', async () => (await rotation()).state === 'PROVEN');
  expect((await world.kit.call('GET', '/v1/transfers', { apiKey: pump.key })).status).toBe(200);
  await publish(issued.key, '4');
  await until('the old key goes after a later one', async () => (await rotation()).state === 'IDLE');
  expect((await rotation()).active).toBe(issued.fingerprint);
  const proven = (await world.audit()).find(({ action }) => action === 'rotation.proven');
  expect(proven?.actor).toMatch(/^key:\S+ attested by gateway:gw_/);
  expect((await world.kit.call('GET', '/v1/device', { apiKey: pump.key })).json.code).toBe('key_revoked');
});

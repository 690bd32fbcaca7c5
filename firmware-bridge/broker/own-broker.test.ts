import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../../test/support/until.ts';
import { type BrokerRig, brokerRig, connectPacket, field, packet, type RawClient } from '../testing/broker-rig.ts';

const KEY = 'a1'.repeat(32);
const OTHER = 'b2'.repeat(32);
const sha256 = (key: string) => createHash('sha256').update(Buffer.from(key, 'hex')).digest('hex');

let rig: BrokerRig;
beforeEach(async () => {
  rig = await brokerRig();
  rig.relay.states.set(`pump ${sha256(KEY)}`, 'valid');
  rig.relay.states.set(`valve ${sha256(OTHER)}`, 'valid');
});
afterEach(() => rig.stop());

/** `connected`, or the CONNACK code of the refusal. */
async function outcome(client: MqttClient): Promise<'connected' | number> {
  return new Promise((resolve, reject) => {
    client.once('connect', () => resolve('connected'));
    client.once('error', (error) => resolve((error as Error & { code?: number }).code ?? -1));
    client.once('close', () => reject(new Error('closed without an answer')));
  });
}

function closing(client: MqttClient): Promise<void> {
  return new Promise((resolve) => client.once('close', () => resolve()));
}

/** A raw client that is signed in as the pump. */
async function signedIn(): Promise<RawClient> {
  const raw = await rig.raw();
  raw.send(connectPacket({ username: 'pump', password: KEY }));
  expect([...(await raw.bytes(4))]).toEqual([0x20, 2, 0, 0]);
  return raw;
}

describe('sign-in', () => {
  test('right key, MQTT 3.1 and 3.1.1, both QoS → readings arrive and are acknowledged', async () => {
    for (const options of [{ protocolVersion: 4 }, { protocolVersion: 3, protocolId: 'MQIsdp' }] as const) {
      const client = rig.client('pump', KEY, { ...options, clientId: `v${options.protocolVersion}` });
      expect(await outcome(client)).toBe('connected');
      for (const qos of [0, 1, 2] as const)
        await client.publishAsync('fuselink/v1/pump/up/readings/t', `q${qos}`, { qos });
    }
    const seen = () => rig.messages.map(({ payload }) => Buffer.from(payload).toString()).sort();
    await until('six messages', () => rig.messages.length === 6);
    expect(seen()).toEqual(['q0', 'q0', 'q1', 'q1', 'q2', 'q2']);
  });

  test.each([
    ['a wrong key', 'pump', OTHER, 5],
    ['a device nobody knows', 'stranger', KEY, 5],
    ['something that is no key', 'pump', 'password', 4],
    ['a user name that is no device id', 'pump/+', KEY, 4],
    ['no password', 'pump', undefined, 4],
  ])('%s → refused with its code', async (_name, device, key, code) => {
    expect(await outcome(rig.client(device, key as string))).toBe(code);
    expect(rig.notes.join()).not.toContain(KEY);
  });

  test('the WAN is down → a known key goes on working, an unknown candidate is told "unavailable"', async () => {
    expect(await outcome(rig.client('pump', KEY))).toBe('connected');
    rig.relay.away = true;
    expect(await outcome(rig.client('pump', KEY, { clientId: 'again' }))).toBe('connected');
    expect(await outcome(rig.client('pump', OTHER, { clientId: 'candidate' }))).toBe(3);
    expect(await outcome(rig.client('valve', OTHER))).toBe(3);
  });

  test('the cache: holds hashes in a file of 0600, and no key', async () => {
    expect(await outcome(rig.client('pump', KEY))).toBe('connected');
    const text = await readFile(rig.cacheFile, 'utf8');
    expect(text).toContain(sha256(KEY));
    expect(text).not.toContain(KEY);
    expect((await stat(rig.cacheFile)).mode & 0o777).toBe(0o600);
  });

  test('a revoked key: as soon as the bridge hears of it → disconnected, forgotten, refused while the WAN is down', async () => {
    const client = rig.client('pump', KEY);
    expect(await outcome(client)).toBe('connected');
    rig.relay.states.set(`pump ${sha256(KEY)}`, 'revoked');
    const closed = closing(client);
    await rig.signIn.review();
    await closed;
    expect(await readFile(rig.cacheFile, 'utf8')).not.toContain(sha256(KEY));
    rig.relay.away = true;
    expect(await outcome(rig.client('pump', KEY, { clientId: 'b' }))).toBe(3);
  });

  test('one device takes another one’s client id → both stay connected', async () => {
    const pump = rig.client('pump', KEY, { clientId: 'same' });
    expect(await outcome(pump)).toBe('connected');
    expect(await outcome(rig.client('valve', OTHER, { clientId: 'same' }))).toBe('connected');
    await pump.publishAsync('fuselink/v1/pump/up/readings/t', 'still here', { qos: 1 });
    expect(rig.messages).toHaveLength(1);
  });

  test('a fourth connection of one device → 3; a client taking over its own → let in', async () => {
    for (const clientId of ['a', 'b', 'c'])
      expect(await outcome(rig.client('pump', KEY, { clientId }))).toBe('connected');
    expect(await outcome(rig.client('pump', KEY, { clientId: 'd' }))).toBe(3);
    expect(await outcome(rig.client('pump', KEY, { clientId: 'c' }))).toBe('connected');
  });
});

describe('topics', () => {
  test.each([
    'fuselink/v1/valve/up/readings/t',
    'fuselink/v1/pump/down/rotation',
    'fuselink/v1/pump/up/readings/',
    'fuselink/v1/pump/up/readings/\u0007',
    'fuselink/v1/pump',
    '$SYS/x',
    'elsewhere',
  ])('publish to %j → the connection is closed and nothing kept', async (topic) => {
    const client = rig.client('pump', KEY);
    await outcome(client);
    const closed = closing(client);
    client.publish(topic, 'x', { qos: 1 });
    await closed;
    expect(rig.messages).toEqual([]);
  });

  test('subscribe: own topics → granted; others, wildcards above → 128; nobody hears another device', async () => {
    const pump = rig.client('pump', KEY);
    const valve = rig.client('valve', OTHER);
    await Promise.all([outcome(pump), outcome(valve)]);
    const heard: string[] = [];
    pump.on('message', (topic) => void heard.push(topic));
    expect(await pump.subscribeAsync('fuselink/v1/pump/#', { qos: 1 })).toMatchObject([{ qos: 1 }]);
    for (const filter of [
      '#',
      '+/v1/pump/#',
      'fuselink/v1/+/status',
      'fuselink/v1/valve/#',
      '$SYS/#',
      'fuselink/v1/pump',
    ]) {
      await expect(pump.subscribeAsync(filter)).rejects.toThrow();
    }
    await valve.publishAsync('fuselink/v1/valve/status', 'on', { qos: 1, retain: true });
    await pump.publishAsync('fuselink/v1/pump/status', 'on', { qos: 1, retain: true });
    await until('the own status', () => heard.length === 1);
    expect(heard).toEqual(['fuselink/v1/pump/status']);
  });

  test('a will on somebody else’s topic, or on readings → not signed in', async () => {
    for (const topic of ['fuselink/v1/valve/status', 'fuselink/v1/pump/up/readings/t']) {
      expect(await outcome(rig.client('pump', KEY, { will: { topic, payload: Buffer.from('x'), qos: 1 } }))).toBe(5);
    }
    const will = { topic: 'fuselink/v1/pump/status', payload: Buffer.from('gone'), qos: 1 as const };
    expect(await outcome(rig.client('pump', KEY, { will }))).toBe('connected');
  });
});

describe('what the library would accept', () => {
  test.each([
    ['an empty client id with clean=0', connectPacket({ clientId: '', flags: 0 }), [0x20, 2, 0, 2]],
    ['an empty client id in MQTT 3.1', connectPacket({ name: 'MQIsdp', level: 3, clientId: '' }), [0x20, 2, 0, 2]],
    ['MQTT 5', connectPacket({ level: 5 }), [0x20, 3, 0, 0x84, 0]],
    ['MQTT 6', connectPacket({ level: 6 }), [0x20, 2, 0, 1]],
    ['another protocol', connectPacket({ name: 'HTTP' }), []],
    ['NUL in the client id', connectPacket({ clientId: 'a\0b' }), []],
    ['a client id that is no UTF-8', connectPacket({ clientId: [0xc3, 0x28] }), []],
    ['a surrogate in the client id', connectPacket({ clientId: [0xed, 0xa0, 0x80] }), []],
    ['the reserved flag', connectPacket({ flags: 3 }), []],
    ['a password without a user', connectPacket({ flags: 0x42 }), []],
    ['a will of QoS 3', connectPacket({ flags: 0x1e }), []],
    ['will flags without a will', connectPacket({ flags: 0x2a }), []],
    ['bytes after the end', connectPacket({ more: Buffer.from('rest') }), []],
    ['PUBLISH before CONNECT', packet(0x30, field('t')), []],
    ['256 MB announced', Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]), []],
    ['a length of five bytes', Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x01]), []],
    ['a packet of type 0', Buffer.from([0, 0]), []],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), []],
  ])('%s → refused, connection closed', async (_name, bytes, answer) => {
    const raw = await rig.raw();
    raw.send(bytes);
    await raw.closed;
    expect([...raw.received]).toEqual(answer);
    expect(rig.relay.asked).toEqual([]);
  });

  const TOPIC = 'fuselink/v1/pump/up/readings/t';
  test.each([
    ['CONNECT again', connectPacket({ username: 'pump', password: KEY })],
    ['NUL in a topic', packet(0x30, Buffer.concat([field(`${TOPIC}\0`), Buffer.from('x')]))],
    ['a topic that is no UTF-8', packet(0x30, field([...Buffer.from(TOPIC), 0xff]))],
    ['an empty topic', packet(0x30, field(''))],
    ['a wildcard in a topic', packet(0x30, field(`${TOPIC}/+`))],
    ['too many levels', packet(0x30, field(`${TOPIC}${'/a'.repeat(20)}`))],
    ['QoS 1 with id 0', packet(0x32, Buffer.concat([field(TOPIC), Buffer.from([0, 0, 1])]))],
    ['QoS 3', packet(0x36, Buffer.concat([field(TOPIC), Buffer.from([0, 1])]))],
    ['DUP on QoS 0', packet(0x38, field(TOPIC))],
    ['filter a+', packet(0x82, Buffer.concat([Buffer.from([0, 1]), field('a+'), Buffer.from([0])]))],
    ['filter a/#/b', packet(0x82, Buffer.concat([Buffer.from([0, 1]), field('a/#/b'), Buffer.from([0])]))],
    ['a subscription of QoS 3', packet(0x82, Buffer.concat([Buffer.from([0, 1]), field('a'), Buffer.from([3])]))],
    ['SUBSCRIBE with id 0', packet(0x82, Buffer.concat([Buffer.from([0, 0]), field('a'), Buffer.from([0])]))],
    ['SUBSCRIBE without filters', packet(0x82, [0, 1])],
    ['SUBSCRIBE with wrong flags', packet(0x80, Buffer.concat([Buffer.from([0, 1]), field('a'), Buffer.from([0])]))],
    ['UNSUBSCRIBE without filters', packet(0xa2, [0, 1])],
    ['CONNACK from a client', packet(0x20, [0, 0])],
    ['a packet larger than allowed', Buffer.from([0x30, 0xff, 0xff, 0x7f])],
    ['PINGREQ with content', packet(0xc0, [1])],
  ])('signed in, then %s → closed, nothing kept', async (_name, bytes) => {
    const raw = await signedIn();
    raw.send(bytes);
    await raw.closed;
    expect(rig.messages).toEqual([]);
    expect(raw.received).toHaveLength(4);
  });
});

describe('limits', () => {
  test('a socket that never sends CONNECT, and one that sends half of it → closed', async () => {
    await rig.stop();
    rig = await brokerRig({ connectTimeoutMs: 100 });
    const silent = await rig.raw();
    const half = await rig.raw();
    half.send(connectPacket({ username: 'pump', password: KEY }).subarray(0, 10));
    await Promise.all([silent.closed, half.closed]);
    expect(rig.notes.filter((note) => note.includes('did not come in time'))).toHaveLength(2);
  });

  test('more connections than allowed → the next is closed at once, and let in when one has gone', async () => {
    await rig.stop();
    rig = await brokerRig({ connectionsMax: 2 });
    rig.relay.states.set(`pump ${sha256(KEY)}`, 'valid');
    const first = await signedIn();
    await rig.raw();
    await until('two connections', () => rig.broker.connections === 2);
    const third = await rig.raw();
    await third.closed;
    first.socket.destroy();
    await until('one has gone', () => rig.broker.connections < 2);
    await signedIn();
  });

  test('packets faster than allowed → all are taken, later: the connection is read more slowly', async () => {
    await rig.stop();
    rig = await brokerRig({ packetsPerSecond: 1000, packetsBurst: 10 });
    rig.relay.states.set(`pump ${sha256(KEY)}`, 'valid');
    const raw = await signedIn();
    const one = packet(0x30, Buffer.concat([field('fuselink/v1/pump/up/readings/t'), Buffer.from('x')]));
    const before = performance.now();
    raw.send(...Array.from({ length: 200 }, () => one));
    await until('200 messages', () => rig.messages.length === 200);
    expect(performance.now() - before).toBeGreaterThan(150);
  });

  test('everything pipelined behind CONNECT in one write → handled, in order', async () => {
    const raw = await rig.raw();
    const publish = (i: number) =>
      packet(0x32, Buffer.concat([field('fuselink/v1/pump/up/readings/t'), Buffer.from([0, i]), Buffer.from(`${i}`)]));
    raw.send(
      connectPacket({ username: 'pump', password: KEY }),
      ...Array.from({ length: 100 }, (_, i) => publish(i + 1)),
    );
    expect((await raw.bytes(404)).length).toBe(404);
    expect(rig.messages.map(({ payload }) => Buffer.from(payload).toString())).toEqual(
      Array.from({ length: 100 }, (_, i) => String(i + 1)),
    );
  });

  test('a subscriber that never reads → cut off; the publisher and the other subscriber are not held up', async () => {
    await rig.stop();
    rig = await brokerRig({ queueBytesMax: 65_536 });
    rig.relay.states.set(`pump ${sha256(KEY)}`, 'valid');
    const slow = await rig.raw();
    slow.send(
      connectPacket({ username: 'pump', password: KEY, clientId: 'slow' }),
      packet(0x82, Buffer.concat([Buffer.from([0, 1]), field('fuselink/v1/pump/status'), Buffer.from([0])])),
    );
    await slow.bytes(9);
    slow.socket.pause();
    const reader = rig.client('pump', KEY, { clientId: 'reader' });
    const publisher = rig.client('pump', KEY, { clientId: 'publisher' });
    await Promise.all([outcome(reader), outcome(publisher)]);
    let heard = 0;
    reader.on('message', () => {
      heard += 1;
    });
    await reader.subscribeAsync('fuselink/v1/pump/status');
    const status = Buffer.alloc(4000);
    for (let round = 0; round < 30; round++) {
      await Promise.all(
        Array.from({ length: 100 }, () => publisher.publishAsync('fuselink/v1/pump/status', status, { qos: 1 })),
      );
    }
    await until('all are heard', () => heard === 3000);
    expect(rig.notes.some((note) => note.includes('does not read'))).toBe(true);
    await until('the slow one is gone', () => rig.broker.connections === 2);
  });

  test('a reading that finds no room → not acknowledged until there is; the other device goes on', async () => {
    let makeRoom = () => {};
    const room = new Promise<void>((resolve) => {
      makeRoom = resolve;
    });
    rig.answer = async (message) => {
      if (message.device === 'pump') await room;
      return { kept: true, repeat: false };
    };
    const pump = rig.client('pump', KEY);
    const valve = rig.client('valve', OTHER);
    await Promise.all([outcome(pump), outcome(valve)]);
    let acknowledged = false;
    const held = pump.publishAsync('fuselink/v1/pump/up/readings/t', 'x', { qos: 1 }).then(() => {
      acknowledged = true;
    });
    await valve.publishAsync('fuselink/v1/valve/up/readings/t', 'y', { qos: 1 });
    expect(acknowledged).toBe(false);
    makeRoom();
    await held;
    expect(rig.messages.map(({ device }) => device)).toEqual(['valve', 'pump']);
  });

  test('a reading that cannot be kept → QoS 1 is not acknowledged, the connection is closed', async () => {
    rig.answer = async () => ({ kept: false, reason: 'disk_full' });
    const raw = await signedIn();
    raw.send(packet(0x32, Buffer.concat([field('fuselink/v1/pump/up/readings/t'), Buffer.from([0, 1, 1])])));
    await raw.closed;
    expect(raw.received).toHaveLength(4);
  });

  test('a session that is away → a bounded number of messages is kept for it', async () => {
    await rig.stop();
    rig = await brokerRig({ offlineMessagesMax: 5 });
    rig.relay.states.set(`pump ${sha256(KEY)}`, 'valid');
    const away = rig.client('pump', KEY, { clientId: 'away', clean: false });
    await outcome(away);
    await away.subscribeAsync('fuselink/v1/pump/status', { qos: 1 });
    await away.endAsync();
    const publisher = rig.client('pump', KEY, { clientId: 'publisher' });
    await outcome(publisher);
    for (let i = 0; i < 20; i++) await publisher.publishAsync('fuselink/v1/pump/status', `${i}`, { qos: 1 });
    const back = rig.client('pump', KEY, { clientId: 'away', clean: false });
    const heard: string[] = [];
    back.on('message', (_topic, payload) => void heard.push(payload.toString()));
    await until('what was kept', () => heard.length >= 5);
    expect(heard).toEqual(['0', '1', '2', '3', '4']);
  });
});

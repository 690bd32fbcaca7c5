import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../../test/support/until.ts';
import { brokerRig } from '../testing/broker-rig.ts';
import { MOSQUITTO, startMosquitto } from '../testing/mosquitto.ts';
import { type JoinedBroker, joinBroker } from './joined-broker.ts';
import type { DeviceMessage } from './message.ts';
import { mapTopic } from './topic-mapping.ts';

const CLIENTS = spawnSync('mosquitto_pub', ['--help']).error === undefined;
if (MOSQUITTO === undefined || !CLIENTS) {
  console.warn('Mosquitto is not installed: its tests are left out (apt-get install mosquitto mosquitto-clients)');
}

const ends: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

describe('topic mapping', () => {
  const mappings = [
    { filter: 'plant/+/pumps/+/#', device: 'pump-{2}', channel: '{1}/{#}' },
    { filter: 'spBv1.0/+/DDATA/+/+', device: '{3}', channel: 'sparkplug/{1}/{2}' },
  ];
  test.each([
    ['plant/hall1/pumps/7/temp/in', { device: 'pump-7', channel: 'hall1/temp/in' }],
    ['spBv1.0/group/DDATA/node/dev-1', { device: 'dev-1', channel: 'sparkplug/group/node' }],
    ['plant/hall1/pumps/7', null],
    ['plant/hall1/valves/7/x', null],
    ['plant/hall1/pumps/../x', null],
    ['spBv1.0/group/DDATA/node/dev.1', null],
  ])('%s → %j', (topic, expected) => expect(mapTopic(mappings, topic)).toEqual(expected));
});

function pub(port: number, ...args: string[]): Promise<number | null> {
  const child = spawn('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(port), ...args], { stdio: 'ignore' });
  return once(child, 'exit').then(([code]) => code as number | null);
}

describe.skipIf(MOSQUITTO === undefined || !CLIENTS)('with Mosquitto', () => {
  test.each([4, 5] as const)(
    'MQTT %i: messages, a Sparkplug payload, what is not kept → acknowledged only when kept',
    async (version) => {
      const plant = await startMosquitto();
      ends.push(() => rm(plant.folder, { recursive: true, force: true }), plant.stop);
      const kept: DeviceMessage[] = [];
      let refuse = 1;
      const counts: string[] = [];
      const joined: JoinedBroker = joinBroker({
        url: `mqtt://127.0.0.1:${plant.port}`,
        username: null,
        password: null,
        clientId: 'gateway',
        version,
        topics: [
          { filter: 'plant/+/temp', device: '{1}', channel: 'temp' },
          { filter: 'spBv1.0/+/DDATA/+/+', device: '{3}', channel: 'sparkplug' },
        ],
        sink: {
          connected: () => {},
          accept: async (message) => {
            if (refuse-- > 0) return { kept: false, reason: 'disk_full' };
            kept.push(message);
            return { kept: true, repeat: false };
          },
        },
        count: (name) => void counts.push(name),
        note: () => {},
      });
      ends.push(() => joined.close());
      await until('joined', () => joined.connected);
      // The first is refused once: the broker has to send it again, marked as such.
      expect(await pub(plant.port, '-q', '1', '-t', 'plant/pump/temp', '-m', '21.5')).toBe(0);
      await until('sent again', () => kept.length === 1);
      expect(kept[0]).toMatchObject({ device: 'pump', channel: 'temp', delivery: { dup: true } });
      const sparkplug = Buffer.from([8, 0x80, 1, 0xff, 0, 0x12]);
      await writeFile(join(plant.folder, 'payload'), sparkplug);
      expect(
        await pub(plant.port, '-q', '1', '-t', 'spBv1.0/g/DDATA/n/dev-1', '-f', join(plant.folder, 'payload')),
      ).toBe(0);
      await until('the payload', () => kept.length === 2);
      expect(Buffer.from(kept[1]?.payload ?? [])).toEqual(sparkplug);
      await pub(plant.port, '-q', '1', '-t', 'plant/a.b/temp', '-m', 'x');
      await until('unmapped', () => counts.includes('unmapped'));
      expect(kept).toHaveLength(2);
    },
  );

  test('our own broker: mosquitto_pub with 3.1 and 3.1.1, mosquitto_sub on its own topics', async () => {
    const rig = await brokerRig();
    ends.push(() => rig.stop());
    const key = 'c3'.repeat(32);
    const { createHash } = await import('node:crypto');
    rig.relay.states.set(`pump ${createHash('sha256').update(Buffer.from(key, 'hex')).digest('hex')}`, 'valid');
    for (const version of ['mqttv31', 'mqttv311']) {
      const code = await pub(
        rig.port,
        '-V',
        version,
        '-u',
        'pump',
        '-P',
        key,
        '-q',
        '2',
        '-t',
        'fuselink/v1/pump/up/readings/t',
        '-m',
        version,
      );
      expect([version, code]).toEqual([version, 0]);
    }
    expect(rig.messages.map(({ payload }) => Buffer.from(payload).toString())).toEqual(['mqttv31', 'mqttv311']);
    expect(await pub(rig.port, '-V', 'mqttv5', '-u', 'pump', '-P', key, '-t', 'x', '-m', 'x')).not.toBe(0);
    const listening = spawn('mosquitto_sub', [
      '-h',
      '127.0.0.1',
      '-p',
      String(rig.port),
      '-u',
      'pump',
      '-P',
      key,
      '-t',
      'fuselink/v1/pump/status',
      '-C',
      '1',
    ]);
    ends.push(() => void listening.kill());
    let heard = '';
    listening.stdout.on('data', (bytes: Buffer) => {
      heard += bytes.toString();
    });
    const topic = 'fuselink/v1/pump/status';
    expect(await pub(rig.port, '-u', 'pump', '-P', key, '-q', '1', '-r', '-t', topic, '-m', 'here')).toBe(0);
    await until('the status was heard', () => heard === 'here\n');
  });
});

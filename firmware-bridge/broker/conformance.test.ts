import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../test/support/until.ts';
import { type BrokerRig, brokerRig, RawClient } from '../testing/broker-rig.ts';
import { MOSQUITTO, startMosquitto } from '../testing/mosquitto.ts';
import * as mqtt from '../testing/mqtt-words.ts';

/*
 * Statements of MQTT 3.1.1, each tried by hand on the bytes: at our own broker, and at Mosquitto as the control of the test
 * itself. Where the two differ it is a rule of this broker, and the row says so. What no client may send is in
 * own-broker.test.ts.
 */

const KEY = '0123456789abcdef'.repeat(4);

interface Hand {
  device: string;
  status: string;
  /** A connection with CONNECT sent and answered. */
  open(options?: Partial<mqtt.ConnectWords>): Promise<RawClient>;
}

interface Row {
  clause: string;
  what: string;
  try(hand: Hand): Promise<string[]>;
  expected: string[];
  /** What Mosquitto does where this broker has a rule of its own. */
  control?: string[];
}

const closed = async (client: RawClient) => {
  await client.closed;
  return [...mqtt.inWords(client.received), 'closed'];
};

const ROWS: Row[] = [
  {
    clause: '3.2.2-1, 3.2.2-2, 3.1.2-4',
    what: 'a session of before → said to be there; a clean one → not',
    expected: ['CONNACK 0 0', 'CONNACK 1 0', 'CONNACK 0 0', 'CONNACK 0 0'],
    async try({ open, status }) {
      const said: string[] = [];
      for (const clean of [false, false, true, false]) {
        const client = await open({ clean });
        said.push(...(await mqtt.settled(client)));
        // A session with nothing in it is none to the broker library.
        client.send(mqtt.subscribe(1, [status, 1]));
        await mqtt.settled(client);
        await closed(client.send(mqtt.DISCONNECT));
      }
      return said;
    },
  },
  {
    clause: '3.12.4-1',
    what: 'PINGREQ → PINGRESP',
    expected: ['CONNACK 0 0', 'PINGRESP'],
    async try({ open }) {
      const client = await open();
      await mqtt.settled(client);
      return mqtt.inWords(client.received);
    },
  },
  {
    clause: '4.3.2-2, 2.3.1-6',
    what: 'QoS 1 → PUBACK with the same id',
    expected: ['CONNACK 0 0', 'PUBACK 7', 'PUBACK 65535'],
    async try({ open, status }) {
      const client = await open();
      for (const id of [7, 65_535]) client.send(mqtt.publish({ topic: status, payload: 'x', qos: 1, id }));
      return mqtt.settled(client);
    },
  },
  {
    clause: '4.3.3-2',
    what: 'QoS 2, sent twice before PUBREL → delivered once; PUBREL twice → PUBCOMP twice',
    expected: ['SUBACK 1 [0]', 'PUBREC 9', 'PUBREC 9', 'PUBLISH q0 status x', 'PUBCOMP 9', 'PUBCOMP 9'].sort(),
    async try({ open, status }) {
      const client = await open();
      client.send(mqtt.subscribe(1, [status, 0]));
      await mqtt.settled(client);
      const message = { topic: status, payload: 'x', qos: 2, id: 9 };
      client.send(mqtt.publish(message));
      await mqtt.settled(client);
      client.send(mqtt.publish({ ...message, dup: true }));
      await mqtt.settled(client);
      client.send(mqtt.pubrel(9), mqtt.pubrel(9));
      await mqtt.settled(client);
      return (await mqtt.settled(client)).slice(1).sort();
    },
  },
  {
    clause: '3.8.4-2, 3.8.4-5, 3.9.3',
    what: 'SUBSCRIBE → SUBACK with its id and a code for each filter in order; what is not the device’s own → 128',
    expected: ['SUBACK 513 [1 128 0 2]'],
    control: ['SUBACK 513 [1 1 0 2]'],
    async try({ open, device, status }) {
      const client = await open();
      const own = `fuselink/v1/${device}/down`;
      client.send(mqtt.subscribe(513, [status, 1], ['#', 1], [`${own}/ack`, 0], [`${own}/+/x`, 2]));
      return (await mqtt.settled(client)).slice(1, 2);
    },
  },
  {
    clause: '3.10.4-4, 3.10.4-5',
    what: 'UNSUBSCRIBE, of what is subscribed and of what is not → UNSUBACK; nothing more comes',
    expected: ['PUBACK 4', 'SUBACK 1 [0]', 'UNSUBACK 2', 'UNSUBACK 3'],
    async try({ open, status }) {
      const client = await open();
      client.send(mqtt.subscribe(1, [status, 0]), mqtt.unsubscribe(2, status), mqtt.unsubscribe(3, 'never'));
      await mqtt.settled(client);
      client.send(mqtt.publish({ topic: status, payload: 'x', qos: 1, id: 4 }));
      return (await mqtt.settled(client)).slice(1).sort();
    },
  },
  {
    clause: '3.8.4-6',
    what: 'delivered with the lower of both QoS',
    expected: ['PUBACK 5', 'PUBLISH q0 status x', 'SUBACK 1 [0]'],
    async try({ open, status }) {
      const client = await open();
      client.send(mqtt.subscribe(1, [status, 0]));
      await mqtt.settled(client);
      client.send(mqtt.publish({ topic: status, payload: 'x', qos: 1, id: 5 }));
      await mqtt.settled(client);
      return (await mqtt.settled(client)).slice(1).sort();
    },
  },
  {
    clause: '3.3.1-6, 3.3.1-8, 3.3.1-9, 3.3.1-10',
    what: 'a retained status → marked so for who comes later and not for who is there; emptied → gone',
    expected: [
      'there: PUBLISH q0 status up',
      'later: PUBLISH q0 retain status up',
      'there: PUBLISH q0 status ',
      'emptied:',
    ],
    async try({ open, status }) {
      const there = await open({ clientId: 'there' });
      there.send(mqtt.subscribe(1, [status, 0]));
      await mqtt.settled(there);
      const said: string[] = [];
      const look = async (name: string, client: RawClient) => {
        const heard = (await mqtt.settled(client)).filter((line) => line.startsWith('PUBLISH')).at(-1) ?? '';
        said.push(`${name}: ${heard}`.replace(/: $/, ':'));
      };
      const sender = await open({ clientId: 'sender' });
      for (const [payload, name] of [
        ['up', 'later'],
        ['', 'emptied'],
      ] as const) {
        sender.send(mqtt.publish({ topic: status, payload, qos: 1, id: 1, retain: true }));
        await mqtt.settled(sender);
        await mqtt.settled(there);
        await look('there', there);
        const late = await open({ clientId: 'late' });
        late.send(mqtt.subscribe(1, [status, 0]));
        await mqtt.settled(late);
        await look(name, late);
        await closed(late.send(mqtt.DISCONNECT));
      }
      return said;
    },
  },
  {
    clause: '3.3.1-5',
    what: 'a reading marked to be retained → is no new reading for who comes later: this broker retains none',
    expected: [],
    control: ['PUBLISH q0 retain up/readings/t 1'],
    async try({ open, device }) {
      const client = await open();
      const topic = `fuselink/v1/${device}/up/readings/t`;
      client.send(mqtt.publish({ topic, payload: '1', qos: 1, id: 1, retain: true }));
      await mqtt.settled(client);
      client.send(mqtt.subscribe(2, [topic, 0]));
      await mqtt.settled(client);
      return (await mqtt.settled(client)).filter((line) => line.startsWith('PUBLISH'));
    },
  },
  {
    clause: '3.1.2-8, 3.1.2-10, 3.14.4-3',
    what: 'a connection that breaks → its will; one that says DISCONNECT → none',
    expected: ['PUBLISH q0 status broke'],
    async try({ open, status }) {
      const listener = await open({ clientId: 'listener' });
      listener.send(mqtt.subscribe(1, [status, 0]));
      await mqtt.settled(listener);
      await closed((await open({ clientId: 'orderly', will: 'orderly' })).send(mqtt.DISCONNECT));
      (await open({ clientId: 'broken', will: 'broke' })).socket.destroy();
      const heard = () => mqtt.inWords(listener.received).filter((line) => line.startsWith('PUBLISH'));
      await until('the will', () => heard().length > 0);
      await mqtt.settled(listener);
      return heard();
    },
  },
  {
    clause: '3.1.2-24',
    what: 'nothing for one and a half times the keep-alive → closed, and its will',
    expected: ['CONNACK 0 0', 'closed', 'PUBLISH q0 status silent'],
    async try({ open, status }) {
      const listener = await open({ clientId: 'listener' });
      listener.send(mqtt.subscribe(1, [status, 0]));
      await mqtt.settled(listener);
      const said = await closed(await open({ clientId: 'silent', will: 'silent', keepAliveSeconds: 1 }));
      const heard = () => mqtt.inWords(listener.received).filter((line) => line.startsWith('PUBLISH'));
      await until('the will', () => heard().length > 0);
      return [...said, ...heard()];
    },
  },
  {
    clause: '3.1.4-2',
    what: 'the same client id again → the connection of before is closed',
    expected: ['CONNACK 0 0', 'closed', 'CONNACK 0 0'],
    async try({ open }) {
      const first = await open();
      const second = await open();
      return [...(await closed(first)), ...(await mqtt.settled(second))];
    },
  },
  {
    clause: '4.4.0-1, 3.3.1-1',
    what: 'QoS 1 that was not acknowledged → again on the next connection, marked as such; what was → not',
    expected: ['PUBLISH q1 dup status two'],
    async try({ open, status }) {
      const client = await open({ clean: false });
      client.send(mqtt.subscribe(1, [status, 1]));
      await mqtt.settled(client);
      const sender = await open({ clientId: 'sender' });
      for (const [id, payload] of ['one', 'two'].entries()) {
        sender.send(mqtt.publish({ topic: status, payload, qos: 1, id: id + 1 }));
      }
      await mqtt.settled(sender);
      await until(
        'both',
        () => mqtt.inWords(client.received).filter((line) => line.startsWith('PUBLISH')).length === 2,
      );
      client.send(mqtt.puback(mqtt.lastId(client.received, 'one')));
      await mqtt.settled(client);
      client.socket.destroy();
      await client.closed;
      const again = await open({ clean: false });
      await until('again', () => mqtt.inWords(again.received).some((line) => line.startsWith('PUBLISH')));
      return (await mqtt.settled(again)).filter((line) => line.startsWith('PUBLISH'));
    },
  },
  {
    clause: '3.1.2-5, 4.6.0-6',
    what: 'a session that is away → QoS 1 is kept for it, and comes in order',
    expected: ['PUBLISH q1 status a', 'PUBLISH q1 status b', 'PUBLISH q1 status c'],
    async try({ open, status }) {
      const client = await open({ clean: false });
      client.send(mqtt.subscribe(1, [status, 1]));
      await mqtt.settled(client);
      await closed(client.send(mqtt.DISCONNECT));
      const sender = await open({ clientId: 'sender' });
      for (const payload of 'abc') {
        sender.send(mqtt.publish({ topic: status, payload, qos: 1, id: payload.charCodeAt(0) }));
        await mqtt.settled(sender);
      }
      const again = await open({ clean: false });
      const heard = () => mqtt.inWords(again.received).filter((line) => line.startsWith('PUBLISH'));
      await until('all three', () => heard().length === 3);
      return heard();
    },
  },
];

const device = (row: number) => `dev${row}`;
const sockets: RawClient[] = [];
let rig: BrokerRig;

beforeAll(async () => {
  rig = await brokerRig();
  const hash = createHash('sha256').update(Buffer.from(KEY, 'hex')).digest('hex');
  for (const row of ROWS.keys()) rig.relay.states.set(`${device(row)} ${hash}`, 'valid');
});
afterAll(async () => {
  for (const { socket } of sockets) socket.destroy();
  await rig.stop();
});

function handOf(row: number, port: number): Hand {
  const id = device(row);
  return {
    device: id,
    status: mqtt.statusOf(id),
    async open(options = {}) {
      const socket = connectTcp({ port, host: '127.0.0.1' });
      const client = new RawClient(socket);
      sockets.push(client);
      await once(socket, 'connect');
      // Client ids of different rows never meet, at the control as well.
      const clientId = `${id}-${options.clientId ?? 'one'}`;
      client.send(mqtt.connect({ device: id, key: KEY, clean: true, ...options, clientId }));
      await client.bytes(4);
      return client;
    },
  };
}

describe('MQTT 3.1.1, our own broker', () => {
  test.concurrent.each(ROWS.map((row, i) => [row.clause, row.what, row, i] as const))(
    '[%s] %s',
    async (_c, _w, row, i) => {
      expect(await row.try(handOf(i, rig.port))).toEqual(row.expected);
    },
  );
});

describe.skipIf(MOSQUITTO === undefined)('MQTT 3.1.1, Mosquitto as the control', () => {
  let mosquitto: Awaited<ReturnType<typeof startMosquitto>>;
  beforeAll(async () => {
    mosquitto = await startMosquitto();
  });
  afterAll(() => mosquitto.stop());
  test.concurrent.each(ROWS.map((row, i) => [row.clause, row.what, row, i] as const))(
    '[%s] %s',
    async (_c, _w, row, i) => {
      expect(await row.try(handOf(i, mosquitto.port))).toEqual(row.control ?? row.expected);
    },
  );
});

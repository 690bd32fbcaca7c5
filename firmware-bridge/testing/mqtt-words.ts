import type { RawClient } from './broker-rig.ts';
import { field, packet } from './broker-rig.ts';

/* Packets of MQTT 3.1.1 to be sent by hand, and what came back in words. */

export interface ConnectWords {
  device: string;
  key: string;
  clientId: string;
  clean: boolean;
  keepAliveSeconds?: number;
  /** On the device's own status topic. */
  will?: string;
}

export const statusOf = (device: string) => `fuselink/v1/${device}/status`;

export function connect({ device, key, clientId, clean, keepAliveSeconds = 60, will }: ConnectWords): Buffer {
  const flags = 0xc0 | (clean ? 2 : 0) | (will === undefined ? 0 : 0x0c);
  const parts = [field('MQTT'), Buffer.from([4, flags, 0, keepAliveSeconds]), field(clientId)];
  if (will !== undefined) parts.push(field(statusOf(device)), field(will));
  return packet(0x10, Buffer.concat([...parts, field(device), field(key)]));
}

export interface PublishWords {
  topic: string;
  payload: string;
  qos?: number;
  id?: number;
  dup?: boolean;
  retain?: boolean;
}

export function publish({ topic, payload, qos = 0, id = 0, dup = false, retain = false }: PublishWords): Buffer {
  const first = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  return packet(first, Buffer.concat([field(topic), qos > 0 ? word(id) : Buffer.alloc(0), Buffer.from(payload)]));
}

const word = (value: number) => Buffer.from([value >> 8, value & 255]);

export const puback = (id: number) => packet(0x40, word(id));
export const pubrec = (id: number) => packet(0x50, word(id));
export const pubrel = (id: number) => packet(0x62, word(id));
export const subscribe = (id: number, ...filters: [filter: string, qos: number][]) =>
  packet(0x82, Buffer.concat([word(id), ...filters.flatMap(([filter, qos]) => [field(filter), Buffer.from([qos])])]));
export const unsubscribe = (id: number, ...filters: string[]) =>
  packet(0xa2, Buffer.concat([word(id), ...filters.map((filter) => field(filter))]));
export const PINGREQ = packet(0xc0, []);
export const DISCONNECT = packet(0xe0, []);

const NAMES: Record<number, string> = { 4: 'PUBACK', 5: 'PUBREC', 6: 'PUBREL', 7: 'PUBCOMP', 11: 'UNSUBACK' };

/** All whole packets among these bytes, a line each: `PUBACK 7`, `PUBLISH q1 dup status "x"`. */
export function inWords(bytes: Buffer): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] as number;
    let length = 0;
    let shift = 0;
    let body = at + 1;
    for (let more = true; more; shift += 7) {
      const byte = bytes[body++];
      if (byte === undefined) return lines;
      length |= (byte & 127) << shift;
      more = byte > 127;
    }
    if (bytes.length < body + length) return lines;
    lines.push(oneInWords(first, bytes.subarray(body, body + length)));
    at = body + length;
  }
  return lines;
}

function oneInWords(first: number, body: Buffer): string {
  const type = first >> 4;
  if (type === 2) return `CONNACK ${body[0]} ${body[1]}`;
  if (type === 13) return 'PINGRESP';
  if (type === 9) return `SUBACK ${body.readUInt16BE(0)} [${[...body.subarray(2)].join(' ')}]`;
  if (type !== 3) return `${NAMES[type] ?? type} ${body.readUInt16BE(0)}`;
  const qos = (first >> 1) & 3;
  const topicEnd = 2 + body.readUInt16BE(0);
  const topic = body.subarray(2, topicEnd).toString().split('/').slice(3).join('/');
  const payload = body.subarray(topicEnd + (qos > 0 ? 2 : 0)).toString();
  return [
    'PUBLISH',
    `q${qos}`,
    ...((first & 8) > 0 ? ['dup'] : []),
    ...((first & 1) > 0 ? ['retain'] : []),
    topic,
    payload,
  ].join(' ');
}

/** The packet id of the last PUBLISH that came with QoS 1 or 2. */
export function lastId(bytes: Buffer, payload: string): number {
  return bytes.readUInt16BE(bytes.lastIndexOf(payload) - 2);
}

/** Resolves with everything that came when a PINGREQ sent now has been answered: nothing more is under way. */
export async function settled(client: RawClient): Promise<string[]> {
  const pings = (lines: string[]) => lines.filter((line) => line === 'PINGRESP').length;
  const before = pings(inWords(client.received));
  client.send(PINGREQ);
  for (let had = client.received.length; pings(inWords(client.received)) === before; had = client.received.length) {
    await client.bytes(had + 1);
  }
  return inWords(client.received).filter((line) => line !== 'PINGRESP');
}

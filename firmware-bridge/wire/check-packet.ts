import type { BridgeLimits } from '../limits.ts';

/*
 * What one MQTT control packet must be before the broker sees it [MQTT 3.1.1]. The broker library accepts much that the
 * standard forbids; here each clause is looked at, on the bytes themselves.
 */

export const PACKET = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  unsubscribe: 10,
  pingreq: 12,
  disconnect: 14,
} as const;

/** Why a packet is refused, and what (if anything) is answered before the connection is closed. */
export interface Violation {
  reason: string;
  answer: Uint8Array | null;
}

export type PacketVerdict = { ok: true; type: number } | { ok: false; violation: Violation };

export interface PacketContext {
  limits: BridgeLimits;
  /** 3 or 4 once CONNECT has passed, null before. */
  protocolLevel: 3 | 4 | null;
}

/** CONNACK with a return code [MQTT-3.2.2]. */
export function connack(code: number): Uint8Array {
  return Uint8Array.of(0x20, 2, 0, code);
}

/** To a client of MQTT 5, in its own words: Unsupported Protocol Version [MQTT 5.0 §3.2.2.2]. */
const CONNACK_V5_UNSUPPORTED = Uint8Array.of(0x20, 3, 0, 0x84, 0);

class Malformed extends Error {
  readonly answer: Uint8Array | null;
  constructor(reason: string, answer: Uint8Array | null = null) {
    super(reason);
    this.answer = answer;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads the fields of one packet; every step checks that it stays inside. */
class Fields {
  readonly #bytes: Uint8Array;
  #at: number;
  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }
  get left(): number {
    return this.#bytes.length - this.#at;
  }
  byte(what: string): number {
    if (this.left < 1) throw new Malformed(`the packet ends before its ${what}`);
    return this.#bytes[this.#at++] as number;
  }
  word(what: string): number {
    return this.byte(what) * 256 + this.byte(what);
  }
  binary(what: string): Uint8Array {
    const length = this.word(what);
    if (this.left < length) throw new Malformed(`the packet ends inside its ${what}`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
  /** [MQTT-1.5.3-1], [MQTT-1.5.3-2]: well-formed UTF-8 without surrogates and without NUL. */
  text(what: string): string {
    const bytes = this.binary(what);
    let text: string;
    try {
      text = utf8.decode(bytes);
    } catch {
      throw new Malformed(`the ${what} is not UTF-8`);
    }
    if (text.includes('\0')) throw new Malformed(`the ${what} has a NUL in it`);
    return text;
  }
  /** [MQTT-2.3.1-1] */
  packetId(): void {
    if (this.word('packet id') === 0) throw new Malformed('expected a packet id other than 0');
  }
  end(what: string): void {
    if (this.left > 0) throw new Malformed(`${what} has ${this.left} bytes too many`);
  }
}

/** Checks one whole packet. `bodyAt` is where its variable header begins. */
export function checkPacket(packet: Uint8Array, bodyAt: number, context: PacketContext): PacketVerdict {
  const first = packet[0] as number;
  const type = first >> 4;
  try {
    if ((type === PACKET.connect) !== (context.protocolLevel === null)) {
      // [MQTT-3.1.0-1], [MQTT-3.1.0-2]
      throw new Malformed(
        type === PACKET.connect ? 'CONNECT came a second time' : 'expected CONNECT as the first packet',
      );
    }
    check(type, first & 15, new Fields(packet, bodyAt), context);
    return { ok: true, type };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { ok: false, violation: { reason: error.message, answer: error.answer } };
  }
}

function check(type: number, flags: number, fields: Fields, context: PacketContext): void {
  // MQTT 3.1 lets a client set DUP on what it sends again; 3.1.1 reserves the bit [MQTT-2.2.2-2].
  const dupAllowed = context.protocolLevel === 3;
  const expectFlags = (expected: number) => {
    if (flags !== expected && !(dupAllowed && expected === 2 && flags === 10)) {
      throw new Malformed(`expected flags ${expected} in a packet of type ${type}, got ${flags}`);
    }
  };
  switch (type) {
    case PACKET.connect:
      expectFlags(0);
      checkConnect(fields, context.limits);
      return;
    case PACKET.publish:
      checkPublish(flags, fields, context.limits);
      return;
    case PACKET.puback:
    case PACKET.pubrec:
    case PACKET.pubcomp:
      expectFlags(0);
      fields.packetId();
      fields.end('an acknowledgement');
      return;
    case PACKET.pubrel:
      expectFlags(2);
      fields.packetId();
      fields.end('PUBREL');
      return;
    case PACKET.subscribe:
      expectFlags(2);
      checkFilters(fields, context.limits, true);
      return;
    case PACKET.unsubscribe:
      expectFlags(2);
      checkFilters(fields, context.limits, false);
      return;
    case PACKET.pingreq:
    case PACKET.disconnect:
      expectFlags(0);
      fields.end('a packet without content');
      return;
    default:
      throw new Malformed(`a client does not send packets of type ${type}`);
  }
}

function checkConnect(fields: Fields, limits: BridgeLimits): void {
  const name = fields.text('protocol name');
  const level = fields.byte('protocol level');
  if (name === 'MQTT' && level === 5) throw new Malformed('MQTT 5 is not spoken here', CONNACK_V5_UNSUPPORTED);
  if (!(name === 'MQTT' && level === 4) && !(name === 'MQIsdp' && level === 3)) {
    throw new Malformed('expected MQTT 3.1 or 3.1.1', name === 'MQTT' || name === 'MQIsdp' ? connack(1) : null);
  }
  const flags = fields.byte('connect flags');
  if ((flags & 1) !== 0) throw new Malformed('the reserved connect flag is set'); // [MQTT-3.1.2-3]
  const will = (flags & 4) !== 0;
  const willQos = (flags >> 3) & 3;
  if (willQos === 3 || (!will && (flags & 0x38) !== 0)) throw new Malformed('the will flags contradict each other');
  const user = (flags & 0x80) !== 0;
  const password = (flags & 0x40) !== 0;
  if (password && !user) throw new Malformed('a password came without a user name'); // [MQTT-3.1.2-22]
  fields.word('keep alive');
  const clientId = fields.text('client id');
  const clean = (flags & 2) !== 0;
  if (clientId === '' && (level === 3 || !clean)) {
    throw new Malformed('an empty client id needs a clean session of MQTT 3.1.1', connack(2)); // [MQTT-3.1.3-8]
  }
  // MQTT 3.1 allows 23; devices in the field send more, and nothing depends on it.
  if (Buffer.byteLength(clientId) > limits.clientIdBytesMax) {
    throw new Malformed(`expected a client id of at most ${limits.clientIdBytesMax} bytes`, connack(2));
  }
  if (will) {
    checkTopic(fields.text('will topic'), limits);
    if (fields.binary('will message').length > limits.statusBytesMax) {
      throw new Malformed(`expected a will of at most ${limits.statusBytesMax} bytes`);
    }
  }
  if (user) fields.text('user name');
  if (password) fields.binary('password');
  fields.end('CONNECT');
}

function checkPublish(flags: number, fields: Fields, limits: BridgeLimits): void {
  const qos = (flags >> 1) & 3;
  if (qos === 3) throw new Malformed('a QoS of 3 does not exist'); // [MQTT-3.3.1-4]
  if (qos === 0 && (flags & 8) !== 0) throw new Malformed('DUP is set on QoS 0'); // [MQTT-3.3.1-2]
  checkTopic(fields.text('topic'), limits);
  if (qos > 0) fields.packetId();
}

function checkTopic(topic: string, limits: BridgeLimits): void {
  if (topic === '') throw new Malformed('the topic is empty'); // [MQTT-4.7.3-1]
  if (/[+#]/.test(topic)) throw new Malformed('a topic has no wildcards'); // [MQTT-3.3.2-2]
  checkSize(topic, limits);
}

function checkSize(topic: string, limits: BridgeLimits): void {
  if (Buffer.byteLength(topic) > limits.topicBytesMax) {
    throw new Malformed(`expected a topic of at most ${limits.topicBytesMax} bytes`);
  }
  if (topic.split('/').length > limits.topicLevelsMax) {
    throw new Malformed(`expected a topic of at most ${limits.topicLevelsMax} levels`);
  }
}

function checkFilters(fields: Fields, limits: BridgeLimits, withQos: boolean): void {
  fields.packetId();
  let filters = 0;
  while (fields.left > 0) {
    const filter = fields.text('topic filter');
    if (filter === '') throw new Malformed('a topic filter is empty');
    checkSize(filter, limits);
    const levels = filter.split('/');
    for (const [i, level] of levels.entries()) {
      if (level.includes('+') && level !== '+') throw new Malformed('+ stands alone in its level'); // [MQTT-4.7.1-3]
      if (level.includes('#') && (level !== '#' || i !== levels.length - 1)) {
        throw new Malformed('# stands alone in the last level'); // [MQTT-4.7.1-2]
      }
    }
    if (withQos && fields.byte('QoS') > 2) throw new Malformed('expected a QoS of 0, 1 or 2'); // [MQTT-3-8.3-4]
    filters += 1;
    if (filters > limits.filtersMax) throw new Malformed(`expected at most ${limits.filtersMax} topic filters`);
  }
  if (filters === 0) throw new Malformed('expected at least one topic filter'); // [MQTT-3.8.3-3]
}

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { type Listener, listen, parseListenAddress } from '../broker/listeners.ts';
import type { Acceptance, DeviceMessage, MessageSink } from '../broker/message.ts';
import { createOwnBroker, type OwnBroker } from '../broker/own-broker.ts';
import { BRIDGE_LIMITS, type BridgeLimits } from '../limits.ts';
import { type KeyState, type Relay, RelayUnavailable, type SignInQuestion } from '../relay/relay.ts';
import { type KeyCache, openKeyCache } from '../sign-in/key-cache.ts';
import { SignIn } from '../sign-in/sign-in.ts';

/** The server's part in signing in, in memory: states by device and hash, and a switch that takes it away. */
export class FakeRelay implements Relay {
  readonly states = new Map<string, KeyState>();
  away = false;
  readonly asked: { asked: readonly SignInQuestion[]; used: boolean }[] = [];

  async signIns(asked: readonly SignInQuestion[], options: { used: boolean; timeoutMs: number }) {
    if (this.away) throw new RelayUnavailable('the WAN is down');
    this.asked.push({ asked, used: options.used });
    return asked.map(({ device, keySha256 }) => {
      const state = this.states.get(`${device} ${keySha256}`) ?? 'unknown';
      return { device, state, fingerprint: state === 'unknown' ? null : keySha256.slice(0, 16) };
    });
  }

  async message(): Promise<never> {
    throw new RelayUnavailable('the WAN is down');
  }

  async work() {
    return { wishes: [], deliveries: [], firmware: [] };
  }

  async refuseDelivery() {}

  async holds() {}

  async attest() {
    return true;
  }

  async image(): Promise<never> {
    throw new RelayUnavailable('the WAN is down');
  }

  async imageContent(): Promise<never> {
    throw new RelayUnavailable('the WAN is down');
  }

  async about() {
    return { name: 'fake', devices: this.states.size };
  }
}

export interface BrokerRig {
  url: string;
  port: number;
  relay: FakeRelay;
  signIn: SignIn;
  cache: KeyCache;
  cacheFile: string;
  broker: OwnBroker;
  messages: DeviceMessage[];
  notes: string[];
  counts: Map<string, number>;
  /** What the sink answers; by default everything is kept. */
  answer: (message: DeviceMessage) => Promise<Acceptance>;
  client(device: string, key: string, options?: mqtt.IClientOptions): mqtt.MqttClient;
  raw(): Promise<RawClient>;
  stop(): Promise<void>;
}

export async function brokerRig(
  limits: Partial<BridgeLimits> = {},
  address = 'mqtt://127.0.0.1:0',
): Promise<BrokerRig> {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-bridge-'));
  const relay = new FakeRelay();
  const notes: string[] = [];
  const counts = new Map<string, number>();
  const note = (detail: string) => void notes.push(detail);
  const cacheFile = join(folder, 'keys.json');
  const cache = await openKeyCache(cacheFile, note);
  let broker: OwnBroker;
  const signIn = new SignIn({
    relay,
    cache,
    warn: note,
    awayMs: 50,
    revoked: (device, keySha256) => broker.disconnect(device, keySha256),
  });
  const clients: mqtt.MqttClient[] = [];
  const sockets: Socket[] = [];
  const sink: MessageSink = {
    connected: () => {},
    accept: async (message) => {
      const accepted = await rig.answer(message);
      if (accepted.kept) rig.messages.push(message);
      return accepted;
    },
  };
  const all = { ...BRIDGE_LIMITS, ...limits };
  broker = await createOwnBroker({
    limits: all,
    signIn,
    sink,
    note,
    count: (name, label) => {
      const key = label === undefined ? name : `${name} ${label}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    },
  });
  const listener: Listener = await listen({
    address: parseListenAddress(address),
    limits: all,
    certFile: null,
    keyFile: null,
    handle: (socket) => broker.handle(socket),
  });
  const port = Number(new URL(listener.url).port);
  const rig: BrokerRig = {
    url: listener.url,
    port,
    relay,
    signIn,
    cache,
    cacheFile,
    broker,
    messages: [],
    notes,
    counts,
    answer: async () => ({ kept: true, repeat: false }),
    client(device, key, options = {}) {
      const client = mqtt.connect(listener.url, {
        username: device,
        password: key,
        protocolVersion: 4,
        reconnectPeriod: 0,
        ...options,
      });
      client.on('error', () => {});
      clients.push(client);
      return client;
    },
    async raw() {
      const socket = connectTcp({ port, host: '127.0.0.1' });
      sockets.push(socket);
      await once(socket, 'connect');
      return new RawClient(socket);
    },
    async stop() {
      for (const client of clients) client.end(true);
      for (const socket of sockets) socket.destroy();
      await broker.close();
      await listener.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return rig;
}

/** Bytes out, bytes in: for what no client library would send. */
export class RawClient {
  readonly socket: Socket;
  received: Buffer = Buffer.alloc(0);
  readonly closed: Promise<void>;

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      this.received = Buffer.concat([this.received, bytes]);
    });
  }

  send(...parts: (Uint8Array | number[])[]): this {
    this.socket.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
    return this;
  }

  async bytes(count: number): Promise<Buffer> {
    while (this.received.length < count) await once(this.socket, 'data');
    return this.received.subarray(0, count);
  }
}

/** A packet from its first byte and body. */
export function packet(first: number, body: Uint8Array | number[]): Buffer {
  const length: number[] = [];
  let left = body.length;
  do {
    length.push((left % 128) + (left > 127 ? 128 : 0));
    left = Math.floor(left / 128);
  } while (left > 0);
  return Buffer.concat([Buffer.from([first, ...length]), Buffer.from(body)]);
}

/** Two bytes of length and the text (or bytes, for what is no text). */
export function field(text: string | number[]): Buffer {
  const bytes = Buffer.from(text as string);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

export interface ConnectFields {
  name?: string;
  level?: number;
  flags?: number;
  clientId?: string | number[];
  username?: string;
  password?: string;
  more?: Buffer;
}

export function connectPacket(fields: ConnectFields): Buffer {
  const { username, password } = fields;
  const flags = fields.flags ?? 2 | (username === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40);
  return packet(
    0x10,
    Buffer.concat([
      field(fields.name ?? 'MQTT'),
      Buffer.from([fields.level ?? 4, flags, 0, 60]),
      field(fields.clientId ?? 'raw'),
      fields.more ?? Buffer.alloc(0),
      ...(username === undefined ? [] : [field(username)]),
      ...(password === undefined ? [] : [field(password)]),
    ]),
  );
}

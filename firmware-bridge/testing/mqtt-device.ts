import { createCipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { type ApiKey, type CredentialSlots, parseApiKey, type RotationState } from '#sdk/core';
import { countBoot, type HttpAnswer, openCredentialSlots, Rotator, type Transport } from '#sdk/node';
import {
  DEVICE_SECRET_LABEL,
  type FileState,
  GATEWAY_DOWN_LABEL,
  GATEWAY_UP_LABEL,
  type GatewayAnswer,
  HEADER_DEVICE,
  HEADER_ROTATION,
  parseDevicePosition,
  SECRET_WRAP_LABEL,
} from '#sdk/protocol';
import { TOPIC_ROOT } from '../broker/topics.ts';

type HttpRequest = Parameters<Transport['exchange']>[0];

export interface MqttDeviceOptions {
  device: string;
  /** `own`: signs in at the bridge's broker with its key. `joined`: at a broker that knows nothing of keys. */
  broker: 'own' | 'joined';
  url(): string;
  /** Folder of its credential store. */
  store: string;
  answerMs?: number;
  /** Whether the next message is delivered twice, as QoS 1 allows. */
  repeats?: () => boolean;
}

const CALLS: Record<string, string> = {
  '/v1/device': 'device',
  '/v1/device/status': 'status',
  '/v1/device/rotation': 'rotation',
  '/v1/device/firmware': 'firmware',
};
/** Back-off of the agent is minutes; a test's device has milliseconds. */
const SHORTEST_MS = 20;

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function deviceSecret(key: ApiKey): Buffer {
  return hmac(key.bytes(), DEVICE_SECRET_LABEL);
}

/** D of a staged key, wrapped under that of the present one. */
export function wrapSecret(present: ApiKey, staged: ApiKey): string {
  const wrapping = hmac(deviceSecret(present), SECRET_WRAP_LABEL);
  const cipher = createCipheriv('id-aes256-wrap', wrapping, Buffer.alloc(8, 0xa6));
  return Buffer.concat([cipher.update(deviceSecret(staged)), cipher.final()]).toString('hex');
}

/**
 * The reference of a device that speaks MQTT: the rotation agent of sdk/core, driven by sdk/node, whose requests travel
 * as messages (firmware-bridge/SPEC.md). It believes an answer only with the server's MAC under the key it asked with.
 */
export class MqttDevice {
  readonly #options: MqttDeviceOptions;
  readonly #slots: CredentialSlots;
  readonly #waiting = new Map<string, (payload: Buffer) => void>();
  readonly rotator: Rotator;
  readonly phases: string[] = [];
  /** Everything that was published to it. */
  readonly heard: { topic: string; payload: string; retain: boolean }[] = [];
  readonly #fileStates = new Map<string, FileState>();
  #stateCame: () => void = () => {};
  /** What else there is on it ends with its power. */
  whenCut: () => void = () => {};
  /** Takes what comes for `down/file/…`. */
  onFile: (topic: string, payload: Buffer) => void = () => {};
  #client: mqtt.MqttClient | null = null;
  #clientKey: string | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;
  /** As the server last told it; forgotten with the power. */
  #epoch = 0;

  private constructor(
    options: MqttDeviceOptions,
    slots: CredentialSlots,
    boots: Awaited<ReturnType<typeof countBoot>>,
  ) {
    this.#options = options;
    this.#slots = slots;
    this.rotator = new Rotator({
      slots,
      transport: {
        exchange: (request) => this.#exchange(request),
        open: () => Promise.reject(new Error('unused')),
        close() {},
      },
      base: new URL('http://127.0.0.1'),
      identity: null,
      boots,
      drives: true,
      // Whatever comes out of #exchange has been verified.
      authentic: true,
      changed: ({ phase }) => void this.phases.push(phase),
      warn: () => {},
      after: (ms, action) => {
        const timer = setTimeout(action, Math.min(ms, SHORTEST_MS));
        return () => clearTimeout(timer);
      },
    });
  }

  /** A boot: everything but the slots is forgotten. */
  static async boot(options: MqttDeviceOptions): Promise<MqttDevice> {
    return new MqttDevice(options, openCredentialSlots(options.store), await countBoot(join(options.store, 'boots')));
  }

  get state(): RotationState {
    return this.rotator.state;
  }

  /** The power goes. */
  cut(): void {
    this.#closed = true;
    this.rotator.close();
    this.#client?.end(true);
    this.whenCut();
  }

  /** Looks at how it stands, as after a hint. */
  look(): Promise<void> {
    return this.#look();
  }

  /** A call of its own: what became of an image. */
  async report(body: { file: string; state: 'staged' | 'running' | 'failed'; reason?: string }): Promise<HttpAnswer> {
    const { fingerprint, headers } = this.rotator.nextKey();
    const url = new URL('http://127.0.0.1/v1/device/firmware');
    const answer = await this.#exchange({ method: 'POST', url, headers, body: Buffer.from(JSON.stringify(body)) });
    if (!this.#closed) this.rotator.heard(fingerprint, answer, 'other');
    return answer;
  }

  /** Signs in and listens. */
  listen(): Promise<void> {
    return this.#inTurn(async () => {
      const { fingerprint } = this.rotator.nextKey();
      await this.#connected(this.#keyOf(fingerprint), fingerprint);
    });
  }

  async publish(topic: string, payload: string | Buffer): Promise<void> {
    if (this.#closed) throw new Error('the power is gone');
    await this.#inTurn(async () => {
      const { fingerprint } = this.rotator.nextKey();
      const client = await this.#connected(this.#keyOf(fingerprint), fingerprint);
      await this.#sent(client, topic, payload);
    });
  }

  /** Resolves when it is acknowledged; rejects when the connection breaks before, which the library does not do. */
  async #sent(client: mqtt.MqttClient, topic: string, payload: string | Buffer): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const broke = () => reject(new Error('the connection broke'));
      client.once('close', broke);
      client.publish(`${TOPIC_ROOT}${this.#options.device}/${topic}`, payload, { qos: 1 }, (error) => {
        client.off('close', broke);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** What was last said of a file and not looked at yet; null where nothing came in this time. */
  async fileState(id: string, waitMs: number): Promise<FileState | null> {
    const endMs = performance.now() + waitMs;
    for (;;) {
      const state = this.#fileStates.get(id);
      this.#fileStates.delete(id);
      if (state !== undefined) return state;
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return null;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#stateCame = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #keyOf(fingerprint: string): ApiKey {
    const record = this.#slots.pair().find((one) => one?.fingerprint === fingerprint);
    if (record == null) throw new Error('expected the key to be in a slot');
    return record.key;
  }

  async #look(): Promise<void> {
    if (this.#closed) return;
    const { fingerprint, headers } = this.rotator.nextKey();
    const request = { method: 'GET', url: new URL('http://127.0.0.1/v1/device'), headers };
    const answer = await this.#exchange(request).catch(() => null);
    if (!this.#closed) this.rotator.heard(fingerprint, answer, 'other');
  }

  /** One request at a time: a device has one session, signed in with one key. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work, work);
    this.#turn = done.catch(() => {});
    return done;
  }

  #exchange(request: HttpRequest): Promise<HttpAnswer> {
    return this.#inTurn(() => this.#ask(request));
  }

  async #ask(request: HttpRequest): Promise<HttpAnswer> {
    const epoch = this.#epoch;
    const answer = await this.#askOnce(request);
    // The server was restored: it is told so, and hears what is said under the epoch it named.
    return answer.status === 409 && this.#epoch !== epoch ? this.#askOnce(request) : answer;
  }

  async #askOnce(request: HttpRequest): Promise<HttpAnswer> {
    if (this.#closed) throw new Error('the power is gone');
    const key = parseApiKey((request.headers['Authorization'] ?? '').slice('Bearer '.length)) as ApiKey;
    const fingerprint = this.#slots.pair().find((one) => one?.key.bytes().every((byte, i) => byte === key.bytes()[i]))
      ?.fingerprint as string;
    let client: mqtt.MqttClient;
    try {
      client = await this.#connected(key, fingerprint);
    } catch (error) {
      // 4 and 5 mean that this key is not known, and no more; 3 and everything else mean nothing.
      const { code } = error as { code?: number };
      if (code === 4 || code === 5) return problem(401, { code: 'key_unknown' });
      throw error;
    }
    const id = randomBytes(6).toString('hex');
    const said = parseDevicePosition(request.headers[HEADER_DEVICE] ?? '');
    const body = request.body == null ? {} : JSON.parse(Buffer.from(request.body as Uint8Array).toString());
    const line = JSON.stringify({
      id,
      call: CALLS[request.url.pathname],
      boot: said?.boot ?? 0,
      sequence: said?.sequence ?? 0,
      boot_tag: said?.bootTag ?? '00000000',
      ...(this.#epoch === 0 ? {} : { epoch: this.#epoch }),
      phase: said?.phase ?? '',
      holds: [...new Set(this.#slots.pair().flatMap((one) => (one === null ? [] : [one.fingerprint])))],
      body: { ...body, ...this.#handedSecret(body, key) },
    });
    const { device } = this.#options;
    const mac = hmac(hmac(deviceSecret(key), GATEWAY_UP_LABEL), `${device}\n${line}`).toString('hex');
    const answered = new Promise<Buffer>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer')), this.#options.answerMs ?? 1000);
      client.once('close', () => reject(new Error('the connection broke')));
      this.#waiting.set(id, (payload) => {
        clearTimeout(timer);
        resolve(payload);
      });
    }).finally(() => this.#waiting.delete(id));
    answered.catch(() => {});
    const payload = `${line}\n${fingerprint} ${mac}`;
    await this.#sent(client, 'up/rotation', payload);
    if (this.#options.repeats?.() === true) await this.#sent(client, 'up/rotation', payload);
    return this.#verified(await answered, key);
  }

  /** D of a key it made itself goes to the server wrapped: only so can later answers be signed. */
  #handedSecret(body: { fingerprint?: string; sha256?: string }, present: ApiKey): object {
    if (body.sha256 === undefined) return {};
    return { wrapped_secret: wrapSecret(present, this.#keyOf(body.fingerprint as string)) };
  }

  #verified(payload: Buffer, key: ApiKey): HttpAnswer {
    const [line = '', trailer = ''] = payload.toString().split('\n');
    const answer = JSON.parse(line) as GatewayAnswer;
    const expected = hmac(hmac(deviceSecret(key), GATEWAY_DOWN_LABEL), `${this.#options.device}\n${line}`);
    const mac = Buffer.from(trailer.split(' ')[1] ?? '', 'hex');
    if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) {
      // Nobody vouches for it: that a key is not known is the most it can say.
      if (answer.status === 401) return problem(401, { code: 'key_unknown' });
      throw new Error('an answer without the server’s MAC');
    }
    for (const fingerprint of answer.revoked) {
      const told = problem(401, { code: 'key_revoked', fingerprint });
      setImmediate(() => this.#closed || this.rotator.heard(fingerprint, told, 'other'));
    }
    this.#epoch = answer.epoch ?? this.#epoch;
    const headers = answer.told === '' ? {} : { [HEADER_ROTATION]: answer.told };
    return { status: answer.status, headers, body: Buffer.from(JSON.stringify(answer.body)) };
  }

  async #connected(key: ApiKey, fingerprint: string): Promise<mqtt.MqttClient> {
    const { device, broker, url } = this.#options;
    const wanted = broker === 'own' ? fingerprint : 'any';
    if (this.#client?.connected && this.#clientKey === wanted) return this.#client;
    this.#client?.end(true);
    const signIn = broker === 'own' ? { username: device, password: Buffer.from(key.bytes()).toString('hex') } : {};
    const client = mqtt.connect(url(), {
      clientId: `${device}-itself`,
      protocolVersion: 4,
      reconnectPeriod: 0,
      connectTimeout: 2000,
      ...signIn,
    });
    client.setMaxListeners(0);
    this.#client = client;
    this.#clientKey = wanted;
    client.on('message', (topic, payload, packet) => this.#take(topic, payload, packet.retain));
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.once('error', reject);
      client.once('close', () => reject(new Error('the connection broke')));
    });
    client.on('error', () => {});
    await client.subscribeAsync(`${TOPIC_ROOT}${device}/down/#`, { qos: 1 });
    return client;
  }

  #take(topic: string, payload: Buffer, retain: boolean): void {
    const behind = topic.slice(`${TOPIC_ROOT}${this.#options.device}/`.length);
    if (behind.startsWith('down/file/')) {
      const [, , id = '', what] = behind.split('/');
      if (what === 'state') this.#fileStates.set(id, JSON.parse(payload.toString()) as FileState);
      this.#stateCame();
      this.onFile(behind, payload);
      return;
    }
    this.heard.push({ topic: behind, payload: payload.toString('latin1'), retain });
    if (behind === 'down/ack') {
      const { re } = JSON.parse(payload.toString().split('\n')[0] as string) as GatewayAnswer;
      this.#waiting.get(re)?.(payload);
    }
    if (behind === 'down/rotation' && JSON.parse(payload.toString()).wanted === true) void this.#look().catch(() => {});
  }
}

function problem(status: number, body: object): HttpAnswer {
  return { status, headers: {}, body: Buffer.from(JSON.stringify(body)) };
}

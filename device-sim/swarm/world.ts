import type { Crypto, RelayAnswer, RelayRequest } from '#server';
import { Device, type DeviceTraits } from '../device/device.ts';
import type { Surroundings, Watcher } from '../device/surroundings.ts';
import { Chance } from '../kernel/chance.ts';
import { Kernel } from '../kernel/kernel.ts';
import { type InvariantName, Invariants } from '../oracle/invariants.ts';
import { Oracle } from '../oracle/oracle.ts';
import { Broker, type Wish } from './broker.ts';
import { FAULT_RATES, type FaultName } from './faults.ts';
import { bootMember, type Member } from './member.ts';
import { Network } from './network.ts';
import { EPOCH_MS, HOUR_MS, MINUTE_MS, type SwarmOptions } from './options.ts';
import { plantInAnswer, plantInDevice, plantInStore } from './planting.ts';
import { Recipients, tokenOf } from './recipients.ts';
import { Recorder } from './recorder.ts';
import { Servers } from './servers.ts';
import { standInCrypto } from './stand-in-crypto.ts';

/** States in which a device may be wanted to do something. */
const WAITING: unknown[] = ['WANTED', 'OVERDUE', 'MINTED', 'QUARANTINED'];
/** Of every eighth device the recovery secret was not kept: out of quarantine it is led by an operator's approval alone. */
const WITHOUT_SECRET = 8;
const STATEMENT_MS_MAX = 40;
const AUTH_LAG_MS = 2 * MINUTE_MS;
const TTL_SECONDS = 3_600;
/** For so long a repeat is known for one, as a receipt is what knows it. */
const RECEIPT_TTL_SECONDS = 86_400;
const DOWN_MS_MAX = 5 * MINUTE_MS;

/** Everything that a run consists of: clock, network, relay, fleet, and the oracle that looks on. */
export class World {
  readonly options: SwarmOptions;
  readonly kernel = new Kernel(EPOCH_MS);
  readonly invariants = new Invariants(() => this.kernel.nowMs);
  readonly oracle = new Oracle(this.invariants);
  readonly recorder: Recorder;
  readonly servers: Servers;
  readonly network: Network;
  readonly broker: Broker;
  readonly recipients: Recipients;
  readonly members: Member[] = [];
  readonly logs: string[] = [];
  /** Draws of what goes wrong are apart from draws of the devices, so that leaving a device out changes little. */
  readonly chance: Record<'faults' | 'fleet' | 'operator', Chance>;
  /** Faults may strike. */
  stormy = true;
  error: unknown = null;
  /** Told when a key was registered: an operator may be quick. */
  onRegistered: ((member: Member) => void) | null = null;
  /** What the server itself called an internal fault. */
  serverFailure: string | null = null;
  #answers = 0;
  readonly #faults: ReadonlySet<FaultName>;
  readonly #watcher: Watcher;
  readonly #rightClocks: boolean;

  /** `rightClocks`: faults of wall clocks change nothing. */
  constructor(options: SwarmOptions, rightClocks = false) {
    this.options = options;
    this.#rightClocks = rightClocks;
    this.#faults = new Set(options.faults);
    const { seed, canary } = options;
    this.chance = {
      faults: new Chance(seed, 'faults'),
      fleet: new Chance(seed, 'fleet'),
      operator: new Chance(seed, 'operator'),
    };
    const { kernel } = this;
    this.recorder = new Recorder(kernel.trace, () => kernel.nowMs, options.keepTrace);
    const concurrent = this.#faults.has('server-two-nodes');
    const crypto: Crypto | undefined = options.realCrypto ? undefined : standInCrypto;
    this.servers = new Servers({
      kernel,
      chance: new Chance(seed, 'server'),
      random: new Chance(seed, 'server bytes'),
      crypto,
      faults: {
        statementMsMax: concurrent ? STATEMENT_MS_MAX : 0,
        authLagMs: this.#faults.has('server-auth-lag') ? AUTH_LAG_MS : 0,
      },
      nodes: concurrent ? 2 : 1,
      planted: (store) => plantInStore(canary, store),
      warn: (message, error) => {
        const text = `${message}: ${error instanceof Error ? error.message : String(error)}`;
        this.logs.push(text);
        // Nothing that a client or a fault here does may make the server answer 500 by itself.
        if (!message.endsWith(' failed')) return;
        this.serverFailure ??= text;
        const asserted = /(?:would break |: )(I[0-9]{1,2})\b/.exec(text)?.[1] as InvariantName | undefined;
        if (asserted !== undefined) this.invariants.broken(asserted, -1, `the server stopped itself: ${text}`);
      },
      fail: (error) => this.fail(error),
    });
    this.network = new Network({
      kernel,
      chance: new Chance(seed, 'network'),
      servers: this.servers,
      recorder: this.recorder,
      faultShare: options.faultShare,
      on: (name) => this.on(name),
      begun: (device, request) => this.oracle.begun(device, request),
      served: (device, request, answer, begunAt) => this.#served(device, request, { answer, begunAt }),
      unanswered: (device, request) => this.oracle.unanswered(device, request),
    });
    this.#watcher = this.#lookOn();
    this.broker = new Broker({
      kernel,
      chance: new Chance(seed, 'broker'),
      devices: () => this.#behindBroker(),
      wishOf: (device, told) => this.#wishOf(device, told),
    });
    this.broker.start();
    this.recipients = new Recipients({
      kernel,
      chance: new Chance(seed, 'recipients'),
      servers: this.servers,
      recorder: this.recorder,
      ledger: this.oracle.reads,
      on: (name) => this.on(name),
    });
  }

  /** Whether this kind of fault may strike now. */
  on(name: FaultName): boolean {
    return this.stormy && this.#faults.has(name);
  }

  /** Whether it strikes, at its rate times `share`. */
  strikes(name: FaultName, share = 1): boolean {
    return this.on(name) && this.chance.faults.yes(FAULT_RATES[name] * share * this.options.faultShare);
  }

  fail(error: unknown): void {
    this.error ??= error;
  }

  /** Enrols a device at the server and puts its first key on it. */
  enrol(number: number, answered: (member: Member | null) => void): void {
    const name = `d${number}`;
    const json = { name, profile: number % 2 === 0 ? 'esp32' : 'pi' };
    this.order('POST', '/v1/devices', json, (answer) => {
      if (answer?.status !== 201 || answer.json === null) {
        answered(null);
        return;
      }
      const { device_id: id, api_key: key, recovery_secret: secret } = answer.json;
      const kept = number % WITHOUT_SECRET !== WITHOUT_SECRET - 1;
      const identity = kept ? { deviceId: String(id), recoverySecret: String(secret) } : null;
      const device = this.bear({ ...this.#traits(number, name), identity });
      const member: Member = { device, id: String(id), clone: false, supplied: true, gone: false };
      this.members[number] = member;
      this.oracle.provisioned(number, String(key), 1);
      device.provision(String(key), 1);
      answered(member);
    });
  }

  /** A device with these traits, on a medium of its own or a copied one; still without power. */
  bear(traits: DeviceTraits, medium?: ConstructorParameters<typeof Device>[2]): Device {
    const { number } = traits;
    const chance = new Chance(this.options.seed, `device ${number}`);
    const around: Surroundings = {
      nowMs: () => this.kernel.nowMs,
      after: (delayMs, run) => this.kernel.after(delayMs, run),
      random: () => chance.next(),
      bytes: (count) => chance.bytes(count),
      send: (device, request, answered) => this.network.send(device, request, answered),
    };
    const plant = plantInDevice(this.options.canary);
    const device = new Device(traits, { around, watcher: this.#watcher, plant }, medium);
    device.onCut = () => this.#cut(number);
    return device;
  }

  /** The power comes (back) to a device. */
  powerUp(number: number, killed = false): void {
    if (!bootMember(this, number, killed, this.kernel.nowMs)) return;
    const device = this.members[number]?.device;
    if (device !== undefined && this.#isBehindBroker(number)) this.broker.subscribed(device);
  }

  /** How far a device's wall clock is off from now on. */
  setClock({ device }: Member, offsetMs: number): void {
    if (!this.#rightClocks) device.clockOffsetMs = offsetMs;
  }

  /** An order at the server itself. `json` null: none. */
  order(method: RelayRequest['method'], path: string, json: object | null, answered: (a: RelayAnswer | null) => void) {
    const body = json === null ? null : new Uint8Array(Buffer.from(JSON.stringify(json)));
    const headers: Record<string, string> = json === null ? {} : { 'content-type': 'application/json' };
    this.servers.order({ method, path, headers, body }, answered);
  }

  #served(device: number, request: RelayRequest, what: { answer: RelayAnswer; begunAt: number }): void {
    const answer = plantInAnswer(this.options.canary, what.answer, ++this.#answers);
    if (answer !== what.answer) what.answer.headers = answer.headers;
    const superseded = this.oracle.superseded(device, request, answer);
    this.oracle.served(device, request, answer, what.begunAt);
    const member = this.members[device];
    if (member !== undefined && answer.json?.['state'] === 'registered') this.onRegistered?.(member);
    const token = tokenOf(answer.json?.['url']);
    if (token !== null && this.recipients.waitsFor(request)) {
      const expiresAtMs = Date.parse(String(answer.json?.['expires_at']));
      this.oracle.reads.stored(device, token, { bytes: request.body ?? new Uint8Array(0), expiresAtMs });
    }
    for (const key of superseded) {
      const headers = { authorization: `Bearer ${key}` };
      const probe: RelayRequest = { method: 'GET', path: '/v1/device', headers, body: null };
      this.servers.call(
        probe,
        () => {},
        (found) => found !== null && this.oracle.tried(device, key, found),
      );
    }
  }

  #isBehindBroker(number: number): boolean {
    const every = this.options.behindBrokerEvery;
    return every > 0 && number % every === 0;
  }

  #behindBroker(): Device[] {
    return this.members.flatMap((member) =>
      member !== undefined && !member.clone && this.#isBehindBroker(member.device.traits.number) ? [member.device] : [],
    );
  }

  /** What a gateway is told of a device it is listed for. */
  #wishOf(device: Device, told: (wish: Wish | null | undefined) => void): void {
    const id = this.members[device.traits.number]?.id;
    this.order('GET', `/v1/devices/${id}/rotation`, null, (answer) => {
      const { state, generation, active } = answer?.json ?? {};
      const isWaited = WAITING.includes(state) && typeof active === 'string';
      if (answer?.status !== 200) told(undefined);
      else told(isWaited ? { generation: Number(generation), base: active } : null);
    });
  }

  #cut(number: number): void {
    this.recorder.note('fault', number, 1, () => 'the power went in the middle of a write');
    this.kernel.after(1000 + this.chance.faults.below(DOWN_MS_MAX), () => this.powerUp(number));
  }

  #traits(number: number, name: string): Omit<DeviceTraits, 'identity'> {
    const { readingEveryMs, batchCount, batchAgeMs } = this.options;
    const medium = number % 2 === 0 ? 'flash' : 'file';
    const limits = { ttlSeconds: TTL_SECONDS, receiptTtlSeconds: RECEIPT_TTL_SECONDS };
    return { number, name, medium, readingEveryMs, batchCount, batchAgeMs, ...limits };
  }

  #lookOn(): Watcher {
    const { oracle, recorder } = this;
    return {
      sent: (device, request) => {
        recorder.note('sent', device, 0, () => `${request.method} ${request.path}`, request.path);
        oracle.sent(device, request);
      },
      heard: (device, request, answer) => {
        recorder.note('heard', device, answer?.status ?? 0, () => (answer === null ? 'no answer' : `${answer.status}`));
        oracle.heard(device, answer);
        const token = tokenOf(answer?.json?.['url']);
        if (token !== null) this.recipients.given(device, token, request);
      },
      slotsChanged: (device) => {
        const member = this.members[device];
        if (member !== undefined) oracle.slots(device, member.device.slotBlobs());
      },
      stepped: (device, phase, event, after) => {
        recorder.stepped(phase, event);
        if (phase !== after) recorder.note('phase', device, 0, () => `${phase} → ${after} (${event})`, after);
      },
      recorded: (device, reading, kept, durable) => oracle.readings.recorded(device, reading, kept, durable),
      leased: (device, body) => oracle.readings.leased(device, body),
      dropped: (device, reason, readings) => {
        recorder.note('dropped', device, readings, () => `${readings} readings dropped: ${reason}`, reason);
        oracle.readings.dropped(device, readings);
      },
      lookedAtClock: () => this.invariants.checked('I10'),
      logged: (device, text) => {
        this.logs.push(text);
        if (text.includes('snapshot')) oracle.readings.excuse(device);
      },
    };
  }
}

export const SWEEP_FIRST_MS = HOUR_MS;

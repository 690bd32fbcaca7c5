import { randomBytes } from 'node:crypto';
import type { RelayAnswer, RelayRequest } from '#server';
import { Device, type DeviceTraits } from '../device/device.ts';
import type { Medium } from '../device/medium.ts';
import type { CallOff, Surroundings, Watcher } from '../device/surroundings.ts';
import { Chance } from '../kernel/chance.ts';
import { TraceHash } from '../kernel/trace-hash.ts';
import { Invariants } from '../oracle/invariants.ts';
import { Oracle } from '../oracle/oracle.ts';
import { FAULT_RATES, type FaultName } from '../swarm/faults.ts';
import { bootMember, type Member } from '../swarm/member.ts';
import { describe } from '../swarm/network.ts';
import { MINUTE_MS, SWARM_DEFAULTS } from '../swarm/options.ts';
import { Recorder } from '../swarm/recorder.ts';
import type { Stage } from '../swarm/stage.ts';
import { type Answered, AnswerOrder } from './answer-order.ts';
import { LiveChecks } from './checks.ts';
import { LiveClock } from './clock.ts';
import type { Enrolled } from './enrolment.ts';
import type { Management } from './management.ts';
import type { RunMarks } from './marks.ts';
import { LiveNetwork } from './network.ts';
import { BATCH_COUNT, daysOf, type LiveOptions, realSeconds } from './options.ts';
import { UploadLimit } from './upload-limit.ts';
import { UploadLedger } from './uploads.ts';
import type { LiveAnswer, Wire } from './wire.ts';

/** Receipts outlive their uploads by this: the list is compared at the end. */
const RECEIPT_TTL_SECONDS = 3_600;
const DOWN_MS_MAX = 5 * MINUTE_MS;

/** A run against a real server: sim devices on real time and real connections, and the oracle that looks on. */
export class LiveWorld implements Stage {
  readonly options: { readonly devices: number; readonly campaignEveryDays: number };
  readonly clock: LiveClock;
  readonly kernel: Stage['kernel'];
  readonly chance: Record<'faults' | 'fleet' | 'operator', Chance>;
  readonly invariants: Invariants;
  readonly oracle: Oracle;
  readonly checks = new LiveChecks();
  readonly uploads = new UploadLedger(this.checks);
  readonly recorder: Recorder;
  readonly members: Member[] = [];
  readonly network: LiveNetwork;
  readonly broker = { restart() {}, goBack() {} };
  readonly servers = { hasBackup: false, backUp: onlyTheServer, restore: onlyTheServer };
  readonly logs: string[] = [];
  stormy = true;
  error: unknown = null;
  readonly #live: LiveOptions;
  readonly #management: Management;
  readonly #wire: Wire;
  readonly #marks: RunMarks;
  readonly #faults: ReadonlySet<FaultName>;
  readonly #order = new AnswerOrder((answered) => this.#told(answered));
  readonly #looking = new Set<string>();
  readonly #limit = new UploadLimit(this.checks);
  readonly #watcher: Watcher = this.#lookOn();
  readonly #ttlSeconds: number;

  constructor(live: LiveOptions, outside: { management: Management; wire: Wire; marks: RunMarks }) {
    this.#live = live;
    this.#management = outside.management;
    this.#wire = outside.wire;
    this.#marks = outside.marks;
    this.#faults = new Set(live.faults);
    const { scenario, seed, devices, durationMs } = live;
    const every = scenario.options.campaignEveryDays ?? SWARM_DEFAULTS.campaignEveryDays;
    this.options = { devices, campaignEveryDays: every };
    const clock = new LiveClock((daysOf(scenario) * 86_400_000) / durationMs, (error) => this.fail(error));
    this.clock = clock;
    this.kernel = {
      get nowMs() {
        return clock.scenarioMs;
      },
      after: (delayMs, run) => clock.after(delayMs / clock.speed, run),
    };
    this.chance = {
      faults: new Chance(seed, 'faults'),
      fleet: new Chance(seed, 'fleet'),
      operator: new Chance(seed, 'operator'),
    };
    this.invariants = new Invariants(() => clock.scenarioMs);
    this.oracle = new Oracle(this.invariants);
    this.recorder = new Recorder(new TraceHash(), () => Math.round(clock.scenarioMs), live.keepTrace);
    this.#ttlSeconds = Math.ceil(durationMs / 1000) + 3_600;
    this.network = new LiveNetwork({
      clock,
      chance: new Chance(seed, 'network'),
      wire: outside.wire,
      recorder: this.recorder,
      on: (name) => this.on(name),
      begun: (device, request) => this.#begun(device, request),
      ended: (device, request, how) => this.#ended(device, request, how),
    });
  }

  on(name: FaultName): boolean {
    return this.stormy && this.#faults.has(name);
  }

  strikes(name: FaultName, share = 1): boolean {
    return this.on(name) && this.chance.faults.yes(FAULT_RATES[name] * share);
  }

  fail(error: unknown): void {
    this.error ??= error;
  }

  /** Puts an enrolled device's first key on it; still without power. */
  join(number: number, { id, name, key, recoverySecret }: Enrolled): void {
    const identity = { deviceId: id, recoverySecret };
    const device = this.bear({ ...this.#traits(number, name), identity });
    this.members[number] = { device, id, clone: false, supplied: true, gone: false };
    this.oracle.provisioned(number, key, 1);
    device.provision(key, 1);
  }

  bear(traits: DeviceTraits, medium?: Medium): Device {
    const { number } = traits;
    const chance = new Chance(this.#live.seed, `device ${number}`);
    const around: Surroundings = {
      nowMs: () => this.clock.nowMs,
      after: (delayMs, run): CallOff => this.clock.after(delayMs, run),
      random: () => chance.next(),
      // Keys and idempotency keys: on a real server two runs of one seed must not be the same devices.
      bytes: (count) => new Uint8Array(randomBytes(count)),
      send: (device, request, answered) =>
        this.network.send(device, request, (answer) => this.#safely(answered, answer)),
    };
    const device = new Device(traits, { around, watcher: this.#watcher }, medium);
    device.onCut = () => this.#cut(number);
    return device;
  }

  powerUp(number: number, killed = false): void {
    bootMember(this, number, killed, this.clock.nowMs);
  }

  setClock({ device }: Member, offsetMs: number): void {
    device.clockOffsetMs = offsetMs;
  }

  order(
    method: RelayRequest['method'],
    path: string,
    json: object | null,
    answered: (answer: RelayAnswer | null) => void,
  ): void {
    const { speed } = this.clock;
    const scaled = json === null ? null : realSeconds(json as Record<string, unknown>, speed);
    // Over this run's devices alone, whatever else the account has.
    const ofRun = { name: this.#marks.campaign, tags: [this.#marks.fleetTag] };
    const body = method === 'POST' && path === '/v1/campaigns' ? { ...scaled, ...ofRun } : scaled;
    // A body that may be empty is expected to be there.
    const sent = method === 'POST' && body === null && !/\/(issue|reprovision)$/.test(path) ? {} : body;
    if (method === 'GET' && this.#looking.has(path)) {
      // In the scenario's time operators look often; a server that is slow is not asked the same twice at once.
      answered(null);
      return;
    }
    if (method === 'GET') this.#looking.add(path);
    this.#management
      .order(method, path, sent)
      .finally(() => this.#looking.delete(path))
      .then(
        (answer) => this.#safely(answered, answer),
        (error: unknown) => this.fail(error),
      );
  }

  /** Hands the oracle what is still held back: nothing more comes. */
  finish(): void {
    this.clock.stop();
    for (const member of this.members) member?.device.powerOff();
    this.#order.finish();
  }

  #safely(answered: (answer: RelayAnswer | null) => void, answer: RelayAnswer | null): void {
    try {
      answered(answer);
    } catch (error) {
      this.fail(error);
    }
  }

  #begun(device: number, request: RelayRequest): number {
    this.#order.sent(device);
    if (request.path === '/v1/upload') this.uploads.sent(device, request);
    return this.oracle.begun(device, request);
  }

  #ended(
    device: number,
    request: RelayRequest,
    how: { answer: LiveAnswer | null; begunAt: number; sentMs: number },
  ): void {
    const { answer, begunAt, sentMs } = how;
    if (request.path === '/v1/upload' && !this.oracle.watch(device).excuses.has('cloned')) {
      this.#limit.ended(device, answer, { sentMs, endedMs: this.clock.elapsedMs });
    }
    if (answer === null) {
      this.oracle.unanswered(device, request);
      this.#order.ended(device, null);
      return;
    }
    this.recorder.note('served', device, answer.status, () => describe(request, answer));
    this.#lookThrough(device, request, answer);
    if (request.path === '/v1/upload' && answer.status === 201) this.uploads.accepted(device, request, answer);
    this.#order.ended(device, { device, request, answer, begunAt });
  }

  #lookThrough(device: number, request: RelayRequest, answer: LiveAnswer): void {
    if (answer.status === 500) {
      this.checks.broken('no-fault', device, `${request.method} ${request.path} was answered 500`);
    } else this.checks.checked('no-fault');
    const key = request.headers['authorization']?.slice('Bearer '.length);
    this.invariants.checked('I11');
    if (key !== undefined && answer.bytes.includes(key)) {
      this.invariants.broken('I11', device, `the answer to ${request.method} ${request.path} repeats the key`);
    }
  }

  #told({ device, request, answer, begunAt }: Answered): void {
    const superseded = this.oracle.superseded(device, request, answer);
    this.oracle.served(device, request, answer, begunAt);
    for (const key of superseded) {
      const headers = { authorization: `Bearer ${key}` };
      this.#wire.send({ method: 'GET', path: '/v1/device', headers, body: null }, (found) => {
        if (found !== null) this.oracle.tried(device, key, found);
      });
    }
  }

  #cut(number: number): void {
    this.recorder.note('fault', number, 1, () => 'the power went in the middle of a write');
    this.kernel.after(1000 + this.chance.faults.below(DOWN_MS_MAX), () => this.powerUp(number));
  }

  #traits(number: number, name: string): Omit<DeviceTraits, 'identity'> {
    const { devices, rate } = this.#live;
    const uploadEveryMs = (devices * 1000) / rate;
    return {
      number,
      name,
      medium: number % 2 === 0 ? 'flash' : 'file',
      readingEveryMs: uploadEveryMs / BATCH_COUNT,
      batchCount: BATCH_COUNT,
      batchAgeMs: 2 * uploadEveryMs,
      ttlSeconds: this.#ttlSeconds,
      receiptTtlSeconds: RECEIPT_TTL_SECONDS,
    };
  }

  #lookOn(): Watcher {
    return {
      sent: (device, request) => {
        this.recorder.note('sent', device, 0, () => `${request.method} ${request.path}`);
        this.oracle.sent(device, request);
      },
      heard: (device, _request, answer) => {
        this.recorder.note('heard', device, answer?.status ?? 0, () => `${answer?.status ?? 'no answer'}`);
        this.oracle.heard(device, answer);
      },
      slotsChanged: (device) => {
        const member = this.members[device];
        if (member !== undefined) this.oracle.slots(device, member.device.slotBlobs());
      },
      stepped: (device, phase, event, after) => {
        this.recorder.stepped(phase, event);
        if (phase !== after) this.recorder.note('phase', device, 0, () => `${phase} → ${after} (${event})`);
      },
      recorded: (device, reading, kept, durable) => this.oracle.readings.recorded(device, reading, kept, durable),
      leased: (device, body) => this.oracle.readings.leased(device, body),
      dropped: (device, reason, readings) => {
        this.recorder.note('dropped', device, readings, () => `${readings} readings dropped: ${reason}`);
        this.oracle.readings.dropped(device, readings);
      },
      lookedAtClock: () => {},
      logged: (device, text) => {
        this.logs.push(text);
        if (text.includes('snapshot')) this.oracle.readings.excuse(device);
      },
    };
  }
}

function onlyTheServer(): never {
  throw new Error('expected a scenario that a client can play, got one that restores the database');
}

import type { RelayAnswer, RelayRequest } from '#server';
import type { Chance } from '../kernel/chance.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { FAULT_RATES, type FaultName } from './faults.ts';
import { DAY_MS, MINUTE_MS } from './options.ts';
import type { Recorder } from './recorder.ts';
import type { Servers } from './servers.ts';

/** After so long without an answer a device takes a request for lost. */
const TIMEOUT_MS = 30_000;
const LATENCY_MS_MAX = 200;
const LATE_MS_MAX = 20_000;
const WEEKS_MS = 28 * DAY_MS;

type Answered = (answer: RelayAnswer | null) => void;

export interface NetworkOptions {
  kernel: Kernel;
  chance: Chance;
  servers: Servers;
  recorder: Recorder;
  /** Rates of faults, as a share of `FAULT_RATES`. */
  faultShare: number;
  /** Whether a kind of fault is on now. */
  on(name: FaultName): boolean;
  begun(device: number, request: RelayRequest): number;
  served(device: number, request: RelayRequest, answer: RelayAnswer, begunAt: number): void;
  unanswered(device: number, request: RelayRequest): void;
}

/** Carries requests to the relay and answers back: late, twice, in any order, or not at all. */
export class Network {
  readonly #options: NetworkOptions;
  /** Until then everything is answered 503. */
  #outageUntilMs = 0;
  /** Devices without a network until then. */
  readonly #offline = new Map<number, number>();

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  outage(forMs: number): void {
    this.#outageUntilMs = this.#options.kernel.nowMs + forMs;
  }

  offline(device: number, forMs: number): void {
    this.#offline.set(device, this.#options.kernel.nowMs + forMs);
  }

  heal(): void {
    this.#outageUntilMs = 0;
    this.#offline.clear();
  }

  send(device: number, request: RelayRequest, answered: Answered): void {
    const { kernel, chance } = this.#options;
    const give = once(answered);
    const timeOut = () => void kernel.after(TIMEOUT_MS, () => give(null));
    if ((this.#offline.get(device) ?? 0) > kernel.nowMs) {
      kernel.after(10 + chance.below(1000), () => give(null));
      return;
    }
    if (this.#strikes('net-loss', device)) {
      timeOut();
      return;
    }
    if (this.#strikes('net-half-open', device)) {
      // It may have got there all the same; the silence is what the device sees.
      if (chance.yes(0.5)) this.#arrive(device, request, chance.below(LATE_MS_MAX), () => {});
      timeOut();
      return;
    }
    if (this.#strikes('net-delay', device)) {
      this.#arrive(device, request, chance.below(WEEKS_MS), () => {});
      timeOut();
      return;
    }
    let delayMs = 1 + chance.below(LATENCY_MS_MAX);
    if (this.#strikes('net-reorder', device)) delayMs += chance.below(LATE_MS_MAX);
    if (this.#strikes('net-repeat', device)) this.#arrive(device, request, delayMs + chance.below(MINUTE_MS), () => {});
    this.#arrive(device, request, delayMs, (answer) => this.#back(device, answer, give, timeOut));
  }

  #arrive(device: number, request: RelayRequest, delayMs: number, answered: Answered): void {
    const { kernel, servers, recorder, begun, served, unanswered } = this.#options;
    kernel.after(delayMs, () => {
      const instead = this.#insteadOf(device);
      if (instead !== null) {
        answered(instead);
        return;
      }
      if (this.#strikes('server-crash', device)) servers.crashSoon();
      let begunAt = 0;
      servers.call(
        request,
        () => {
          begunAt = begun(device, request);
        },
        (answer) => {
          if (begunAt > 0 && answer === null) unanswered(device, request);
          if (answer !== null) {
            recorder.note('served', device, answer.status, () => describe(request, answer));
            served(device, request, answer, begunAt);
          }
          answered(answer);
        },
      );
    });
  }

  /** What something in front of the server answers in its place. */
  #insteadOf(device: number): RelayAnswer | null {
    const { kernel, chance } = this.#options;
    if (this.#outageUntilMs > kernel.nowMs) return { status: 503, headers: {}, json: null };
    if (this.#strikes('server-429', device)) {
      return { status: 429, headers: { 'retry-after': String(1 + chance.below(120)) }, json: null };
    }
    if (this.#strikes('server-429-bare', device)) return { status: 429, headers: {}, json: null };
    if (this.#strikes('server-500', device)) return { status: 500, headers: {}, json: null };
    return null;
  }

  #back(device: number, answer: RelayAnswer | null, give: Answered, timeOut: () => void): void {
    const { kernel, chance } = this.#options;
    if (this.#strikes('net-answer-lost', device)) {
      timeOut();
      return;
    }
    const broken = this.#strikes('net-truncation', device);
    kernel.after(1 + chance.below(LATENCY_MS_MAX), () => give(broken ? null : answer));
  }

  #strikes(name: FaultName, device: number): boolean {
    const { on, chance, recorder, faultShare } = this.#options;
    if (!on(name) || !chance.yes(FAULT_RATES[name] * faultShare)) return false;
    recorder.fault(name, device);
    return true;
  }
}

function once(answered: Answered): Answered {
  let given = false;
  return (answer) => {
    if (given) return;
    given = true;
    answered(answer);
  };
}

export function describe(request: RelayRequest, answer: RelayAnswer): string {
  const code = answer.json?.['code'];
  const why = typeof code === 'string' && answer.status >= 300 ? ` ${code}` : '';
  const told = answer.headers['fuselink-rotation'];
  return `${request.method} ${request.path} → ${answer.status}${why}${told === undefined ? '' : ` (told: ${told})`}`;
}

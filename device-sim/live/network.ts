import type { RelayAnswer, RelayRequest } from '#server';
import type { Chance } from '../kernel/chance.ts';
import { FAULT_RATES, type FaultName } from '../swarm/faults.ts';
import type { Recorder } from '../swarm/recorder.ts';
import type { LiveClock } from './clock.ts';
import type { LiveAnswer, Sending, Wire } from './wire.ts';

/** Times of faults, all real. */
const LOST_MS_MAX = 2_000;
const LATE_MS_MAX = 2_000;
const REPEAT_MS_MAX = 1_000;
const SILENCE_MS = 8_000;

type Given = (answer: RelayAnswer | null) => void;

export interface LiveNetworkOptions {
  clock: LiveClock;
  chance: Chance;
  wire: Wire;
  recorder: Recorder;
  on(name: FaultName): boolean;
  /** A request goes out; the order is given back when it ends. */
  begun(device: number, request: RelayRequest): number;
  /** It ended: `answer` null where none came, whatever the device is told. */
  ended(
    device: number,
    request: RelayRequest,
    how: { answer: LiveAnswer | null; begunAt: number; sentMs: number },
  ): void;
}

/** Between devices and the server: the faults that a client can cause on a real connection. */
export class LiveNetwork {
  readonly #options: LiveNetworkOptions;
  /** Until then nothing gets out; real ms. */
  #outageUntilMs = 0;

  constructor(options: LiveNetworkOptions) {
    this.#options = options;
  }

  /** No device gets through for so long; the scenario's ms. */
  outage(forMs: number): void {
    const { clock } = this.#options;
    this.#outageUntilMs = clock.nowMs + forMs / clock.speed;
  }

  heal(): void {
    this.#outageUntilMs = 0;
  }

  send(device: number, request: RelayRequest, given: Given): void {
    const { clock, chance } = this.#options;
    if (this.#outageUntilMs > clock.nowMs || this.#strikes('net-loss', device)) {
      clock.after(chance.below(LOST_MS_MAX), () => given(null));
      return;
    }
    if (this.#strikes('net-half-open', device)) {
      this.#go(device, request, () => given(null), { cut: 'silence', timeoutMs: SILENCE_MS });
      return;
    }
    if (this.#strikes('net-truncation', device)) {
      this.#go(device, request, () => given(null), { cut: chance.yes(0.5) ? 'in-request' : 'in-answer' });
      return;
    }
    if (this.#strikes('net-repeat', device)) {
      clock.after(chance.below(REPEAT_MS_MAX), () => this.#go(device, request, () => {}));
    }
    const lost = this.#strikes('net-answer-lost', device);
    const back: Given = (answer) => given(lost ? null : answer);
    if (this.#strikes('net-reorder', device)) {
      clock.after(chance.below(LATE_MS_MAX), () => this.#go(device, request, back));
    } else this.#go(device, request, back);
  }

  #go(device: number, request: RelayRequest, given: Given, how: Sending = {}): void {
    const { wire, clock, begun, ended } = this.#options;
    const begunAt = begun(device, request);
    const sentMs = clock.elapsedMs;
    wire.send(
      request,
      (answer) => {
        ended(device, request, { answer, begunAt, sentMs });
        given(answer);
      },
      how,
    );
  }

  #strikes(name: FaultName, device: number): boolean {
    const { on, chance, recorder } = this.#options;
    if (!on(name) || !chance.yes(FAULT_RATES[name])) return false;
    recorder.fault(name, device);
    return true;
  }
}

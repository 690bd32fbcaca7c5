import type { CallOff } from '../device/surroundings.ts';
import { EPOCH_MS } from '../swarm/options.ts';

/** A real timer holds no longer delay than this; what is later is not of this run. */
const DELAY_MS_MAX = 2_000_000_000;

/**
 * Real time for devices, and the scenario's time beside it, which passes `speed` times as fast. Everything that was put on
 * it is called off by `stop`.
 */
export class LiveClock {
  readonly speed: number;
  /** When the scenario began, on the machine's clock. */
  startedAtMs = Date.now();
  #began = performance.now();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #fail: (error: unknown) => void;
  #stopped = false;

  /** `fail` is told what a callback threw: a bug of the simulator. */
  constructor(speed: number, fail: (error: unknown) => void) {
    this.speed = speed;
    this.#fail = fail;
  }

  /** The scenario begins now: what came before was enrolment. */
  begin(): void {
    this.startedAtMs = Date.now();
    this.#began = performance.now();
  }

  /** Real, since the beginning. */
  get elapsedMs(): number {
    return performance.now() - this.#began;
  }

  /** Real, and never backwards: a step of the machine's clock changes nothing. */
  get nowMs(): number {
    return this.startedAtMs + this.elapsedMs;
  }

  /** The scenario's time. */
  get scenarioMs(): number {
    return EPOCH_MS + this.elapsedMs * this.speed;
  }

  /** The real moment of a time of the scenario. */
  realMs(scenarioMs: number): number {
    return this.startedAtMs + (scenarioMs - EPOCH_MS) / this.speed;
  }

  after(delayMs: number, run: () => void): CallOff {
    const item: CallOff = { run };
    if (this.#stopped) return item;
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        const { run: still } = item;
        item.run = null;
        if (still === null) return;
        try {
          still();
        } catch (error) {
          this.#fail(error);
        }
      },
      Math.min(DELAY_MS_MAX, Math.max(0, delayMs)),
    );
    this.#timers.add(timer);
    return item;
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}

import type { Device } from '../device/device.ts';
import type { Chance } from '../kernel/chance.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { HOUR_MS } from './options.ts';

/** Messages that were retained before, which a broker may come back with. */
const HISTORY_MAX = 4;
const HAND_OVER_MS_MAX = 5_000;
/** How often the bridge asks what its devices are waited for. */
const LOOK_EVERY_MS = HOUR_MS;

/** What the server waits for at a device; `base` is the key the wish stands on. */
export interface Wish {
  generation: number;
  base: string;
}

export interface BrokerOptions {
  kernel: Kernel;
  chance: Chance;
  /** The devices that listen here. */
  devices(): Device[];
  /** Asks the server; undefined where it does not answer, null where it waits for nothing. */
  wishOf(device: Device, told: (wish: Wish | null | undefined) => void): void;
}

/**
 * A broker and the bridge at it, as a device behind them sees both: one retained topic a device, `{ gen, base, wanted }`,
 * which is a hint to ask and taken back once the wish is over (firmware-bridge/SPEC.md §1).
 */
export class Broker {
  readonly #options: BrokerOptions;
  readonly #retained = new Map<number, string[]>();
  /** Counts restarts: what an earlier life was about to hand over is gone. */
  #life = 0;

  constructor(options: BrokerOptions) {
    this.#options = options;
  }

  /** The bridge's clockwork. */
  start(): void {
    this.#options.kernel.after(LOOK_EVERY_MS, () => {
      this.start();
      for (const device of this.#options.devices()) this.#look(device);
    });
  }

  /** Every text that is retained anywhere: none may hold a key. */
  get texts(): string[] {
    return [...this.#retained.values()].flat();
  }

  /** A device subscribes, as it does at every boot. */
  subscribed(device: Device): void {
    const newest = this.#historyOf(device).at(-1);
    if (newest !== undefined) this.#handOver(device, newest);
  }

  restart(): void {
    this.#life++;
  }

  /** Comes back with what was retained some time ago. */
  goBack(device: Device): void {
    const history = this.#historyOf(device);
    if (history.length > 1) history.pop();
    const stale = history[this.#options.chance.below(Math.max(1, history.length))];
    if (stale !== undefined) this.#handOver(device, stale);
  }

  #look(device: Device): void {
    this.#options.wishOf(device, (wish) => {
      if (wish === undefined) return;
      const history = this.#historyOf(device);
      const shown = history.at(-1);
      if (wish === null && shown === undefined) return;
      const said = wish === null ? null : { gen: wish.generation, base: wish.base, wanted: true };
      const text = JSON.stringify(said ?? { ...JSON.parse(shown ?? '{}'), wanted: false });
      if (text === shown) return;
      history.push(text);
      if (history.length > HISTORY_MAX) history.shift();
      this.#handOver(device, text);
    });
  }

  #historyOf(device: Device): string[] {
    const { number } = device.traits;
    const history = this.#retained.get(number) ?? [];
    this.#retained.set(number, history);
    return history;
  }

  #handOver(device: Device, text: string): void {
    const life = this.#life;
    const { kernel, chance } = this.#options;
    kernel.after(chance.below(HAND_OVER_MS_MAX), () => {
      if (life === this.#life && device.isOn) device.retained(text);
    });
  }
}

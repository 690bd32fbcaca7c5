import { parseRotationTold } from '#sdk/protocol';
import type { Device } from '../device/device.ts';
import type { Chance } from '../kernel/chance.ts';
import type { Kernel } from '../kernel/kernel.ts';

/** Wishes that were retained before, which a broker may come back with. */
const HISTORY_MAX = 4;
const HAND_OVER_MS_MAX = 5_000;

/** A broker as a device behind it sees it: one retained topic a device, which holds the newest wish and never a secret. */
export class Broker {
  readonly #kernel: Kernel;
  readonly #chance: Chance;
  readonly #retained = new Map<number, string[]>();
  readonly #reached: (device: number, generation: number, base: string) => void;
  /** Counts restarts: what an earlier life was about to hand over is gone. */
  #life = 0;

  constructor(options: {
    kernel: Kernel;
    chance: Chance;
    reached(device: number, generation: number, base: string): void;
  }) {
    this.#kernel = options.kernel;
    this.#chance = options.chance;
    this.#reached = options.reached;
  }

  /** Every text that is retained anywhere: none may hold a key. */
  get texts(): string[] {
    return [...this.#retained.values()].flat();
  }

  /** The bridge publishes what the server told. */
  publish(device: Device, told: string): void {
    const { number } = device.traits;
    const wish = told.split(',').find((item) => item.trim().startsWith('wanted'));
    if (wish === undefined) return;
    const history = this.#retained.get(number) ?? [];
    if (history[history.length - 1] === wish.trim()) return;
    history.push(wish.trim());
    if (history.length > HISTORY_MAX) history.shift();
    this.#retained.set(number, history);
    this.#handOver(device, wish.trim());
  }

  /** A device subscribes, as it does at every boot. */
  subscribed(device: Device): void {
    const history = this.#retained.get(device.traits.number) ?? [];
    const newest = history[history.length - 1];
    if (newest !== undefined) this.#handOver(device, newest);
  }

  restart(): void {
    this.#life++;
  }

  /** Comes back with what was retained some time ago. */
  goBack(device: Device): void {
    const history = this.#retained.get(device.traits.number) ?? [];
    if (history.length > 1) history.pop();
    const stale = history[this.#chance.below(Math.max(1, history.length))];
    if (stale !== undefined) this.#handOver(device, stale);
  }

  #handOver(device: Device, wish: string): void {
    const life = this.#life;
    this.#kernel.after(this.#chance.below(HAND_OVER_MS_MAX), () => {
      if (life !== this.#life || !device.isOn) return;
      const items = parseRotationTold(wish);
      for (const item of items) {
        if (item.kind === 'wanted') this.#reached(device.traits.number, item.generation, item.base);
      }
      device.retained(items);
    });
  }
}

import type { RetainedWish } from '#sdk/protocol';
import { type GatewayWork, type Relay, RelayUnavailable } from '../relay/relay.ts';
import type { Publish } from './control.ts';

export interface WorkBoardOptions {
  relay: Pick<Relay, 'work'>;
  /** How often the server is asked. */
  intervalMs: number;
  /** To every broker the devices may be listening on. */
  publish: Publish;
  /** The rest of the answer: files and images for devices. */
  took(work: GatewayWork): void;
  note(detail: string): void;
}

const TIMEOUT_MS = 10_000;

/**
 * What the server waits for at this gateway's devices, asked for again and again, and shown to each of them in a retained
 * message: `{ gen, base, wanted }`, which is a hint to ask and holds no secret. A device acts on answers alone.
 */
export class WorkBoard {
  readonly #options: WorkBoardOptions;
  readonly #shown = new Map<string, RetainedWish>();
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  #again = false;
  #closed = false;

  constructor(options: WorkBoardOptions) {
    this.#options = options;
  }

  start(): void {
    void this.look();
  }

  /** Shows everything anew: to a broker that may have missed it. */
  showAgain(): void {
    for (const [device, wish] of this.#shown) {
      this.#options.publish(device, 'down/rotation', JSON.stringify(wish), { retain: true });
    }
  }

  /** Asks now, or once more when the question that is out has been answered. Never rejects. */
  look(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    if (this.#looking !== null) {
      this.#again = true;
      return this.#looking;
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#looking = this.#look().finally(() => {
      this.#looking = null;
      if (this.#closed) return;
      const soon = this.#again;
      this.#again = false;
      this.#timer = setTimeout(() => void this.look(), soon ? 0 : this.#options.intervalMs);
    });
    return this.#looking;
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { relay, took, note } = this.#options;
    try {
      const work = await relay.work(TIMEOUT_MS);
      if (this.#closed) return;
      this.#show(work);
      took(work);
    } catch (error) {
      // Away is said where it matters: at sign-in and at the uplink.
      if (!(error instanceof RelayUnavailable)) note(`the work for devices could not be taken: ${String(error)}`);
    }
  }

  #show({ wishes }: GatewayWork): void {
    const wanted = new Map(wishes.map((wish) => [wish.device, wish]));
    for (const { device, generation, base } of wishes) this.#put(device, { gen: generation, base, wanted: true });
    for (const [device, shown] of this.#shown) {
      if (shown.wanted && !wanted.has(device)) this.#put(device, { ...shown, wanted: false });
    }
  }

  #put(device: string, wish: RetainedWish): void {
    const text = JSON.stringify(wish);
    if (JSON.stringify(this.#shown.get(device)) === text) return;
    this.#shown.set(device, wish);
    this.#options.publish(device, 'down/rotation', text, { retain: true });
  }
}

/** Batches that are made and sent at once; each has a compressor of 270 KB and a connection to the server. */
const PLACES = 16;
/** Readings that are taken out of spools at once, in bytes: as objects and as text they are several times as much. */
const BYTES = 8_388_608;

interface Waiting {
  bytes: number;
  enter(): void;
}

/**
 * How many devices' batches are on their way at once: a thousand devices that published in the same second come due in the
 * same second as well. Whoever waits long for the server lets others in meanwhile, so none of them holds up the rest.
 */
export class Gate {
  readonly #waiting: Waiting[] = [];
  #inside = 0;
  #bytes = 0;

  get inside(): number {
    return this.#inside;
  }

  /** Resolves, in order, when there is room for so many bytes (one is always let in). What it gives ends the stay, once. */
  async enter(bytes: number): Promise<() => void> {
    const cost = Math.min(bytes, BYTES);
    if (this.#waiting.length > 0 || !this.#hasRoom(cost)) {
      await new Promise<void>((resolve) => this.#waiting.push({ bytes: cost, enter: resolve }));
    } else this.#take(cost);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#inside -= 1;
      this.#bytes -= cost;
      this.#next();
    };
  }

  #hasRoom(bytes: number): boolean {
    return this.#inside === 0 || (this.#inside < PLACES && this.#bytes + bytes <= BYTES);
  }

  #take(bytes: number): void {
    this.#inside += 1;
    this.#bytes += bytes;
  }

  #next(): void {
    for (;;) {
      const [first] = this.#waiting;
      if (first === undefined || !this.#hasRoom(first.bytes)) return;
      this.#waiting.shift();
      this.#take(first.bytes);
      first.enter();
    }
  }
}

import type { Relay } from '../relay/relay.ts';

export interface WitnessOptions {
  relay: Pick<Relay, 'attest'>;
  note(detail: string): void;
}

interface Seen {
  keySha256: string;
  /** Of the first reading that was published in a session signed in with this key, in this run. */
  sequence: number;
  /** The server waits for nothing more of this key. */
  settled: boolean;
}

const TIMEOUT_MS = 10_000;

/**
 * Remembers under which key a device was signed in when it published, and tells the server when that has been stored: so a
 * device that knows nothing of calls proves a key that was carried to it by signing in and publishing as ever.
 */
export class Witness {
  readonly #options: WitnessOptions;
  readonly #seen = new Map<string, Seen>();

  constructor(options: WitnessOptions) {
    this.#options = options;
  }

  /** A reading was kept under this sequence. `keySha256`: null where nobody signed in here. */
  kept(device: string, keySha256: string | null, sequence: number): void {
    if (keySha256 === null || keySha256 === '' || this.#seen.get(device)?.keySha256 === keySha256) return;
    this.#seen.set(device, { keySha256, sequence, settled: false });
  }

  /** Readings up to this sequence are on the server, as this transfer. Never rejects. */
  async stored(device: string, lastSequence: number, transfer: string): Promise<void> {
    const seen = this.#seen.get(device);
    if (seen === undefined || seen.settled || lastSequence < seen.sequence) return;
    try {
      seen.settled = await this.#options.relay.attest({ device, keySha256: seen.keySha256, transfer }, TIMEOUT_MS);
    } catch (error) {
      // The next batch tells it again.
      this.#options.note(
        `${device}: its upload could not be vouched for: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}

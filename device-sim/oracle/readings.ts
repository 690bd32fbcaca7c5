import type { Invariants } from './invariants.ts';
import { readReadings } from './messages.ts';

/** What became of one device's readings: a number is either below the line, or among the exceptions. */
interface Ledger {
  /** Acknowledged to the sensor as kept, and as safe from any cut. */
  kept: number;
  durable: Set<number>;
  delivered: number;
  /** Every number up to this one was delivered. */
  line: number;
  beyond: Set<number>;
  dropped: number;
  /** Reasons for which durable readings may be missing, or delivered ones come again. */
  excused: boolean;
}

/**
 * I12: an accepted reading is delivered once, or counted as dropped with a reason. Delivered means that a transfer holds
 * it: the same batch again, under the same Idempotency-Key, is the same transfer.
 */
export class ReadingsLedger {
  readonly #invariants: Invariants;
  readonly #ledgers = new Map<number, Ledger>();
  /** The transfer of each Idempotency-Key, and until when a repeat must come back to it. */
  readonly #transfers = new Map<string, { id: string; untilMs: number }>();

  constructor(invariants: Invariants) {
    this.#invariants = invariants;
  }

  recorded(device: number, reading: number, kept: boolean, durable: boolean): void {
    if (!kept) return;
    const ledger = this.#of(device);
    ledger.kept++;
    if (durable && !this.#isDelivered(ledger, reading)) ledger.durable.add(reading);
  }

  /** A batch is about to be sent: its readings are on the medium, and must arrive. */
  leased(device: number, body: Uint8Array): void {
    const ledger = this.#of(device);
    for (const reading of readReadings(body)) if (!this.#isDelivered(ledger, reading)) ledger.durable.add(reading);
  }

  dropped(device: number, readings: number): void {
    this.#of(device).dropped += readings;
  }

  /** The medium lost what no design could keep: readings may be missing there, or come again. */
  excuse(device: number): void {
    this.#of(device).excused = true;
  }

  /** The database is an older one now: what came since may come again, as another transfer. */
  restored(): void {
    for (const transfer of this.#transfers.values()) transfer.untilMs = 0;
  }

  /** A transfer holds this batch, whether or not anybody has been told so. */
  stored(device: number, transfer: { id: string; key: string; receiptMs: number }, body: Uint8Array | null): void {
    const { id, key, receiptMs } = transfer;
    const known = this.#transfers.get(key);
    const nowMs = this.#invariants.nowMs();
    if (known?.id !== id) this.#transfers.set(key, { id, untilMs: nowMs + receiptMs });
    if (known !== undefined) {
      this.#invariants.checked('I12');
      // A repeat that was on its way for longer than the receipt is kept is another transfer, as documented.
      if (known.id === id || nowMs >= known.untilMs) return;
      this.#invariants.broken('I12', device, 'the same batch under the same Idempotency-Key is in two transfers');
      return;
    }
    const ledger = this.#of(device);
    for (const reading of readReadings(body)) {
      if (this.#isDelivered(ledger, reading)) {
        if (!ledger.excused) {
          this.#invariants.broken('I12', device, `reading ${reading} is in two transfers`);
        }
        continue;
      }
      ledger.delivered++;
      ledger.durable.delete(reading);
      ledger.beyond.add(reading);
      while (ledger.beyond.delete(ledger.line + 1)) ledger.line++;
    }
    this.#invariants.checked('I12');
  }

  /** After everything came to rest and nothing waits any more. */
  finish(device: number): void {
    const ledger = this.#of(device);
    const missing = [...ledger.durable];
    this.#invariants.checked('I12');
    if (missing.length <= ledger.dropped || ledger.excused) return;
    const some = missing.slice(0, 5).join(', ');
    const why = `kept as durable, and neither delivered nor counted as dropped: ${some} (${missing.length} in all)`;
    this.#invariants.broken('I12', device, why);
  }

  totals(): { kept: number; delivered: number; dropped: number } {
    const sum = { kept: 0, delivered: 0, dropped: 0 };
    for (const { kept, delivered, dropped } of this.#ledgers.values()) {
      sum.kept += kept;
      sum.delivered += delivered;
      sum.dropped += dropped;
    }
    return sum;
  }

  #isDelivered(ledger: Ledger, reading: number): boolean {
    return reading <= ledger.line || ledger.beyond.has(reading);
  }

  #of(device: number): Ledger {
    const known = this.#ledgers.get(device);
    if (known !== undefined) return known;
    const fresh: Ledger = {
      kept: 0,
      durable: new Set(),
      delivered: 0,
      line: 0,
      beyond: new Set(),
      dropped: 0,
      excused: false,
    };
    this.#ledgers.set(device, fresh);
    return fresh;
  }
}

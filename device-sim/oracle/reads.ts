import type { Invariants } from './invariants.ts';

/** A file that somebody is to read, as the messages of its upload say. */
interface FileSeen {
  device: number;
  bytes: Uint8Array;
  expiresAtMs: number;
  /** An acknowledgement was sent: from then on it may be burned. */
  acknowledging: boolean;
  /** Order in which the first acknowledgement was answered, and whose it was; 0: none was. */
  burnedAt: number;
  burnedBy: string;
  /** The database is an older one now: what it knows of this file may be nothing, or that it has ended. */
  restored: boolean;
}

/** I12 as a reader sees it: what was accepted is there, is what was sent, and is had by one reader, once. */
export class ReadsLedger {
  readonly #invariants: Invariants;
  readonly #now: () => number;
  readonly #files = new Map<string, FileSeen>();
  /** Files that were read to their end and acknowledged. */
  burned = 0;

  constructor(invariants: Invariants, now: () => number) {
    this.#invariants = invariants;
    this.#now = now;
  }

  /** Links whose file somebody has read. */
  get ended(): { token: string; device: number }[] {
    return [...this.#files].flatMap(([token, { device, burnedAt }]) => (burnedAt > 0 ? [{ token, device }] : []));
  }

  /** An upload was answered with this link. */
  stored(device: number, token: string, file: { bytes: Uint8Array; expiresAtMs: number }): void {
    if (this.#files.has(token)) return;
    const fresh = { acknowledging: false, burnedAt: 0, burnedBy: '', restored: false };
    this.#files.set(token, { device, ...file, ...fresh });
  }

  restored(): void {
    for (const file of this.#files.values()) file.restored = true;
  }

  /** A request of a reader begins; the order is to be given with its answer. */
  begun(): number {
    return this.#now();
  }

  /** A reader was given these bytes. */
  got(token: string, part: { from: number; bytes: Uint8Array; begunAt: number }): void {
    const file = this.#files.get(token);
    if (file === undefined || part.bytes.byteLength === 0) return;
    this.#invariants.checked('I12');
    const { from, bytes, begunAt } = part;
    if (file.burnedAt > 0 && begunAt > file.burnedAt) this.#broken(file, 'was read again after it had been burned');
    const sent = file.bytes.subarray(from, from + bytes.byteLength);
    if (Buffer.compare(bytes, sent) !== 0) this.#broken(file, 'was read as something else than was sent');
  }

  /** A reader says that it has the file. */
  acknowledging(token: string): void {
    const file = this.#files.get(token);
    if (file !== undefined) file.acknowledging = true;
  }

  /** A reader was told that the file is its own, and burned. */
  acknowledged(token: string, reader: string): void {
    const file = this.#files.get(token);
    if (file === undefined) return;
    this.#invariants.checked('I12');
    if (file.burnedAt > 0 && file.burnedBy !== reader) this.#broken(file, 'was delivered to two readers');
    if (file.burnedAt > 0) return;
    file.burnedAt = this.#now();
    file.burnedBy = reader;
    this.burned++;
  }

  /** A reader was told that there is nothing to read. */
  refused(token: string, code: string, nowMs: number): void {
    const file = this.#files.get(token);
    if (file === undefined) return;
    this.#invariants.checked('I12');
    // A receipt outlives its file by a minute here; then nothing is known of either.
    const burned = file.acknowledging && (code === 'link_burned' || code === 'link_unknown');
    const expired = nowMs >= file.expiresAtMs && (code === 'link_expired' || code === 'link_unknown');
    const explained = file.restored || burned || expired;
    if (!explained) this.#broken(file, `was accepted, and a reader is told ${code}`);
  }

  #broken(file: FileSeen, what: string): void {
    this.#invariants.broken('I12', file.device, `a file of ${file.bytes.byteLength} bytes ${what}`);
  }
}

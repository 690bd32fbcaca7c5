import { concatBytes } from '../../domain/bytes.ts';
import type { BlobWriter } from '../../ports/blob-store.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { TransferRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import type { LinkSecrets } from '../sealing/link.ts';
import { SegmentWriter } from '../sealing/segment-writer.ts';
import { clearAway } from './dispose.ts';

export type IntakeOutcome =
  | { ok: true; row: TransferRow }
  | { ok: false; reason: 'conflict' | 'exists' | 'window-full' };

/** Sealed bytes held in memory while the upload is being announced, before the sender has to wait for it. */
const HELD_BYTES_MAX = 4 * 1_048_576;

/**
 * Takes the body of a one-shot upload: hashes, seals, and keeps it in memory while it is small enough for the
 * metadata row; beyond that it announces itself with a row and streams into the blob store. Announcing costs a flush
 * of the disk, so bytes go on coming meanwhile; none reaches the blob store before the row is durable.
 */
export class BodyIntake {
  readonly #deps: Deps;
  readonly #writer: SegmentWriter;
  readonly #hash: { update(bytes: Uint8Array): void; digest(): Uint8Array };
  #row: TransferRow;
  #bytes = 0;
  #announced = false;
  #announcing: Promise<void> | null = null;
  #blob: BlobWriter | null = null;
  /** Sealed pieces not yet given to the blob store; of a small body, all there are. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #renewAtMs: number;

  constructor(deps: Deps, secrets: LinkSecrets, row: TransferRow) {
    this.#deps = deps;
    this.#row = row;
    this.#hash = deps.crypto.hash();
    this.#renewAtMs = deps.clock.monotonicMs() + deps.settings.uploadDeadlineMs / 3;
    this.#writer = new SegmentWriter({ ...deps, secrets, segmentBytes: row.segment_bytes, index: 0 });
  }

  get row(): TransferRow {
    return this.#row;
  }

  /** Plaintext bytes taken so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes the quota already counts for this upload: what its row announces. */
  get reservedBytes(): number {
    return this.#announced ? (this.#row.size ?? 0) : 0;
  }

  async push(chunk: Uint8Array): Promise<void> {
    this.#bytes += chunk.length;
    this.#hash.update(chunk);
    if (this.#bytes > this.#deps.settings.inlineBodyBytesMax) this.#announce();
    this.#hold(this.#writer.push(chunk));
    if (this.#blob !== null || this.#heldBytes > HELD_BYTES_MAX) await this.#passOn();
    if (this.#announced && this.#deps.clock.monotonicMs() >= this.#renewAtMs) await this.#renewDeadline();
  }

  /** Seals the last segment and makes the bytes durable (small ones become so with the commit). The digest. */
  async finish(): Promise<Uint8Array> {
    // An empty body never passed push, yet must go where every body goes.
    if (this.#deps.settings.inlineBodyBytesMax === 0) this.#announce();
    this.#hold(this.#writer.finish());
    if (this.#announcing !== null) {
      await this.#passOn();
      await this.#blob?.finish();
      this.#blob = null;
    }
    return this.#hash.digest();
  }

  /** Makes `ready` true together with `writes`: the one moment at which the upload becomes a transfer. */
  async commit(ready: TransferRow, writes: readonly Write[]): Promise<IntakeOutcome> {
    const row = this.#announced ? { ...ready, version: this.#row.version + 1 } : ready;
    const own: Write[] = this.#announced
      ? [{ kind: 'update', table: 'transfers', row, expectVersion: this.#row.version }]
      : [
          { kind: 'insert', table: 'transfers', row },
          {
            kind: 'insert',
            table: 'bodies',
            row: { transfer_id: row.id, bytes: concatBytes(this.#held), version: 1 },
          },
        ];
    const outcome = await this.#deps.store.commit([...own, ...writes]);
    return outcome.ok ? { ok: true, row } : { ok: false, reason: outcome.reason };
  }

  /** Leaves nothing behind. Never rejects: what cannot be deleted now is the sweep's. */
  async discard(): Promise<void> {
    await this.#announcing?.catch(() => undefined);
    await this.#blob?.abandon();
    this.#blob = null;
    if (this.#announced) await clearAway(this.#deps, this.#row);
  }

  #hold(pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) {
      this.#held.push(piece);
      this.#heldBytes += piece.length;
    }
  }

  /** Gives what is held to the blob store, once the upload is announced. */
  async #passOn(): Promise<void> {
    await this.#announcing;
    const pieces = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    for (const piece of pieces) await this.#blob?.write(piece);
  }

  #announce(): void {
    if (this.#announcing !== null) return;
    this.#announcing = this.#announceRow();
    // Whoever waits for it is told of a failure; until then it must not count as unheard.
    this.#announcing.catch(() => undefined);
  }

  async #announceRow(): Promise<void> {
    const row: TransferRow = { ...this.#row, storage: 'blob' };
    const outcome = await this.#deps.store.commit([{ kind: 'insert', table: 'transfers', row }]);
    if (!outcome.ok) throw new Error(`an upload could not be announced: ${outcome.reason}`);
    this.#announced = true;
    this.#row = row;
    this.#blob = await this.#deps.blobs.openWriter(row.id, { offset: 0 });
  }

  async #renewDeadline(): Promise<void> {
    const { clock, settings, store } = this.#deps;
    this.#renewAtMs = clock.monotonicMs() + settings.uploadDeadlineMs / 3;
    const row: TransferRow = {
      ...this.#row,
      upload_deadline_ms: clock.nowMs() + settings.uploadDeadlineMs,
      version: this.#row.version + 1,
    };
    const outcome = await store.commit([{ kind: 'update', table: 'transfers', row, expectVersion: this.#row.version }]);
    if (outcome.ok) this.#row = row;
  }
}

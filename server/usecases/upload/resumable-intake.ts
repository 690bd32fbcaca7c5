import { SEALED_FILE_MAGIC } from '#sdk/protocol';
import { toHex } from '../../domain/base64url.ts';
import { concatBytes } from '../../domain/bytes.ts';
import { SealedStart } from '../../domain/upload/sealed-start.ts';
import { segmentPosition } from '../../domain/upload/segments.ts';
import type { BlobWriter } from '../../ports/blob-store.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { TransferRow } from '../../ports/tables.ts';
import { auditOf, type Caller, whileKeyHolds } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { proofWrites } from '../rotation/hear.ts';
import type { LinkSecrets } from '../sealing/link.ts';
import { openSegment, readSegments } from '../sealing/segment-reader.ts';
import { SegmentWriter } from '../sealing/segment-writer.ts';
import { openMeta, sealMeta } from '../sealing/transfer-meta.ts';
import { preempted } from './admission.ts';
import { refuseWrongDigest, stillValidKey } from './checks.ts';
import { refuseUnsealed, requiresSealed } from './require-sealed.ts';

/** A sender on a slow line loses at most this much of its time to a crash. */
const CHECKPOINT_MS = 2_000;

type RunningHash = { update(bytes: Uint8Array): void; digest(): Uint8Array };

interface IntakeContext {
  row: TransferRow;
  /** The length, where this request is the first to say it. */
  size: number | null;
  secrets: LinkSecrets;
  caller: Caller;
}

/**
 * The bytes of a resumable upload. Full segments go to the blob store; the partial last one is sealed into the
 * metadata row, in the same commit that moves the offset. So the offset told to the client is always exactly what
 * survives, and a segment is never overwritten in place.
 */
export class ResumableIntake {
  readonly #deps: Deps;
  readonly #context: IntakeContext;
  readonly #writer: SegmentWriter;
  #row: TransferRow;
  #hash: RunningHash | null;
  #blob: BlobWriter | null = null;
  #offset: number;
  /** Whether every full segment so far was handed to the blob store: where one was not, nothing behind it counts. */
  #intact = true;
  /** Full segments in the blob store when this request began. */
  readonly #startIndex: number;
  #checkpointAt: number;
  #checkpointAtMs: number;
  /** What the file's first bytes say of it; decided anew until eight of them are durable. */
  readonly #start: SealedStart;
  /** The account's policy, asked once and only while it can still matter. */
  #requireSealed: boolean | null = null;

  private constructor(
    deps: Deps,
    context: IntakeContext,
    begun: { writer: SegmentWriter; hash: RunningHash | null; index: number; start: SealedStart },
  ) {
    this.#start = begun.start;
    this.#deps = deps;
    this.#context = context;
    this.#row = context.row;
    this.#writer = begun.writer;
    this.#hash = begun.hash;
    this.#offset = context.row.offset;
    this.#startIndex = begun.index;
    this.#checkpointAt = this.#offset + deps.settings.checkpointBytes;
    this.#checkpointAtMs = deps.clock.monotonicMs() + CHECKPOINT_MS;
  }

  static async open(deps: Deps, context: IntakeContext): Promise<ResumableIntake> {
    const { row, secrets } = context;
    const body = row.offset === 0 ? null : await deps.store.get('bodies', { transfer_id: row.id });
    // A tail holds 1 to segment_bytes bytes; without one the offset is the end of the last full segment.
    const index = body === null ? row.offset / row.segment_bytes : Math.ceil(row.offset / row.segment_bytes) - 1;
    const begun =
      body === null ? undefined : openSegment(deps.crypto, secrets, { index, flag: 'tail', sealed: body.bytes });
    const writer = new SegmentWriter({
      ...deps,
      secrets,
      segmentBytes: row.segment_bytes,
      index,
      ...(begun ? { begun } : {}),
    });
    const cached = row.upload_id === null ? null : deps.hashes.take(row.upload_id, row.offset);
    const hash = row.offset === 0 ? deps.crypto.hash() : cached;
    const start = SealedStart.after(row.offset, writer.pending, row.end_to_end);
    return new ResumableIntake(deps, context, { writer, index, hash, start });
  }

  get row(): TransferRow {
    return this.#row;
  }

  /** Plaintext bytes taken, durable or not yet. */
  get offset(): number {
    return this.#offset;
  }

  async push(chunk: Uint8Array, options: { mayCheckpoint: boolean }): Promise<void> {
    this.#start.take(chunk);
    if (this.#offset < SEALED_FILE_MAGIC.length) await this.#applyPolicy(false);
    const segments = this.#writer.push(chunk);
    this.#offset += chunk.length;
    this.#hash?.update(chunk);
    this.#intact = false;
    for (const piece of segments) await this.#put(piece);
    this.#intact = true;
    if (options.mayCheckpoint) await this.#checkpointIfDue(segments.length > 0);
  }

  /** Makes everything taken so far durable and tells the row so; what a fault of the store tore is abandoned. */
  async keep(): Promise<void> {
    if (!this.#intact) return this.abandon();
    const tail = this.#writer.tail();
    await this.#blob?.sync();
    await this.#commitOffset(this.#offset, tail);
    await this.#letGo();
    if (this.#hash !== null && this.#row.upload_id !== null)
      this.#deps.hashes.put(this.#row.upload_id, this.#offset, this.#hash);
  }

  /** Forgets what was taken since the last time it was durable. */
  async abandon(): Promise<void> {
    await this.#letGo();
    this.#hash = null;
  }

  async #letGo(): Promise<void> {
    await this.#blob?.abandon();
    this.#blob = null;
  }

  /** The file is whole: seals its end, takes its digest, and makes it a transfer that can be read. */
  async complete(): Promise<TransferRow> {
    const { crypto, store, keyring, settings } = this.#deps;
    const { caller } = this.#context;
    await this.#applyPolicy(true);
    const inline = this.#row.storage === 'inline' && this.#offset <= settings.inlineBodyBytesMax;
    const plainTail = this.#writer.pending;
    const end = this.#writer.finish();
    if (!inline) {
      for (const piece of end) await this.#put(piece);
      await this.#blob?.finish();
      this.#blob = null;
    }
    const digest = this.#hash?.digest() ?? (inline ? crypto.sha256(plainTail) : await this.#rehash());
    const nowMs = this.#deps.clock.nowMs();
    const expiresAtMs = nowMs + this.#row.ttl_seconds * 1000;
    const { announced, ...begun } = openMeta(keyring, this.#row);
    refuseWrongDigest(announced ?? null, toHex(digest));
    const meta = { ...begun, sha256: toHex(digest) };
    const ready: TransferRow = {
      ...this.#row,
      state: 'ready',
      end_to_end: this.#start.sealed,
      size: this.#offset,
      offset: this.#offset,
      sealed_meta: sealMeta(keyring, this.#row.id, meta),
      upload_deadline_ms: null,
      ready_at_ms: nowMs,
      expires_at_ms: expiresAtMs,
      receipt_until_ms: expiresAtMs + this.#row.receipt_ttl_seconds * 1000,
      key_id: caller.key.id,
      version: this.#row.version + 1,
    };
    const body: Write = inline
      ? { kind: 'put', table: 'bodies', row: { transfer_id: ready.id, bytes: concatBytes(end), version: 1 } }
      : { kind: 'delete', table: 'bodies', key: ready.id };
    for (let holder = caller; ; ) {
      const proof = await proofWrites(this.#deps, holder);
      const outcome = await store.commit([
        { kind: 'update', table: 'transfers', row: ready, expectVersion: this.#row.version },
        body,
        ...whileKeyHolds(holder),
        ...proof.writes,
        auditOf(caller, nowMs, { action: 'transfer.sent', subject: ready.id, detail: { size: ready.size } }),
      ]);
      if (outcome.ok) {
        proof.committed();
        return ready;
      }
      const key = await stillValidKey(this.#deps, caller);
      if (key.version === holder.key.version && !(await proof.moved())) throw preempted();
      holder = { ...caller, key };
    }
  }

  async #put(piece: Uint8Array): Promise<void> {
    if (this.#blob === null) {
      // Before the first byte reaches the blob store the row says so: what a crash leaves is then known to the sweep.
      if (this.#row.storage === 'inline') await this.#update({ storage: 'blob' }, []);
      const offset = segmentPosition(this.#startIndex, this.#row.segment_bytes);
      this.#blob = await this.#deps.blobs.openWriter(this.#row.id, { offset });
    }
    await this.#blob.write(piece);
  }

  /** By bytes at the border of a segment, where it is cheapest; by time wherever it stands, its tail included. */
  async #checkpointIfDue(atBorder: boolean): Promise<void> {
    const nowMs = this.#deps.clock.monotonicMs();
    const byBytes = atBorder && this.#offset >= this.#checkpointAt;
    if (!byBytes && nowMs < this.#checkpointAtMs) return;
    this.#checkpointAt = this.#offset + this.#deps.settings.checkpointBytes;
    this.#checkpointAtMs = nowMs + CHECKPOINT_MS;
    const tail = byBytes ? null : this.#writer.tail();
    await this.#blob?.sync();
    await this.#commitOffset(byBytes ? this.#writer.sealedBytes : this.#offset, tail);
  }

  async #commitOffset(offset: number, tail: Uint8Array | null): Promise<void> {
    if (offset === this.#row.offset && this.#row.size === this.#context.size) return;
    const body: Write =
      tail === null
        ? { kind: 'delete', table: 'bodies', key: this.#row.id }
        : { kind: 'put', table: 'bodies', row: { transfer_id: this.#row.id, bytes: tail, version: 1 } };
    const deadline = this.#deps.clock.nowMs() + this.#deps.settings.resumableTtlMs;
    const end_to_end = this.#start.sealed;
    await this.#update({ offset, end_to_end, size: this.#context.size, upload_deadline_ms: deadline }, [body]);
  }

  /** Refused before its bytes are taken: what is kept of an unsealed file is at most seven bytes. */
  async #applyPolicy(end: boolean): Promise<void> {
    if (this.#start.sealed) return;
    this.#requireSealed ??= await requiresSealed(this.#deps, this.#row.account_id);
    if (this.#requireSealed) refuseUnsealed(this.#start, end);
  }

  async #update(changes: Partial<TransferRow>, writes: readonly Write[]): Promise<void> {
    const row: TransferRow = { ...this.#row, ...changes, version: this.#row.version + 1 };
    const outcome = await this.#deps.store.commit([
      { kind: 'update', table: 'transfers', row, expectVersion: this.#row.version },
      ...writes,
    ]);
    if (!outcome.ok) throw preempted();
    this.#row = row;
  }

  /** The digest of a file whose running hash was lost with an earlier process: read from the store, still sealed. */
  async #rehash(): Promise<Uint8Array> {
    const hash = this.#deps.crypto.hash();
    const id = this.#row.id;
    const range = { size: this.#offset, segmentBytes: this.#row.segment_bytes, from: 0, to: this.#offset };
    const read = (offset: number, length: number) => this.#deps.blobs.read(id, { offset, length });
    for await (const bytes of readSegments(this.#deps.crypto, this.#context.secrets, { ...range, read }))
      hash.update(bytes);
    return hash.digest();
  }
}

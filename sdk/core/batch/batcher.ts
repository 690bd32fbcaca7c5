import { concatBytes, copyInto, fromAscii } from '../bytes/index.ts';
import type { BatchFormat } from './format.ts';
import { FORMATS } from './format.ts';
import type { BatchManifest } from './manifest.ts';
import { countReading, emptyManifest, manifestText, needsAnotherManifest } from './manifest.ts';
import type { Reading, ReadingMark, ReadingView } from './reading.ts';

export interface BatchOptions {
  device: string;
  spool: string;
  format: BatchFormat;
  /** A batch is closed before it would grow over these bytes (a larger single reading gets a batch of its own). */
  bytesMax: number;
  countMax: number;
  /** A batch is due so long after its first reading was offered. */
  ageMsMax: number;
  /** Whether the driver is to compress the file. The bytes here are never compressed. */
  gzip: boolean;
  /** CSV only: the header row, without its line feed. */
  csvHeader: Uint8Array | null;
  /** The manifest as first line of the file (not in `raw`, which has no place for it). */
  embedManifest: boolean;
}

/** A file to be sent, as yet uncompressed. */
export interface Batch {
  bytes: Uint8Array;
  manifest: BatchManifest;
  /** `device-first-last.ndjson`, with `.gz` where `gzip` is wanted; ASCII, no path. */
  filename: string;
  contentType: string;
  gzip: boolean;
}

/** A batch being filled. It belongs to its caller and is changed in place. */
export interface Batcher {
  options: BatchOptions;
  /** Grows to the largest batch and is filled again for each: its first `bytes` bytes are the readings taken. */
  buffer: Uint8Array;
  bytes: number;
  manifest: BatchManifest;
  /** Monotonic ms at which the batch is due; null while it is empty. */
  dueAtMs: number | null;
}

/** An empty batcher. Throws RangeError for options that contradict each other or limits below 1. */
export function openBatcher(options: BatchOptions): Batcher {
  if (!(options.bytesMax >= 1 && options.countMax >= 1 && options.ageMsMax >= 0)) {
    throw new RangeError('expected bytesMax and countMax of at least 1 and ageMsMax of at least 0');
  }
  if (options.embedManifest && FORMATS[options.format].manifestBefore === null) {
    throw new RangeError('expected ndjson or csv where the manifest is embedded, got ' + options.format);
  }
  return {
    options: options,
    buffer: new Uint8Array(0),
    bytes: 0,
    manifest: emptyManifest(options.device, options.spool, options.format),
    dueAtMs: null,
  };
}

const BUFFER_BYTES_MIN = 1024;

/** Makes room for so many bytes more at once: growing little by little leaves each size behind. */
export function reserveBytes(batcher: Batcher, bytes: number): void {
  const length = batcher.bytes + bytes;
  if (length <= batcher.buffer.length) return;
  const grown = new Uint8Array(Math.max(length, 2 * batcher.buffer.length, BUFFER_BYTES_MIN));
  grown.set(batcher.buffer.subarray(0, batcher.bytes), 0);
  batcher.buffer = grown;
}

/** Whether a reading of so many bytes fits the batch begun. */
const isFull = function (batcher: Batcher, reading: ReadingMark, bytes: number): boolean {
  const options = batcher.options;
  const count = batcher.manifest.count;
  if (count === 0) return false;
  const over = batcher.bytes + bytes > options.bytesMax || count >= options.countMax;
  return over || needsAnotherManifest(batcher.manifest, reading);
};

/**
 * Takes a reading, or says `full`: close the batch and offer it again. An empty batcher takes any reading, so nothing
 * is too large to be sent. The bytes are copied.
 */
export function offerReadingView(batcher: Batcher, reading: ReadingView, nowMs: number): 'taken' | 'full' {
  const options = batcher.options;
  const lines = FORMATS[options.format].lines;
  const bytes = reading.to - reading.from + (lines ? 1 : 0);
  if (isFull(batcher, reading, bytes)) return 'full';
  if (batcher.dueAtMs === null) batcher.dueAtMs = nowMs + options.ageMsMax;
  reserveBytes(batcher, bytes);
  copyInto(batcher.buffer, batcher.bytes, reading.block, reading.from, reading.to);
  batcher.bytes += bytes;
  if (lines) batcher.buffer[batcher.bytes - 1] = 10;
  countReading(batcher.manifest, reading);
  return 'taken';
}

/** As `offerReadingView`, for a reading whose bytes are its own. */
export function offerReading(batcher: Batcher, reading: Reading, nowMs: number): 'taken' | 'full' {
  const view: ReadingView = {
    block: reading.bytes,
    from: 0,
    to: reading.bytes.length,
    sequence: reading.sequence,
    boot: reading.boot,
    monotonicMs: reading.monotonicMs,
    wallMs: reading.wallMs,
    trust: reading.trust,
  };
  return offerReadingView(batcher, view, nowMs);
}

/** Whether the batch should be closed now: full to its count, or its first reading has waited long enough. */
export function isDue(batcher: Batcher, nowMs: number): boolean {
  if (batcher.dueAtMs === null) return false;
  return nowMs >= batcher.dueAtMs || batcher.manifest.count >= batcher.options.countMax;
}

const SAFE = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_';

const safeName = function (text: string): string {
  let safe = '';
  for (let i = 0; i < text.length && safe.length < 100; i++) {
    safe += SAFE.indexOf(text.charAt(i)) < 0 ? '_' : text.charAt(i);
  }
  return safe || 'device';
};

/** What stands before the readings in the file. */
const headOf = function (batcher: Batcher): Uint8Array {
  const options = batcher.options;
  const traits = FORMATS[options.format];
  const before = traits.manifestBefore;
  let head = fromAscii(options.embedManifest ? before + manifestText(batcher.manifest) + traits.manifestAfter : '');
  if (options.format === 'csv' && options.csvHeader) {
    head = concatBytes(head, concatBytes(options.csvHeader, fromAscii('\n')));
  }
  return head;
};

/**
 * As `closeBatch`, but the bytes may be a view of the batcher's own buffer: they are overwritten when the next reading is
 * offered.
 */
export function closeBatchInPlace(batcher: Batcher): Batch | null {
  const manifest = batcher.manifest;
  if (manifest.count === 0) return null;
  const options = batcher.options;
  const traits = FORMATS[options.format];
  const head = headOf(batcher);
  const body = batcher.buffer.subarray(0, batcher.bytes);
  const range = '-' + manifest.first_sequence + '-' + manifest.last_sequence;
  batcher.bytes = 0;
  batcher.manifest = emptyManifest(options.device, options.spool, options.format);
  batcher.dueAtMs = null;
  return {
    bytes: head.length === 0 ? body : concatBytes(head, body),
    manifest: manifest,
    filename: safeName(options.device) + range + '.' + traits.extension + (options.gzip ? '.gz' : ''),
    contentType: traits.contentType,
    gzip: options.gzip,
  };
}

/** The file of what was taken, or null when nothing was; the batcher is empty afterwards. The same readings give the
 * same bytes, whenever and on whatever device: a repeat under one Idempotency-Key must not differ. */
export function closeBatch(batcher: Batcher): Batch | null {
  const batch = closeBatchInPlace(batcher);
  if (batch) batch.bytes = new Uint8Array(batch.bytes);
  return batch;
}

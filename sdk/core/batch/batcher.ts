import { fromAscii } from '../bytes/index.ts';
import type { BatchFormat } from './format.ts';
import { FORMATS } from './format.ts';
import type { BatchManifest } from './manifest.ts';
import { countReading, emptyManifest, manifestText, needsAnotherManifest } from './manifest.ts';
import type { Reading } from './reading.ts';

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
  parts: Uint8Array[];
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
    parts: [],
    bytes: 0,
    manifest: emptyManifest(options.device, options.spool, options.format),
    dueAtMs: null,
  };
}

/**
 * Takes a reading, or says `full`: close the batch and offer it again. An empty batcher takes any reading, so nothing
 * is too large to be sent. The bytes are kept, not copied.
 */
export function offerReading(batcher: Batcher, reading: Reading, nowMs: number): 'taken' | 'full' {
  const options = batcher.options;
  const bytes = reading.bytes.length + (FORMATS[options.format].lines ? 1 : 0);
  if (batcher.parts.length > 0) {
    if (batcher.bytes + bytes > options.bytesMax || batcher.manifest.count >= options.countMax) return 'full';
    if (needsAnotherManifest(batcher.manifest, reading)) return 'full';
  }
  if (batcher.dueAtMs === null) batcher.dueAtMs = nowMs + options.ageMsMax;
  batcher.parts.push(reading.bytes);
  batcher.bytes += bytes;
  countReading(batcher.manifest, reading);
  return 'taken';
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

/** The file of what was taken, or null when nothing was; the batcher is empty afterwards. The same readings give the
 * same bytes, whenever and on whatever device: a repeat under one Idempotency-Key must not differ. */
export function closeBatch(batcher: Batcher): Batch | null {
  if (batcher.parts.length === 0) return null;
  const options = batcher.options;
  const traits = FORMATS[options.format];
  const head: Uint8Array[] = [];
  if (options.embedManifest) {
    head.push(fromAscii(traits.manifestBefore + manifestText(batcher.manifest) + traits.manifestAfter));
  }
  if (options.format === 'csv' && options.csvHeader) {
    head.push(options.csvHeader);
    head.push(fromAscii('\n'));
  }
  let length = batcher.bytes;
  for (let i = 0; i < head.length; i++) length += (head[i] as Uint8Array).length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < head.length; i++) {
    bytes.set(head[i] as Uint8Array, at);
    at += (head[i] as Uint8Array).length;
  }
  for (let i = 0; i < batcher.parts.length; i++) {
    const part = batcher.parts[i] as Uint8Array;
    bytes.set(part, at);
    at += part.length;
    if (traits.lines) bytes[at++] = 10;
  }
  const manifest = batcher.manifest;
  const range = '-' + manifest.first_sequence + '-' + manifest.last_sequence;
  batcher.parts = [];
  batcher.bytes = 0;
  batcher.manifest = emptyManifest(options.device, options.spool, options.format);
  batcher.dueAtMs = null;
  return {
    bytes: bytes,
    manifest: manifest,
    filename: safeName(options.device) + range + '.' + traits.extension + (options.gzip ? '.gz' : ''),
    contentType: traits.contentType,
    gzip: options.gzip,
  };
}

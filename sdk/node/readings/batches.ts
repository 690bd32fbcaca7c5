import { gzipSync } from 'node:zlib';
import type { Batch, BatchFormat, ReadingView } from '#sdk/core';
import {
  closeBatchInPlace,
  idempotencyKey,
  manifestText,
  offerReadingView,
  openBatcher,
  reserveBytes,
} from '#sdk/core';
import type { Lease } from '../spool/index.ts';

export interface BatchSettings {
  device: string;
  format: BatchFormat;
  gzip: boolean;
  csvHeader: string | null;
  embedManifest: boolean;
}

/** One file of a lease, ready to be sent. The same lease gives the same files under the same keys. */
export interface BatchFile {
  bytes: Uint8Array;
  filename: string;
  contentType: string;
  /** The manifest, as the transfer's note. */
  note: string;
  key: string;
  readings: number;
}

const GZIP_LEVEL = 6;
/** A line feed a reading, which is seldom shorter than 16 bytes. */
const LINE_FEEDS = 17 / 16;

/** Makes files of the readings of one lease after the other, in one buffer. */
export interface Packer {
  /** Readings of about so many bytes will come. */
  expect(bytes: number): void;
  take(reading: ReadingView): void;
  /** The files of the lease whose readings were taken: one, or a few where they come from more boots than a manifest has room for. */
  files(lease: Lease): BatchFile[];
  /** Forgets what was taken. */
  empty(): void;
}

/**
 * Keys are made of device, boot, first sequence and the lease's 128 random bits, so that a repeat after a crash is no
 * second transfer: the same lease gives the same files under the same keys.
 */
export function openPacker(settings: BatchSettings, spool: string): Packer {
  const batcher = openBatcher({
    device: settings.device,
    spool,
    format: settings.format,
    // The lease has been cut to size already; what it holds goes out.
    bytesMax: Number.MAX_SAFE_INTEGER,
    countMax: Number.MAX_SAFE_INTEGER,
    ageMsMax: 0,
    gzip: settings.gzip,
    csvHeader: settings.csvHeader === null ? null : Buffer.from(settings.csvHeader),
    embedManifest: settings.embedManifest,
  });
  let closed: Batch[] = [];
  const close = () => {
    const batch = closeBatchInPlace(batcher);
    if (batch === null) return;
    // Compressed it is another array already; as it is, the buffer is filled again while this one is on its way.
    const bytes = batch.gzip ? gzipSync(batch.bytes, { level: GZIP_LEVEL }) : Uint8Array.from(batch.bytes);
    closed.push({ ...batch, bytes });
  };
  return {
    expect: (bytes) => reserveBytes(batcher, Math.ceil(bytes * LINE_FEEDS)),
    take(reading) {
      if (offerReadingView(batcher, reading, 0) === 'taken') return;
      close();
      offerReadingView(batcher, reading, 0);
    },
    files(lease) {
      close();
      return closed.splice(0).map((batch, index) => asFile(batch, lease, settings.device, index));
    },
    empty() {
      closeBatchInPlace(batcher);
      closed = [];
    },
  };
}

function asFile(batch: Batch, lease: Lease, device: string, index: number): BatchFile {
  const boot = `${lease.spool}-${lease.boot}`;
  const key = idempotencyKey({ device, boot, sequence: lease.first, random: lease.random });
  return {
    bytes: batch.bytes,
    filename: batch.filename,
    contentType: batch.gzip ? 'application/gzip' : batch.contentType,
    note: manifestText(batch.manifest),
    key: index === 0 ? key : `${key}.p${index}`,
    readings: batch.manifest.count,
  };
}

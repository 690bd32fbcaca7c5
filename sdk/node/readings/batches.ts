import { gzipSync } from 'node:zlib';
import type { Batch, BatchFormat } from '#sdk/core';
import { closeBatch, idempotencyKey, manifestText, offerReading, openBatcher } from '#sdk/core';
import type { LeasedReadings } from '../spool/index.ts';

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

/**
 * The files of a lease: one, or a few where its readings come from more boots than a manifest has room for. Keys are
 * made of device, boot, first sequence and the lease's 128 random bits, so that a repeat after a crash is no second
 * transfer.
 */
export function batchFiles(lease: LeasedReadings, settings: BatchSettings): BatchFile[] {
  const batcher = openBatcher({
    device: settings.device,
    spool: lease.spool,
    format: settings.format,
    // The lease has been cut to size already; what it holds goes out.
    bytesMax: Number.MAX_SAFE_INTEGER,
    countMax: Number.MAX_SAFE_INTEGER,
    ageMsMax: 0,
    gzip: settings.gzip,
    csvHeader: settings.csvHeader === null ? null : Buffer.from(settings.csvHeader),
    embedManifest: settings.embedManifest,
  });
  const files: BatchFile[] = [];
  const close = () => {
    const batch = closeBatch(batcher);
    if (batch !== null) files.push(asFile(batch, lease, settings, files.length));
  };
  for (const reading of lease.readings) {
    if (offerReading(batcher, reading, 0) === 'taken') continue;
    close();
    offerReading(batcher, reading, 0);
  }
  close();
  return files;
}

function asFile(batch: Batch, lease: LeasedReadings, settings: BatchSettings, index: number): BatchFile {
  const { device } = settings;
  const boot = `${lease.spool}-${lease.boot}`;
  const key = idempotencyKey({ device, boot, sequence: lease.first, random: lease.random });
  return {
    bytes: batch.gzip ? gzipSync(batch.bytes, { level: GZIP_LEVEL }) : batch.bytes,
    filename: batch.filename,
    contentType: batch.gzip ? 'application/gzip' : batch.contentType,
    note: manifestText(batch.manifest),
    key: index === 0 ? key : `${key}.p${index}`,
    readings: batch.manifest.count,
  };
}

import type { BlobStore, BlobWriter } from '../../ports/blob-store.ts';
import type { Clock } from '../../ports/crypto.ts';
import { BlobMissingError, StorageFullError, StorageUnavailableError } from '../../ports/faults.ts';
import type { AuditEntry, MetadataStore, Write } from '../../ports/metadata-store.ts';
import type { Metrics } from './metrics.ts';

/** Bytes and files are counted where they become true: in the audit entry that rides in the commit. */
function countEntry(metrics: Metrics, { action, detail }: AuditEntry): void {
  const whole = (name: string) => (typeof detail[name] === 'number' ? (detail[name] as number) : 0);
  metrics.count('fuselink_events_total', { action });
  if (action === 'transfer.sent') {
    metrics.count('fuselink_uploads_total');
    metrics.count('fuselink_upload_bytes_total', {}, whole('size'));
  }
  if (action === 'transfer.read' || action === 'transfer.delivered')
    metrics.count('fuselink_read_bytes_total', {}, whole('to_byte') - whole('from_byte'));
  if (action === 'transfer.read')
    metrics.count('fuselink_reads_total', { ending: String(detail['ending'] ?? 'unproven') });
  if (action === 'transfer.delivered') metrics.count('fuselink_burns_total', { by: String(detail['by'] ?? 'close') });
}

/** Measures what a call takes, and counts it where it fails. */
function measuring(metrics: Metrics, clock: Clock, store: 'metadata' | 'blobs') {
  return async <T>(operation: string, call: () => Promise<T>): Promise<T> => {
    const beganMs = clock.monotonicMs();
    try {
      return await call();
    } catch (error) {
      metrics.count('fuselink_store_faults_total', { store, fault: faultName(error) });
      throw error;
    } finally {
      metrics.observe('fuselink_store_seconds', (clock.monotonicMs() - beganMs) / 1000, { store, operation });
    }
  };
}

function faultName(error: unknown): string {
  if (error instanceof StorageFullError) return 'full';
  if (error instanceof StorageUnavailableError) return 'unavailable';
  return error instanceof BlobMissingError ? 'missing' : 'other';
}

/** The same store, measured. */
export function observedStore(store: MetadataStore, metrics: Metrics, clock: Clock): MetadataStore {
  const measured = measuring(metrics, clock, 'metadata');
  return {
    get: (table, where) => measured('get', () => store.get(table, where)),
    list: (table, query) => measured('list', () => store.list(table, query)),
    count: (table, query) => measured('count', () => store.count(table, query)),
    async commit(writes: readonly Write[]) {
      const outcome = await measured('commit', () => store.commit(writes));
      if (outcome.ok) for (const write of writes) if (write.kind === 'audit') countEntry(metrics, write.entry);
      return outcome;
    },
    touch: (table, key, column, value) => store.touch(table, key, column, value),
    check: () => measured('check', () => store.check()),
    close: () => store.close(),
  };
}

/** The same blobs, measured: what a writer holds back counts when it is made durable. */
export function observedBlobs(blobs: BlobStore, metrics: Metrics, clock: Clock): BlobStore {
  const measured = measuring(metrics, clock, 'blobs');
  const observedWriter = (writer: BlobWriter): BlobWriter => ({
    write: (bytes) => measured('write', () => writer.write(bytes)),
    sync: () => measured('sync', () => writer.sync()),
    finish: () => measured('finish', () => writer.finish()),
    abandon: () => writer.abandon(),
  });
  return {
    openWriter: (id, options) => measured('open', async () => observedWriter(await blobs.openWriter(id, options))),
    read: (id, options) => blobs.read(id, options),
    size: (id) => measured('size', () => blobs.size(id)),
    delete: (id) => measured('delete', () => blobs.delete(id)),
    list: () => blobs.list(),
    check: () => measured('check', () => blobs.check()),
    close: () => blobs.close(),
  };
}

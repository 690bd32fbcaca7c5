import type { BlobStore, BlobWriter } from '../../ports/blob-store.ts';
import type { Clock } from '../../ports/crypto.ts';
import { BlobMissingError, StorageFullError, StorageUnavailableError } from '../../ports/faults.ts';
import type { AuditEntry, MetadataStore, Write } from '../../ports/metadata-store.ts';
import type { EventHub } from '../events/event-hub.ts';
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
function measuring(metrics: Metrics, clock: Clock) {
  return async <T>(operation: string, call: () => Promise<T>): Promise<T> => {
    const beganMs = clock.monotonicMs();
    try {
      return await call();
    } catch (error) {
      metrics.count('fuselink_store_faults_total', { store: 'blobs', fault: faultName(error) });
      throw error;
    } finally {
      const seconds = (clock.monotonicMs() - beganMs) / 1000;
      metrics.observe('fuselink_store_seconds', seconds, { store: 'blobs', operation });
    }
  };
}

function faultName(error: unknown): string {
  if (error instanceof StorageFullError) return 'full';
  if (error instanceof StorageUnavailableError) return 'unavailable';
  return error instanceof BlobMissingError ? 'missing' : 'other';
}

/** As `measuring`, for what every request asks: its series is found once, and a call costs one promise more. */
function timed<A extends unknown[], R>(
  metrics: Metrics,
  clock: Clock,
  operation: string,
  call: (...args: A) => Promise<R>,
): (...args: A) => Promise<R> {
  const observe = metrics.observer('fuselink_store_seconds', { store: 'metadata', operation });
  return (...args) => {
    const beganMs = clock.monotonicMs();
    const took = () => observe((clock.monotonicMs() - beganMs) / 1000);
    return call(...args).then(
      (result) => {
        took();
        return result;
      },
      (error) => {
        took();
        metrics.count('fuselink_store_faults_total', { store: 'metadata', fault: faultName(error) });
        throw error;
      },
    );
  };
}

/** The same store, measured; who listens to events on this node hears of what it has committed. */
export function observedStore(
  store: MetadataStore,
  watching: { metrics: Metrics; clock: Clock; events: EventHub },
): MetadataStore {
  const { metrics, clock, events } = watching;
  const commit = timed(metrics, clock, 'commit', (writes: readonly Write[]) => store.commit(writes));
  return {
    get: timed(metrics, clock, 'get', store.get.bind(store)) as MetadataStore['get'],
    getBeside: timed(metrics, clock, 'get', store.getBeside.bind(store)) as MetadataStore['getBeside'],
    list: timed(metrics, clock, 'list', store.list.bind(store)) as MetadataStore['list'],
    count: timed(metrics, clock, 'count', store.count.bind(store)) as MetadataStore['count'],
    async commit(writes) {
      const outcome = await commit(writes);
      if (!outcome.ok) return outcome;
      for (const write of writes) if (write.kind === 'audit') countEntry(metrics, write.entry);
      events.committed(writes);
      return outcome;
    },
    touch: (table, key, column, value) => store.touch(table, key, column, value),
    check: timed(metrics, clock, 'check', () => store.check()),
    close: () => store.close(),
  };
}

/** The same blobs, measured: what a writer holds back counts when it is made durable. */
export function observedBlobs(blobs: BlobStore, metrics: Metrics, clock: Clock): BlobStore {
  const measured = measuring(metrics, clock);
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

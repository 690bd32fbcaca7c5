import { existsSync } from 'node:fs';
import { openDiskBlobs } from './adapters/disk/blob-store.ts';
import { createMemoryBlobs } from './adapters/memory/blob-store.ts';
import { createMemoryStore } from './adapters/memory/metadata-store.ts';
import { nodeClock } from './adapters/node/clock.ts';
import { nodeCrypto } from './adapters/node/crypto.ts';
import { nodeRandom } from './adapters/node/random.ts';
import type { DatabaseClock } from './adapters/postgres/clock.ts';
import { joseTokens } from './adapters/sign-in/tokens.ts';
import { otpauthTotp } from './adapters/sign-in/totp.ts';
import { openSqliteStore } from './adapters/sqlite/metadata-store.ts';
import { createWebhookSender } from './adapters/webhook/sender.ts';
import { checkKeyring, hasKeyring } from './installation.ts';
import type { BlobStore } from './ports/blob-store.ts';
import type { MetadataStore } from './ports/metadata-store.ts';
import { loadSecret } from './secret-file.ts';
import { type ServerSettings, UPLOAD_WINDOW_MS } from './settings.ts';
import { readEpoch } from './usecases/backup/epoch.ts';
import type { Deps, Settings } from './usecases/deps.ts';
import { EventHub } from './usecases/events/event-hub.ts';
import { Metrics } from './usecases/metrics/metrics.ts';
import { observedBlobs, observedStore } from './usecases/metrics/observed-stores.ts';
import { Endings } from './usecases/read/endings.ts';
import { createKeyring } from './usecases/sealing/keyring.ts';
import { ActiveUploads } from './usecases/upload/active-uploads.ts';
import { HashCache } from './usecases/upload/hash-cache.ts';

/** A minute without a byte ends a one-shot upload whose process is gone. */
const UPLOAD_DEADLINE_MS = 60_000;
/** At 1 GB/s a checkpoint every 32 MiB costs about thirty commits a second; a crash costs 32 MiB at most. */
const CHECKPOINT_BYTES = 32 * 1_048_576;

export interface Wired {
  deps: Deps;
  /** Whether this start made the keyring. */
  secretCreated: boolean;
  close(): Promise<void>;
}

/** Opens the stores the settings name and builds what every use case is given. */
export async function wire(settings: ServerSettings, warn: Deps['warn']): Promise<Wired> {
  const { metadata } = settings;
  // The keyring comes before a database file is made: a start that is refused leaves nothing behind.
  const early = metadata.kind === 'postgres' ? null : readKeyring(settings, hasFile(metadata));
  const opened: { close(): void | Promise<void> }[] = [];
  const close = async () => {
    for (const store of opened.reverse()) await store.close();
  };
  try {
    const store = await openMetadata(metadata);
    opened.push(store);
    const { keys, created } = early ?? readKeyring(settings, await hasKeyring(store));
    const where = settings.secret === null ? settings.secretFile : 'FUSELINK_SECRET';
    await checkKeyring(store, keys, { crypto: nodeCrypto, where });
    const blobs = await openBlobs(settings.blobs);
    opened.push(blobs);
    let clock: Deps['clock'] = nodeClock;
    if (metadata.kind === 'postgres') {
      const { openDatabaseClock } = await import('./adapters/postgres/clock.ts');
      const databaseClock: DatabaseClock = await openDatabaseClock(metadata, warn);
      opened.push(databaseClock);
      clock = databaseClock;
    }
    const metrics = new Metrics();
    const events = new EventHub();
    const webhooks = createWebhookSender({ allowPrivate: settings.webhooksAllowPrivate });
    opened.push(webhooks);
    const deps: Deps = {
      store: observedStore(store, { metrics, clock, events }),
      blobs: observedBlobs(blobs, metrics, clock),
      clock,
      random: nodeRandom,
      crypto: nodeCrypto,
      totp: otpauthTotp,
      tokens: joseTokens,
      keyring: createKeyring(keys, { crypto: nodeCrypto, random: nodeRandom }),
      epoch: await readEpoch(store),
      settings: useCaseSettings(settings),
      active: new ActiveUploads(),
      hashes: new HashCache(),
      endings: new Endings(),
      events,
      webhooks,
      metrics,
      warn(message, error, fields) {
        metrics.count('fuselink_warnings_total');
        warn(message, error, fields);
      },
    };
    return { deps, secretCreated: created, close };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

function hasFile(metadata: ServerSettings['metadata']): boolean {
  return metadata.kind === 'sqlite' && existsSync(metadata.path);
}

function readKeyring(settings: ServerSettings, dataExists: boolean) {
  return loadSecret({ file: settings.secretFile, inline: settings.secret, dataExists, random: nodeRandom });
}

// Clients of a database or an object store that this server does not use are not loaded: megabytes on a small machine.

async function openMetadata(metadata: ServerSettings['metadata']): Promise<MetadataStore> {
  switch (metadata.kind) {
    case 'sqlite':
      return openSqliteStore({ path: metadata.path });
    case 'postgres': {
      const { openPostgresStore } = await import('./adapters/postgres/metadata-store.ts');
      return openPostgresStore({ url: metadata.url });
    }
    case 'memory':
      return createMemoryStore();
  }
}

/** Opens the blob store that the settings name. */
export async function openBlobs(blobs: ServerSettings['blobs']): Promise<BlobStore> {
  switch (blobs.kind) {
    case 'disk':
      return openDiskBlobs({ folder: blobs.folder });
    case 's3': {
      const { openS3Blobs } = await import('./adapters/s3/blob-store.ts');
      return openS3Blobs({
        ...blobs.location,
        accessKeyId: blobs.accessKeyId,
        secretAccessKey: blobs.secretAccessKey,
      });
    }
    case 'memory':
      return createMemoryBlobs({ bytesMax: blobs.bytesMax });
  }
}

export function useCaseSettings(settings: ServerSettings): Settings {
  return {
    fileBytesMax: settings.fileBytesMax,
    inlineBodyBytesMax: settings.inlineBodyBytesMax,
    uploadsPerWindow: settings.uploadsPerWindow,
    uploadWindowMs: UPLOAD_WINDOW_MS,
    uploadsInFlightMax: settings.uploadsInFlightMax,
    uploadDeadlineMs: Math.max(UPLOAD_DEADLINE_MS, settings.idleTimeoutMs),
    resumableTtlMs: settings.resumableTtlMs,
    checkpointBytes: CHECKPOINT_BYTES,
    behindProxy: settings.trustProxy,
    graceMs: settings.graceMs,
    dialectPasswordLogin: settings.dialectPasswordLogin,
    deviceSilentMs: settings.deviceSilentMs,
    singleNode: settings.metadata.kind !== 'postgres',
  };
}

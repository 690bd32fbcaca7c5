import { existsSync } from 'node:fs';
import { openDiskBlobs } from './adapters/disk/blob-store.ts';
import { createMemoryBlobs } from './adapters/memory/blob-store.ts';
import { createMemoryStore } from './adapters/memory/metadata-store.ts';
import { nodeClock } from './adapters/node/clock.ts';
import { nodeCrypto } from './adapters/node/crypto.ts';
import { nodeRandom } from './adapters/node/random.ts';
import { joseTokens } from './adapters/sign-in/tokens.ts';
import { otpauthTotp } from './adapters/sign-in/totp.ts';
import { openSqliteStore } from './adapters/sqlite/metadata-store.ts';
import { loadSecret } from './secret-file.ts';
import { type ServerSettings, UPLOAD_WINDOW_MS } from './settings.ts';
import type { Deps, Settings } from './usecases/deps.ts';
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
  const { metadata, blobs } = settings;
  const dataExists = metadata.kind === 'sqlite' && existsSync(metadata.path);
  const { keys, created } = loadSecret({
    file: settings.secretFile,
    inline: settings.secret,
    dataExists,
    random: nodeRandom,
  });
  const store = metadata.kind === 'sqlite' ? await openSqliteStore({ path: metadata.path }) : createMemoryStore();
  const blobStore =
    blobs.kind === 'disk'
      ? await openDiskBlobs({ folder: blobs.folder })
      : createMemoryBlobs({ bytesMax: blobs.bytesMax });
  const deps: Deps = {
    store,
    blobs: blobStore,
    clock: nodeClock,
    random: nodeRandom,
    crypto: nodeCrypto,
    totp: otpauthTotp,
    tokens: joseTokens,
    keyring: createKeyring(keys, { crypto: nodeCrypto, random: nodeRandom }),
    settings: useCaseSettings(settings),
    active: new ActiveUploads(),
    hashes: new HashCache(),
    endings: new Endings(),
    warn,
  };
  return {
    deps,
    secretCreated: created,
    async close() {
      await blobStore.close();
      await store.close();
    },
  };
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
    singleNode: settings.metadata.kind !== 'memory' || settings.blobs.kind === 'memory',
  };
}

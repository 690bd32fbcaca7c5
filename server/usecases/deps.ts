import type { BlobStore } from '../ports/blob-store.ts';
import type { Clock, Crypto, Random } from '../ports/crypto.ts';
import type { MetadataStore } from '../ports/metadata-store.ts';
import type { Tokens, Totp } from '../ports/sign-in.ts';
import type { WebhookSender } from '../ports/webhook-sender.ts';
import type { EventHub } from './events/event-hub.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { Endings } from './read/endings.ts';
import type { Keyring } from './sealing/keyring.ts';
import type { ActiveUploads } from './upload/active-uploads.ts';
import type { HashCache } from './upload/hash-cache.ts';

/** What every use case is given. Nothing here is a global: the simulator passes its own. */
export interface Deps {
  store: MetadataStore;
  blobs: BlobStore;
  clock: Clock;
  random: Random;
  crypto: Crypto;
  totp: Totp;
  tokens: Tokens;
  keyring: Keyring;
  /** How often the database was restored from a backup, as of the start: no server runs while one is. */
  epoch: number;
  settings: Settings;
  /** Uploads this process is receiving: in-flight limits and pre-emption. Lost with the process, and rightly so. */
  active: ActiveUploads;
  /** Running digests of unfinished resumable uploads; a miss only costs reading the file again at its end. */
  hashes: HashCache;
  endings: Endings;
  /** Who listens to events on this node. */
  events: EventHub;
  webhooks: WebhookSender;
  metrics: Metrics;
  /** Faults that hit nobody's request (a failed deletion that the sweep repeats, say). */
  warn(message: string, error: unknown, fields?: Record<string, unknown>): void;
}

export interface Settings {
  fileBytesMax: number;
  /** Bodies up to this many bytes go into the metadata row; 0 sends every body to the blob store. */
  inlineBodyBytesMax: number;
  uploadsPerWindow: number;
  uploadWindowMs: number;
  uploadsInFlightMax: number;
  /** An upload without news for this long is given up: one-shot ones by the sweep, resumable ones after their TTL. */
  uploadDeadlineMs: number;
  resumableTtlMs: number;
  /** Bytes between two checkpoints of a long resumable request. */
  checkpointBytes: number;
  /** Behind a proxy an orderly close is the proxy's and proves nothing. */
  behindProxy: boolean;
  /** How long a complete but unproven plain GET waits before it counts as delivered. */
  graceMs: number;
  /** CloudTower's login may go without a second factor while none is set up. Off by default. */
  dialectPasswordLogin: boolean;
  /** A device not heard for this long is told of as silent; 0: none is. */
  deviceSilentMs: number;
  /** No other process writes to the stores: what is found unfinished at start is nobody's. */
  singleNode: boolean;
}

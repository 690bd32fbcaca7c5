import type { Readable } from 'node:stream';

/*
 * The public face of the Node SDK, in one file without imports of its own: the build publishes it as the package's
 * types. Names carry units; times are RFC 3339.
 */

export interface ClientOptions {
  /** Address of the server, `https://relay.example.com`; a path is kept as a prefix. */
  url: string;
  /** API key, or a function asked before every request (so that a rotated key is used at once). */
  key?: string | (() => string | Promise<string>) | undefined;
  /**
   * Folder of a credential store to take the key from (`fuselink key import`), instead of `key`. The key is then also
   * rotated whenever the server wants it, and survives a kill at any moment.
   */
  store?: string | undefined;
  /**
   * Believe what a server says over plain HTTP about this device's key. Over TLS and on this machine it is believed
   * anyway; anywhere else somebody in between could make the device rotate. For a gateway on a network of one's own.
   */
  trustPlainHttp?: boolean | undefined;
  /** Name of this device in Idempotency-Keys; by default the host's name. */
  device?: string | undefined;
  /**
   * Folder for what sends and receives resume from after a kill or reboot (0600). Default: `$FUSELINK_STATE`, else
   * `$XDG_STATE_HOME/fuselink`, else `~/.local/state/fuselink`. null: nothing is written, nothing resumes.
   */
  stateFolder?: string | null | undefined;
  /** PEM certificates trusted beside the system's. TLS is 1.2 or later. */
  ca?: string | readonly string[] | undefined;
  /** Client certificate and its key, PEM. */
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
  /** `http://[user:password@]host:port`; null: none. Default: `https_proxy`, `http_proxy`, `no_proxy`. */
  proxy?: string | null | undefined;
  /** A request fails when no byte moves for this long (default 120,000). There is no limit on the whole. */
  silenceMs?: number | undefined;
  /** Files up to this size go out in one request, larger ones resumably. At most 64 KiB, the default. */
  oneShotBytesMax?: number | undefined;
  /** Requests under way at once (default 4, at most 16). */
  parallel?: number | undefined;
  /** How `record` keeps and sends readings. Given: what an earlier run left behind is sent at once. */
  readings?: ReadingsOptions | undefined;
  /** The machine has just come up after a power or network failure: wait a random slot, because others do too. */
  afterOutage?: boolean | undefined;
}

export interface ReadingsOptions {
  /** Folder of the spool; by default `spool` in the state folder. One process at a time. */
  folder?: string | undefined;
  /** One JSON text a line (default), one CSV row a line, or one reading after the other. */
  format?: 'ndjson' | 'csv' | 'raw' | undefined;
  csvHeader?: string | undefined;
  /** Default true. */
  gzip?: boolean | undefined;
  /** The manifest (device, boots, sequences, times) as first line of the file; it is the transfer's note in any case. */
  embedManifest?: boolean | undefined;
  /** A batch goes out at this many readings (default 1000) or bytes (default 262,144), or at this age (default 60,000 ms). */
  countMax?: number | undefined;
  bytesMax?: number | undefined;
  ageMsMax?: number | undefined;
  /** A backlog is merged into files of up to this many bytes (default 1,048,576) before compression. */
  mergeBytesMax?: number | undefined;
  recipient?: string | undefined;
  /** Default 604,800: readings wait for their reader as long as they can. */
  ttlSeconds?: number | undefined;
  /** Lanes 0 to 7. Default: 0 (4 MiB, never dropped, durable before acknowledged) and 1 (1 GiB, oldest makes room). */
  lanes?: readonly ReadingLane[] | undefined;
  /** Bytes written to the disk in 24 hours (default 5 GiB): flash wears. */
  bytesPerDayMax?: number | undefined;
}

export interface ReadingLane {
  lane: number;
  whenFull: 'drop-oldest' | 'block' | 'never-drop';
  /** When a reading is durable: before `record` resolves, within `syncIntervalMs`, or when the system gets to it. */
  sync: 'every' | 'interval' | 'none';
  syncIntervalMs: number;
  bytesMax: number;
}

/** Bytes and text go as they are, a list as a CSV row where the format is csv, anything else as JSON. */
export type ReadingValue =
  | Uint8Array
  | string
  | number
  | boolean
  | null
  | readonly unknown[]
  | { readonly [name: string]: unknown };

export interface RecordOptions {
  /** Default 1. */
  lane?: number | undefined;
  /** When it was measured, ms since 1970, if not now. */
  wallMs?: number | undefined;
}

/** `kept: false` says why: `lane_full`, `wear`, `busy`, `disk_full`, `storage_fault`, `too_large`, `closed`. */
export type RecordResult =
  | { kept: true; lane: number; sequence: number; durable: boolean }
  | { kept: false; lane: number; reason: string };

export interface SendOptions {
  /** What the receiver sees; by default the file's own name. */
  filename?: string | undefined;
  contentType?: string | undefined;
  recipient?: string | undefined;
  /** 60 to 604,800; default 86,400. */
  ttlSeconds?: number | undefined;
  note?: string | undefined;
  burn?: 'on-delivery' | 'on-first-byte' | undefined;
  /** 0 to 9: smaller goes first, and 0 may use the uploads kept for rotation and proof. Default 1. */
  lane?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Fail when there was no progress for this long (default 900,000); null: try for ever. */
  giveUpAfterMs?: number | null | undefined;
  /** A refused key or a full store: `fail` at once (default) or `wait` and try again slowly. */
  whenRefused?: 'fail' | 'wait' | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
  /**
   * Called when the server has the file, before this side forgets that it was on its way: what is noted here is noted
   * whatever happens (after a crash in between, the next send of the file gives the same transfer and calls again).
   */
  onStored?: ((result: SendResult) => void | Promise<void>) | undefined;
  /**
   * Seal end to end before anything leaves this machine. Name and type then travel sealed, the server sees
   * `sealed.bin`; `note` and `recipient` it still sees. A killed send starts afresh, under a new key.
   */
  seal?: SealOptions | undefined;
}

export interface SealOptions {
  /**
   * Addresses of the account's directory (each key is remembered when it is first met; another one later is refused) or
   * public keys (`fuselink_pub1_…`). `link`: whoever has the whole link, whose part behind `#` no server sees.
   */
  to: 'link' | readonly string[];
  /** Key file of the key this device signs with. */
  sign?: string | undefined;
  /** For key files under a passphrase. */
  passphrase?: (() => string) | undefined;
  /** Take and remember recipients' keys that are other ones than before. Only after comparing their words. */
  acceptNewKeys?: boolean | undefined;
}

export interface UnsealOptions {
  /** Key files of the recipient. A link whose key is behind its `#` needs none. */
  identities?: readonly string[] | undefined;
  passphrase?: (() => string) | undefined;
  /** Refuse what is not signed. */
  signed?: boolean | undefined;
  /**
   * Accept only what one of these has signed: keys (`fuselink_verify1_…`) or, with a client that has a key, names or ids
   * of the account's devices.
   */
  signedBy?: readonly string[] | undefined;
  /** Take and remember devices' keys that are other ones than before. */
  acceptNewKeys?: boolean | undefined;
}

export interface Progress {
  bytes: number;
  /** null while the end of a stream is not known. */
  sizeBytes: number | null;
}

export interface SendResult {
  id: string;
  /** The link: whoever has it can read the file, once. null when it was read before the answer came through. */
  url: string | null;
  state: string;
  expiresAt: string | null;
  filename: string;
  sizeBytes: number;
  /** SHA-256 of what was sent, which is what the server says it holds. */
  sha256: string;
  /** It was sealed; `sizeBytes` and `sha256` are of the sealed file. */
  sealed: boolean;
}

export interface ReceiveOptions {
  /** A file name or an existing folder; by default the current folder and the sender's file name, made safe. */
  to?: string | undefined;
  /** Replace a file that is there already. */
  overwrite?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** Fail when there was no progress for this long (default 300,000), waiting for another reader included. */
  giveUpAfterMs?: number | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
  onRetry?: ((retry: Retry) => void) | undefined;
  /**
   * Called when the file lies at `path` whole and verified, before the server is told to burn it. If it rejects, nothing
   * is burned; after a kill it is called again by the next receive of the link.
   */
  onStored?: ((path: string) => void | Promise<void>) | undefined;
  /** Open what is sealed as it comes. A link with a key behind its `#` is opened without being asked. */
  unseal?: UnsealOptions | undefined;
}

export interface ReceiveResult {
  /** Where the file is now. */
  path: string;
  /** As the sender named it. */
  filename: string;
  contentType: string;
  sizeBytes: number;
  sha256: string;
  note: string | null;
  /** It is sealed end to end: what is on disk still has to be opened with its key. */
  sealed: boolean;
  /** Part of it was there from an earlier try. */
  resumed: boolean;
  /** It came sealed and was opened; name, type, size and digest are of what was in it. */
  opened: boolean;
  /** Whose signature held; null where it is not signed, or was not opened. */
  signer: { publicKey: string; fingerprint: string; words: string } | null;
}

export interface Retry {
  /** Why, as a code and in words. */
  code: string;
  detail: string;
  waitMs: number;
}

/** Arguments of each event a client emits. */
export interface ClientEvents {
  sent: [result: SendResult];
  /** A batch of readings is on the server. */
  batch: [batch: SendResult & { lane: number; readings: number; manifest: string }];
  /** Readings were not kept. Every one is told. */
  dropped: [drop: { lane: number; reason: string; readings: number }];
  progress: [progress: Progress & { filename: string }];
  retrying: [retry: Retry & { filename: string }];
  /** A file changed while it was being sent, or its upload was gone: it starts afresh. */
  restarted: [restart: { filename: string; reason: string }];
  /** Something is not as it should be, and the work goes on without it (`state_unwritable`). */
  warning: [warning: { code: string; detail: string }];
  /** The server refused the key. Only `key_revoked` with a fingerprint says that it will never be accepted again. */
  credentialRefused: [refusal: { code: string; fingerprint: string | null }];
  /** The key in `store` is being rotated: the phase it is in now, and the generation it moves to. */
  rotation: [rotation: { phase: string; generation: number | null }];
}

export type SendSource = string | URL | Uint8Array | Readable | AsyncIterable<Uint8Array | string>;

export interface FuselinkClient {
  /**
   * Send a file by path, bytes, or a stream; resolves with the link once the server holds exactly what was sent.
   * A file continues where an earlier, killed run stopped. Rejects with a FuselinkError.
   */
  send(source: SendSource, options?: SendOptions): Promise<SendResult>;
  /** Read a link: claim, download (continued after a break or a kill), check the digest, store, acknowledge. */
  receive(url: string, options?: ReceiveOptions): Promise<ReceiveResult>;
  /**
   * Keep one reading; it is sent in a batch. Resolves as its lane's policy says (durable before or soon after).
   * Rejects with `reading_invalid`, `spool_in_use` or `spool_folder`; a reading that is not kept resolves and says why.
   */
  record(reading: ReadingValue, options?: RecordOptions): Promise<RecordResult>;
  /** Resolves when every reading recorded before is on the server; rejects with `aborted`. */
  flush(options?: { signal?: AbortSignal | undefined }): Promise<void>;
  /** The key has changed: what waits because the old one was refused goes at once. */
  credentialsChanged(): void;
  /** Counters of this client as OpenMetrics text. */
  metrics(): string;
  on<Name extends keyof ClientEvents>(name: Name, listener: (...args: ClientEvents[Name]) => void): this;
  off<Name extends keyof ClientEvents>(name: Name, listener: (...args: ClientEvents[Name]) => void): this;
  /** Stop what is under way (it can be resumed) and free all sockets. */
  close(): Promise<void>;
}

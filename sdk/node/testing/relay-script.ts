import { createHash } from 'node:crypto';
import type http from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** One file the relay holds or is being given. */
export interface Held {
  id: string;
  token: string;
  bytes: Buffer[];
  size: number;
  /** Announced length; null while deferred. */
  length: number | null;
  filename: string;
  recipient: string | null;
  note: string | null;
  ttl: string | null;
  done: boolean;
  removed: boolean;
  burned: boolean;
  claim: string | null;
  creations: number;
}

/** What goes wrong with the next request that matches; each is used once, in order. */
export interface Fault {
  on: (request: IncomingMessage) => boolean;
  /** Runs instead of (`true`) or beside (`false`) the relay; may destroy the socket. */
  run: (context: { request: IncomingMessage; response: ServerResponse; socket: Socket }) => boolean | Promise<boolean>;
}

export interface FakeRelay {
  url: string;
  server: Server;
  held: Held[];
  faults: Fault[];
  /** `METHOD path` of every request, in order. */
  requests: string[];
  headers: http.IncomingHttpHeaders[];
  /** Keys that are accepted; anything else is `key_unknown`. */
  keys: Set<string>;
  revoked: Map<string, string>;
  /** Bytes after which a download's connection is cut, once per entry. */
  cutDownloads: number[];
  /** Bytes of a PATCH or POST body after which its connection is cut, once per entry. */
  cutUploads: number[];
  /** The answers of the next requests that match are made and then thrown away. */
  loseAnswers: ((request: IncomingMessage) => boolean)[];
  /** Flips a byte of the next downloads. */
  corruptDownloads: number;
  finished(): Held[];
  content(held: Held): Buffer;
  close(): Promise<void>;
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function decode(value: string | string[] | undefined): string | null {
  if (typeof value !== 'string') return null;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

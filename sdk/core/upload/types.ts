import type { UploadLimits } from './limits.ts';

/** What an upload may still resume from after the process or the machine went down. */
export interface ResumePoint {
  /** The tus resource; null when the crash came between writing this down and the server's answer. */
  location: string | null;
  /** How often the job had started afresh: part of its key. */
  restarts: number;
}

/** One file to be sent. What it is called and whom it is for stays with the driver, by `id`. */
export interface JobSpec {
  id: string;
  /** 0 is for rotation and proof; larger numbers yield to smaller ones. */
  lane: number;
  /** Bytes, or null for a stream whose end is not known yet. */
  sizeBytes: number | null;
  idempotencyKey: string;
  /** Whether the source can be read again from byte 0 (files, buffers), or only once (streams). */
  replayable: boolean;
  /** Whether `remember` and `forget` are wanted. */
  durable: boolean;
  resume: ResumePoint | null;
  /** `fail`: tell the caller at once (a person waits). `wait`: keep the data and try slowly for ever (a daemon). */
  whenRefused: 'fail' | 'wait';
  /** Monotonic ms without any progress after which the job fails as `unreachable`; null: never. */
  giveUpAfterMs: number | null;
}

export type RequestKind = 'one-shot' | 'create' | 'probe' | 'patch' | 'remove';

/** A finished transfer as the server describes it. `url` is null when it was read before the answer came through. */
export interface LinkAnswer {
  id: string;
  url: string | null;
  state: string;
  expiresAt: string | null;
  sizeBytes: number | null;
  sha256: string | null;
}

/** What the driver itself read from the source. `sha256` only where the driver has read all of it. */
export interface SentReport {
  sizeBytes: number | null;
  sha256: string | null;
  /** The source is not what it was when the job started (size, mtime, inode). */
  changed: boolean;
}

export interface AnswerEvent {
  type: 'answer';
  request: number;
  nowMs: number;
  random: number;
  status: number;
  /** `code` of the problem; null on success, and on answers that are not a Fuselink server's. */
  code: string | null;
  detail: string;
  /** Of a `key_revoked`. */
  fingerprint: string | null;
  retryAfterMs: number | null;
  location: string | null;
  offsetBytes: number | null;
  link: LinkAnswer | null;
  /** From `RateLimit`: uploads left in the window and ms until there is one more; null where not told. */
  remaining: number | null;
  resetMs: number | null;
  sent: SentReport | null;
}

export type UploadEvent =
  | { type: 'submit'; spec: JobSpec; nowMs: number }
  | AnswerEvent
  /** No answer: refused, reset, silent, unresolvable. `permanent`: waiting will not mend it (untrusted certificate). */
  | {
      type: 'lost';
      request: number;
      nowMs: number;
      random: number;
      code: string;
      detail: string;
      permanent: boolean;
      /** Total bytes of a stream whose end was found while sending. */
      sizeBytes: number | null;
    }
  | { type: 'source-changed'; job: string; sizeBytes: number; nowMs: number }
  | { type: 'source-failed'; job: string; code: string; detail: string; nowMs: number }
  | { type: 'cancel'; job: string; nowMs: number }
  /** The driver has another key, or the same one was accepted elsewhere: what waited for it may go. */
  | { type: 'credentials'; nowMs: number }
  /** Power or network came back: wait a random slot first, because everybody else's did too. */
  | { type: 'outage-ended'; nowMs: number; random: number }
  | { type: 'tick'; nowMs: number };

export interface JobFailure {
  code: string;
  detail: string;
  status: number | null;
  /** Sending the same file again goes on where this ended. */
  resumable: boolean;
}

export type UploadEffect =
  | {
      type: 'request';
      request: number;
      job: string;
      kind: RequestKind;
      idempotencyKey: string;
      /** The tus resource; null for one-shot and create. */
      location: string | null;
      /** Set when a finished transfer must go: `DELETE /v1/transfers/:id`. */
      transferId: string | null;
      offsetBytes: number;
      /** Most bytes one PATCH may carry; null: all that is left. */
      bytesMax: number | null;
      sizeBytes: number | null;
    }
  | { type: 'abort'; request: number }
  /** Make durable before the next effect of the list is performed. */
  | { type: 'remember'; job: string; location: string | null; restarts: number; sizeBytes: number | null }
  | { type: 'forget'; job: string }
  /** Open the source again from byte 0 and forget its digest. */
  | { type: 'reopen'; job: string; reason: string }
  | { type: 'retrying'; job: string; code: string; detail: string; atMs: number }
  | { type: 'done'; job: string; link: LinkAnswer; replayed: boolean }
  | { type: 'failed'; job: string; failure: JobFailure }
  /** For the rotation agent. Only `key_revoked` with a fingerprint is authority to drop a key. */
  | { type: 'credential-refused'; code: string; fingerprint: string | null }
  | { type: 'wake'; atMs: number };

export interface Job {
  spec: JobSpec;
  sizeBytes: number | null;
  restarts: number;
  next: RequestKind;
  /** Number of the request under way, or null. */
  inFlight: number | null;
  location: string | null;
  transferId: string | null;
  offsetBytes: number;
  chunkBytesMax: number | null;
  notBeforeMs: number;
  progressAtMs: number;
  /** Tries in a row that brought nothing. */
  attempts: number;
  /** The last PATCH got no answer: if the offset has not moved meanwhile, the next one is smaller. */
  brokenPatch: boolean;
  foreign: number;
  refusals: number;
  removals: number;
  /** What follows a removal: a fresh start, or this failure. */
  afterRemoval: JobFailure | 'restart' | null;
  restartReason: string;
  /** The create under this key may have been answered before: ask for the offset instead of assuming 0. */
  mayExist: boolean;
}

export interface UploadState {
  limits: UploadLimits;
  jobs: Job[];
  /** Starts in the window, monotonic ms, oldest first. */
  hits: number[];
  /** Nothing goes out before. */
  holdUntilMs: number;
  /** Nothing but lane 0 goes out before. */
  othersHoldUntilMs: number;
  /** Requests in a row that got no answer. */
  failures: number;
  nextRequest: number;
}

export interface UploadStep {
  state: UploadState;
  effects: UploadEffect[];
}

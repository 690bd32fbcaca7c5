import type { ErrorCode } from '#sdk/protocol';

/** What can go wrong on this side of the wire. The server's own codes are in `#sdk/protocol`. */
export type LocalErrorCode =
  | 'aborted'
  | 'closed'
  | 'unreachable'
  | 'connection_lost'
  | 'silent'
  | 'tls_untrusted'
  | 'proxy_refused'
  | 'proxy_body_limit'
  | 'not_fuselink'
  | 'credentials_refused'
  | 'no_progress'
  | 'queue_full'
  | 'source_missing'
  | 'source_unreadable'
  | 'source_changed'
  | 'source_rewound'
  | 'file_exists'
  | 'target_unwritable'
  | 'disk_full'
  | 'reading_invalid'
  | 'spool_in_use'
  | 'spool_folder'
  | 'option_invalid'
  | 'state_unwritable'
  | 'key_missing';

/** What a caller may want to act on, beside the code. */
export interface FuselinkErrorFacts {
  /** HTTP status where a server answered. */
  status?: number | null;
  /** The same call again goes on where this one ended. */
  resumable?: boolean;
  retryAfterSeconds?: number | null;
  /** Of the key a `key_revoked` names: 16 hex characters. */
  fingerprint?: string | null;
  cause?: unknown;
}

/**
 * The one error this SDK throws. `code` is a server's code or one of `LocalErrorCode`; messages never hold a key, a
 * link or an upload's Location.
 */
export class FuselinkError extends Error {
  override readonly name = 'FuselinkError';
  readonly code: ErrorCode | LocalErrorCode | (string & {});
  readonly status: number | null;
  readonly resumable: boolean;
  readonly retryAfterSeconds: number | null;
  readonly fingerprint: string | null;

  constructor(code: ErrorCode | LocalErrorCode | (string & {}), message: string, facts: FuselinkErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.status = facts.status ?? null;
    this.resumable = facts.resumable ?? false;
    this.retryAfterSeconds = facts.retryAfterSeconds ?? null;
    this.fingerprint = facts.fingerprint ?? null;
  }
}

/** What a caller gave cannot be meant. */
export function optionInvalid(message: string): FuselinkError {
  return new FuselinkError('option_invalid', message);
}

/** `code` of a Node system error (`ENOENT`, `ECONNRESET`), or '' when there is none. */
export function systemCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

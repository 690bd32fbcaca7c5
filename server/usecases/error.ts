import { ERRORS, type ErrorCode, type FieldProblem } from '#sdk/protocol';

export interface FuselinkErrorExtras {
  errors?: FieldProblem[];
  /** Of the key a `key_revoked` names, 16 hex characters. */
  fingerprint?: string;
  retryAfterSeconds?: number;
  /** Response headers a client needs to go on, e.g. `Upload-Offset`. */
  headers?: Record<string, string>;
}

/** The one error use cases throw: a code of the registry, and what was expected and what came. Never a secret. */
export class FuselinkError extends Error {
  override name = 'FuselinkError';
  readonly code: ErrorCode;
  readonly extras: FuselinkErrorExtras;

  constructor(code: ErrorCode, detail?: string, extras: FuselinkErrorExtras = {}) {
    super(detail ?? `${ERRORS[code].title}.`);
    this.code = code;
    this.extras = extras;
  }
}

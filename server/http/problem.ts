import { ERRORS, PROBLEM_TYPE_BASE, type Problem, QUOTA_EXCEEDED_TYPE } from '#sdk/protocol';
import { StorageFullError, StorageUnavailableError } from '../ports/faults.ts';
import { FuselinkError } from '../usecases/error.ts';
import type { Answer } from './route.ts';

/** Any thrown thing as the error it is told as. Faults of stores become 507 and 503; everything else is `internal`. */
export function asFuselinkError(error: unknown): FuselinkError {
  if (error instanceof FuselinkError) return error;
  if (error instanceof StorageFullError)
    return withCause('storage_full', 'There is no room for this file; nothing of it was kept.', error);
  if (error instanceof StorageUnavailableError) {
    return withCause(
      'storage_unavailable',
      'The store cannot be reached now; nothing was changed. Try again.',
      error,
      5,
    );
  }
  return withCause('internal', 'Something went wrong on the server; nothing was half done.', error);
}

function withCause(
  code: 'storage_full' | 'storage_unavailable' | 'internal',
  detail: string,
  cause: unknown,
  retryAfterSeconds?: number,
): FuselinkError {
  const error = new FuselinkError(code, detail, retryAfterSeconds === undefined ? {} : { retryAfterSeconds });
  error.cause = cause;
  return error;
}

/** The RFC 9457 answer of an error. */
export function problemAnswer(error: FuselinkError): Answer {
  const { status, title } = ERRORS[error.code];
  const { errors, fingerprint, retryAfterSeconds, headers } = error.extras;
  const problem: Problem = {
    type: status === 429 ? QUOTA_EXCEEDED_TYPE : PROBLEM_TYPE_BASE + error.code,
    title,
    status,
    code: error.code,
    detail: error.message,
    ...(errors === undefined ? {} : { errors }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  };
  return {
    status,
    type: 'application/problem+json; charset=utf-8',
    text: JSON.stringify(problem),
    headers: {
      ...(status === 401 ? { 'www-authenticate': `Bearer realm="fuselink", error="${error.code}"` } : {}),
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': retryAfterSeconds }),
      ...headers,
    },
  };
}

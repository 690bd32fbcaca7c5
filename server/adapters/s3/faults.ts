import { StorageFullError, StorageUnavailableError } from '../../ports/faults.ts';

/** What went wrong with one request, without anything of its body: error bodies of S3 may quote keys and signatures. */
export interface RequestFailure {
  /** HTTP status; 0 where no answer came. */
  status: number;
  /** S3's code, or the network's. */
  code: string;
}

/** Codes by which stores say that they are full, whatever the status. */
const FULL_CODES: ReadonlySet<string> = new Set([
  'QuotaExceeded',
  'InsufficientCapacity',
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
  'InsufficientStorage',
]);

const REASONS: ReadonlyMap<string, string> = new Map([
  ['NoSuchBucket', 'the bucket does not exist'],
  ['AccessDenied', 'the store refuses access'],
  ['InvalidAccessKeyId', 'the store does not know the credentials'],
  ['SignatureDoesNotMatch', 'the store refuses the credentials'],
  ['RequestTimeTooSkewed', 'the clocks of store and server differ too much'],
  ['ENOTFOUND', 'the name of the store is not known'],
  ['ECONNREFUSED', 'the store refuses connections'],
  ['TimeoutError', 'the store does not answer in time'],
  ['SlowDown', 'the store asks to slow down'],
]);

/** Answers after which the same request may succeed a moment later. */
const RETRIED_STATUSES: ReadonlySet<number> = new Set([0, 408, 425, 429, 500, 502, 503, 504]);
/** ... among them a body that was damaged on its way, which says 400. */
const RETRIED_CODES: ReadonlySet<string> = new Set([
  'BadDigest',
  'RequestTimeout',
  'IncompleteBody',
  'OperationAborted',
]);

/** Reads the failure out of whatever a request threw; null for errors that are no failure of the store's (bugs). */
export function failureOf(error: unknown): RequestFailure | null {
  if (error === null || typeof error !== 'object') return null;
  const { status, serviceCode, body, name } = error as Record<string, unknown>;
  if (typeof status === 'number') {
    const code = typeof serviceCode === 'string' && serviceCode !== 'Unknown' ? serviceCode : codeInBody(body);
    return { status, code };
  }
  for (let at: unknown = error, depth = 0; depth < 4 && at !== null && typeof at === 'object'; depth++) {
    const { code, cause } = at as { code?: unknown; cause?: unknown };
    if (typeof code === 'string') return { status: 0, code };
    at = cause;
  }
  if (name === 'TimeoutError' || name === 'AbortError') return { status: 0, code: 'TimeoutError' };
  // fetch: "fetch failed", "terminated". A TypeError of our own code has no such message.
  const { message } = error as { message?: unknown };
  return /fetch failed|terminated|network/i.test(String(message)) ? { status: 0, code: 'connection lost' } : null;
}

/** Some stores answer errors as text/xml, which the client does not look into. */
function codeInBody(body: unknown): string {
  const found = typeof body === 'string' ? /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(body) : null;
  return found?.[1] ?? 'Unknown';
}

export function mayBeRetried(failure: RequestFailure): boolean {
  return RETRIED_STATUSES.has(failure.status) || RETRIED_CODES.has(failure.code);
}

export function isMissing(failure: RequestFailure): boolean {
  return failure.status === 404 && failure.code !== 'NoSuchBucket';
}

/** The port's fault. Its message names what was tried, status and code: no address, no key, no credentials. */
export function asFault(action: string, failure: RequestFailure): StorageFullError | StorageUnavailableError {
  const detail = failure.status === 0 ? failure.code : `${failure.status} ${failure.code}`;
  if (failure.status === 507 || FULL_CODES.has(failure.code)) {
    return new StorageFullError(`blobs: the object store has no room (${action}: ${detail})`);
  }
  const reason = REASONS.get(failure.code) ?? 'the object store cannot be used';
  return new StorageUnavailableError(`blobs: ${reason} (${action}: ${detail})`);
}

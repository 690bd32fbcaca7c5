import { createHash } from 'node:crypto';
import { S3mini } from 's3mini';
import { StorageUnavailableError } from '../../ports/faults.ts';
import { asFault, failureOf, isMissing, mayBeRetried, type RequestFailure } from './faults.ts';
import { bucketAddress, type S3Location } from './location.ts';

export interface S3Options extends S3Location {
  accessKeyId: string;
  secretAccessKey: string;
  /** A request without an answer after this is repeated or given up. */
  requestTimeoutMs?: number;
  /** How often a request is tried, and the longest first pause; later ones double. */
  attemptsMax?: number;
  retryDelayMs?: number;
}

/** One part is at most a few MiB: a minute is for lines of less than a megabit. */
const REQUEST_TIMEOUT_MS = 60_000;
const ATTEMPTS_MAX = 5;
const RETRY_DELAY_MS = 200;
const LIST_KEYS = 1000;
/** Deletions under way at once. One request a key: not every store has the request for many. */
const DELETIONS_AT_ONCE = 8;

export interface UploadedPart {
  partNumber: number;
  etag: string;
}

/** Objects of one bucket below one prefix. Every request may be repeated without harm, and is, with full jitter. */
export class S3Objects {
  readonly #client: S3mini;
  readonly #prefix: string;
  readonly #attemptsMax: number;
  readonly #retryDelayMs: number;
  #closed = false;

  constructor(options: S3Options) {
    this.#client = new S3mini({
      accessKeyId: options.accessKeyId,
      secretAccessKey: options.secretAccessKey,
      endpoint: bucketAddress(options),
      region: options.region,
      requestAbortTimeout: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    });
    this.#prefix = options.prefix;
    this.#attemptsMax = options.attemptsMax ?? ATTEMPTS_MAX;
    this.#retryDelayMs = options.retryDelayMs ?? RETRY_DELAY_MS;
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    await this.#repeat('put', () =>
      this.#client.putObject(this.#prefix + key, bytes, 'application/octet-stream', undefined, digestHeader(bytes)),
    );
  }

  /** Bytes `[from, to)` of an object, or all of it; null where there is no such object. */
  async get(key: string, range?: { from: number; to: number }): Promise<Uint8Array | null> {
    try {
      return await this.#repeat('get', () => this.#getOnce(this.#prefix + key, range));
    } catch (error) {
      if (error instanceof Missing) return null;
      throw error;
    }
  }

  async #getOnce(key: string, range: { from: number; to: number } | undefined): Promise<Uint8Array> {
    const { from, to } = range ?? {};
    const answer = await this.#client.getObjectRaw(key, range === undefined, from, to);
    // The body is read here, within the attempt: an answer that breaks off is repeated, too.
    if (range === undefined) return new Uint8Array(await answer.arrayBuffer());
    if (answer.status !== 206 || !answer.headers.get('content-range')?.startsWith(`bytes ${range.from}-`)) {
      await answer.body?.cancel();
      throw lost('the range asked for did not come');
    }
    return firstBytes(answer, range.to - range.from);
  }

  /** Deletes; what is not there is fine. */
  async delete(keys: readonly string[]): Promise<void> {
    let next = 0;
    const worker = async () => {
      while (next < keys.length) {
        const key = this.#prefix + (keys[next++] as string);
        await this.#repeat('delete', () => this.#client.deleteObject(key)).catch(unlessMissing);
      }
    };
    await Promise.all(Array.from({ length: Math.min(DELETIONS_AT_ONCE, keys.length) }, worker));
  }

  /** Keys that begin with `start`, in order. */
  async *list(start: string): AsyncGenerator<string> {
    let token: string | undefined;
    do {
      const page = await this.#repeat('list', () =>
        this.#client.listObjectsPaged('/', this.#prefix + start, LIST_KEYS, token),
      );
      // The client answers null for 404, which for a listing can only mean the bucket.
      if (page === null || page === undefined) throw asFault('list', { status: 404, code: 'NoSuchBucket' });
      for (const { Key } of page.objects ?? []) {
        if (Key.startsWith(this.#prefix + start)) yield Key.slice(this.#prefix.length);
      }
      token = page.nextContinuationToken;
    } while (token !== undefined);
  }

  async beginParts(key: string): Promise<string> {
    return this.#repeat('begin parts', () => this.#client.getMultipartUploadId(this.#prefix + key));
  }

  async putPart(key: string, uploadId: string, part: { number: number; bytes: Uint8Array }): Promise<UploadedPart> {
    return this.#repeat('put part', async () => {
      const headers = digestHeader(part.bytes);
      const done = await this.#client.uploadPart(
        this.#prefix + key,
        uploadId,
        part.bytes,
        part.number,
        {},
        undefined,
        headers,
      );
      if (done.etag === '') throw lost('expected the tag of a part');
      return done;
    });
  }

  /** Joins the parts. A lost answer is told from a failure by looking whether the object is there with all its bytes. */
  async joinParts(key: string, uploadId: string, parts: readonly UploadedPart[], bytes: number): Promise<void> {
    await this.#repeat('join parts', async () => {
      try {
        const joined = await this.#client.completeMultipartUpload(this.#prefix + key, uploadId, [...parts]);
        // S3 may begin its answer with 200 and fail afterwards: then there is an error inside.
        if (typeof (joined as { etag?: unknown }).etag !== 'string') throw lost('the parts were not joined');
      } catch (error) {
        if (!(await this.#isThere(key, bytes))) throw error;
      }
    });
  }

  async #isThere(key: string, bytes: number): Promise<boolean> {
    try {
      return (await this.#client.getContentLength(this.#prefix + key)) === bytes;
    } catch {
      return false;
    }
  }

  async dropParts(key: string, uploadId: string): Promise<void> {
    await this.#repeat('drop parts', () => this.#client.abortMultipartUpload(this.#prefix + key, uploadId)).catch(
      unlessMissing,
    );
  }

  /** Uploads in parts that were begun below `start` and neither joined nor dropped; none where the store cannot tell. */
  async unjoined(start: string): Promise<{ key: string; uploadId: string }[]> {
    try {
      // The client's own prefix argument does not reach the store, hence the query.
      const query = { prefix: this.#prefix + start };
      const found = await this.#repeat('list parts', () => this.#client.listMultipartUploads('/', '', 'GET', query));
      return unjoinedIn(found)
        .filter(({ key }) => key.startsWith(this.#prefix + start))
        .map(({ key, uploadId }) => ({ key: key.slice(this.#prefix.length), uploadId }));
    } catch (error) {
      if (error instanceof Missing || (error instanceof Refused && UNSUPPORTED.has(error.failure.status))) return [];
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
  }

  async #repeat<T>(action: string, attempt: () => Promise<T>): Promise<T> {
    for (let number = 1; ; number++) {
      if (this.#closed) throw new StorageUnavailableError('blobs: the store was closed');
      try {
        return await attempt();
      } catch (error) {
        if (error instanceof StorageUnavailableError) throw error;
        const failure = error instanceof Lost ? { status: 0, code: error.message } : failureOf(error);
        if (failure === null) throw error;
        if (isMissing(failure)) throw new Missing(action);
        if (!mayBeRetried(failure)) throw refusalOf(action, failure);
        if (number >= this.#attemptsMax) throw asFault(action, failure);
      }
      await pause(Math.random() * this.#retryDelayMs * 2 ** (number - 1));
    }
  }
}

/** Exactly the first `count` bytes of an answer: some stores send more than the range (s3rver, for `bytes=0-0`, everything). */
async function firstBytes(answer: Response, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  let at = 0;
  for await (const chunk of answer.body ?? []) {
    const part = (chunk as Uint8Array).subarray(0, count - at);
    bytes.set(part, at);
    at += part.byteLength;
    // Leaving the loop cancels the rest.
    if (at === count) return bytes;
  }
  throw lost('an incomplete range came');
}

/** Statuses by which a store says that it does not know a request. */
const UNSUPPORTED: ReadonlySet<number> = new Set([400, 405, 501]);

/** There is no such object or upload: an answer, not a fault. As a fault, where nobody expects it, it is unavailability. */
class Missing extends StorageUnavailableError {
  constructor(action: string) {
    super(`blobs: the object store has lost an object (${action}: 404)`);
  }
}

class Refused extends StorageUnavailableError {
  readonly failure: RequestFailure;
  constructor(message: string, failure: RequestFailure) {
    super(message);
    this.failure = failure;
  }
}

/** An answer that is none: to be tried again like a lost connection. */
class Lost extends Error {}

function lost(what: string): Lost {
  return new Lost(what);
}

function refusalOf(action: string, failure: RequestFailure): Error {
  const fault = asFault(action, failure);
  return fault instanceof StorageUnavailableError ? new Refused(fault.message, failure) : fault;
}

function unlessMissing(error: unknown): void {
  if (!(error instanceof Missing)) throw error;
}

/** Lets the store refuse bytes that were damaged on their way [RFC 1864]; the client types only `x-amz-` headers. */
function digestHeader(bytes: Uint8Array): Record<`x-amz-${string}`, string> {
  return { 'Content-MD5': createHash('md5').update(bytes).digest('base64') } as Record<`x-amz-${string}`, string>;
}

/** Finds uploads in the client's parsed XML, whose nesting differs between stores and with the number of uploads. */
function unjoinedIn(parsed: unknown): { key: string; uploadId: string }[] {
  const found: { key: string; uploadId: string }[] = [];
  const visit = (value: unknown) => {
    if (Array.isArray(value)) return void value.forEach(visit);
    if (value === null || typeof value !== 'object') return;
    const record = value as Record<string, unknown>;
    const key = record['Key'] ?? record['key'];
    const uploadId = record['UploadId'] ?? record['uploadId'];
    if (typeof key === 'string' && typeof uploadId === 'string') found.push({ key, uploadId });
    else Object.values(record).forEach(visit);
  };
  visit(parsed);
  return found;
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

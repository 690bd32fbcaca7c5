import type { IncomingMessage } from 'node:http';
import { isWellFormed } from '../../domain/upload/filename.ts';
import { FuselinkError } from '../../usecases/error.ts';

/** JSON bodies are small; anything larger is a mistake. */
export const JSON_BYTES_MAX = 65_536;

/** Bytes held for a reader that is busy, before the client is made to wait. */
const HELD_BYTES_MAX = 262_144;

/**
 * The bytes of a request's body as they come. Ends only when the body is complete; throws `body_truncated` where the
 * client went away or sent less than it announced. Unlike Node's own iterator it can be left while it waits for a
 * byte, and leaving it does not tear down the connection, which has yet to carry the answer.
 */
export function requestBytes(req: IncomingMessage): AsyncIterableIterator<Uint8Array> {
  const whole = READ_ALREADY.get(req);
  return whole === undefined ? new BodyReader(req) : onePiece(whole);
}

/** Bodies that had to be read whole before anything may be done with them: of signed requests, and JSON that took its time. */
const READ_ALREADY = new WeakMap<IncomingMessage, Uint8Array>();

async function* onePiece(bytes: Uint8Array): AsyncIterableIterator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}

/** The whole body, at most `bytesMax`; whoever reads the request after this gets the same bytes. */
export async function readWhole(req: IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  const tooLarge = () =>
    new FuselinkError('payload_too_large', `Expected at most ${bytesMax} bytes in such a request, got more.`);
  if ((announcedBytes(req) ?? 0) > bytesMax) throw tooLarge();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of requestBytes(req)) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw tooLarge();
    parts.push(chunk);
  }
  const whole = new Uint8Array(Buffer.concat(parts));
  READ_ALREADY.set(req, whole);
  return whole;
}

type Pending = { resolve(result: IteratorResult<Uint8Array>): void; reject(error: Error): void };

class BodyReader implements AsyncIterableIterator<Uint8Array> {
  readonly #req: IncomingMessage;
  readonly #held: Uint8Array[] = [];
  #heldBytes = 0;
  #begun = false;
  #pending: Pending | null = null;
  #over: 'complete' | 'left' | Error | null = null;

  constructor(req: IncomingMessage) {
    this.#req = req;
  }

  /** Not before the first byte is asked for: a request that waits for its place holds no memory. */
  #begin(): void {
    const req = this.#req;
    this.#begun = true;
    if (req.readableEnded) this.#over = req.complete ? 'complete' : truncated(req, null);
    else if (req.destroyed) this.#over = truncated(req, req.errored);
    else req.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onBroken).on('close', this.#onBroken);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#begun && this.#over === null) this.#begin();
    const chunk = this.#held.shift();
    if (chunk !== undefined) {
      this.#heldBytes -= chunk.length;
      if (this.#heldBytes < HELD_BYTES_MAX / 2 && this.#req.isPaused()) this.#req.resume();
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.#over instanceof Error) return Promise.reject(this.#over);
    if (this.#over !== null) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
    });
  }

  /** Leaves the rest of the body to whoever writes the answer. */
  return(): Promise<IteratorResult<Uint8Array>> {
    this.#held.length = 0;
    this.#end('left');
    return Promise.resolve({ done: true, value: undefined });
  }

  #onData = (chunk: Buffer): void => {
    if (this.#pending !== null) {
      const { resolve } = this.#pending;
      this.#pending = null;
      resolve({ done: false, value: chunk });
      return;
    }
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes >= HELD_BYTES_MAX) this.#req.pause();
  };

  #onEnd = (): void => this.#end(this.#req.complete ? 'complete' : truncated(this.#req, null));

  #onBroken = (cause?: unknown): void => this.#end(truncated(this.#req, cause ?? null));

  #end(how: 'complete' | 'left' | Error): void {
    if (this.#over !== null) return;
    this.#over = how;
    const req = this.#req;
    req.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onBroken).off('close', this.#onBroken);
    if (how === 'left' && this.#begun) req.pause();
    const pending = this.#pending;
    this.#pending = null;
    if (how instanceof Error) pending?.reject(how);
    else pending?.resolve({ done: true, value: undefined });
  }
}

function truncated(req: IncomingMessage, cause: unknown): FuselinkError {
  const announced = req.headers['content-length'];
  const expected = announced === undefined ? 'a complete body' : `${announced} bytes, as announced`;
  const error = new FuselinkError(
    'body_truncated',
    `Expected ${expected}, got fewer before the connection broke; nothing was kept.`,
  );
  error.cause = cause;
  return error;
}

/** Bytes the request announces with Content-Length; null for chunked bodies; throws for nonsense. */
export function announcedBytes(req: IncomingMessage): number | null {
  const text = req.headers['content-length'];
  if (text === undefined) return req.headers['transfer-encoding'] === undefined ? 0 : null;
  if (!/^\d{1,15}$/.test(text))
    throw new FuselinkError('bad_request', 'Content-Length: expected a whole number of bytes.');
  return Number(text);
}

/** Throws `invalid_field` for what no store can hold: a NUL, or half of a surrogate pair. */
function refuseUnstorable(field: string, text: string): void {
  if (isWellFormed(text) && !text.includes('\u0000')) return;
  const detail = 'expected Unicode text without NUL characters and lone surrogates, got some';
  const named = field.slice(0, 60);
  throw new FuselinkError('invalid_field', `${named}: ${detail}.`, { errors: [{ field: named, detail }] });
}

/** A JSON object from the body, whatever its declared type; throws `invalid_body` with what was expected and came. */
export async function readJson(req: IncomingMessage): Promise<Record<string, unknown>> {
  const type = (req.headers['content-type'] ?? 'application/json').split(';')[0]?.trim().toLowerCase() ?? '';
  if (!/^application\/(?:[\w.-]+\+)?json$/.test(type)) {
    throw new FuselinkError(
      'unsupported_media_type',
      `Expected Content-Type application/json, got ${type.slice(0, 60).replace(/[^\x20-\x7e]/g, '?')}.`,
    );
  }
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of requestBytes(req)) {
    bytes += chunk.length;
    if (bytes > JSON_BYTES_MAX)
      throw new FuselinkError('payload_too_large', `Expected at most ${JSON_BYTES_MAX} bytes of JSON, got more.`);
    parts.push(chunk);
  }
  const text = Buffer.concat(parts).toString('utf8');
  if (text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text, (key, inner) => {
      if (key === '__proto__') throw new SyntaxError('__proto__');
      if (typeof inner === 'string') refuseUnstorable(key, inner);
      return inner;
    });
  } catch (error) {
    if (error instanceof FuselinkError) throw error;
    throw new FuselinkError('invalid_body', 'Expected a JSON object, got a text that is not JSON.');
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new FuselinkError(
      'invalid_body',
      `Expected a JSON object, got ${value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`}.`,
    );
  }
  return value as Record<string, unknown>;
}

export interface FieldSpec {
  type: 'string' | 'number' | 'boolean' | 'strings';
  required?: boolean;
}

/** Checks an object field by field; unknown fields are refused, because a misspelt one would be lost silently. */
export function checkFields(body: Record<string, unknown>, specs: Record<string, FieldSpec>): Record<string, unknown> {
  const errors: { field: string; detail: string }[] = [];
  for (const field of Object.keys(body)) {
    if (!Object.hasOwn(specs, field)) {
      errors.push({
        field: field.slice(0, 60),
        detail: `expected one of ${Object.keys(specs).join(', ')}, got an unknown field`,
      });
    }
  }
  for (const [field, spec] of Object.entries(specs)) {
    const value = body[field];
    if (value === undefined || value === null) {
      if (spec.required) errors.push({ field, detail: `expected a ${spec.type}, got none` });
      continue;
    }
    const fits =
      spec.type === 'strings'
        ? Array.isArray(value) && value.every((item) => typeof item === 'string')
        : typeof value === spec.type;
    if (!fits)
      errors.push({
        field,
        detail: `expected ${spec.type === 'strings' ? 'an array of strings' : `a ${spec.type}`}, got ${Array.isArray(value) ? 'an array' : `a ${typeof value}`}`,
      });
  }
  if (errors.length > 0) {
    throw new FuselinkError(
      'invalid_field',
      `${errors.map((error) => `${error.field}: ${error.detail}`).join('; ')}.`,
      { errors },
    );
  }
  return body;
}

import type { Fields } from '#sdk/core';
import { position } from './position.ts';
import { server } from './server.ts';
import type { Answer } from './signed.ts';

declare const setTimeout: (run: unknown, ms: number, ...given: unknown[]) => number;

/** Uploads that wait. Each holds its data in RAM. */
const QUEUE_MAX = 8;
/** Bytes of one request. */
const PIECE_BYTES_MAX = 500;
/**
 * So many uploads in any so many ms: at most 49 in any minute, so that 10 of the 60 are left for rotation and proof. A
 * place comes back by a timer, so it depends on no clock that might be set.
 */
const PLACES = 7;
const PLACE_MS = 10000;
/** After a failure: somewhere between these, the second doubled with each up to 128 s. */
const WAIT_MS_MIN = 1000;
const WAIT_MS_BASE = 2000;
const DOUBLINGS_MAX = 6;

/** What is sent: `size` bytes, read in pieces, as text, a character a byte. The same again after a broken answer. */
export interface Source {
  size: number;
  read(offset: number, length: number): string;
}

/** `error`: null, or the code for which the server will never take it. `told`: the answer's fields, `fuselink-id` among them. */
export type Done = (error: string | null, told: Fields) => void;

export interface Job {
  /** Text, a character a byte, or what gives it. */
  source: string | Source;
  size: number;
  /** What is said of the file, by header. */
  said: Fields;
  done: Done | undefined;
  /** Idempotency-Key, from the first attempt on. */
  name?: string;
  /** Where it goes on; '' before it is begun, and again when nobody knows how far it came. */
  place?: string;
  offset: number;
  attempts: number;
}

/** What a timer says, if it is more than to go on: an upload's place has come back; the wait after a failure is over. */
const PLACE_BACK = 2;
const WAIT_OVER = 3;

const jobs: Job[] = [];
let places = PLACES;
let held = false;

/** False where the queue is full. */
export function enqueue(source: string | Source, said: Fields, done: Done | undefined): boolean {
  const size = (source as Source).read ? (source as Source).size : (source as string).length;
  const job = { source: source, size: size, said: said, done: done, offset: 0, attempts: 0 };
  return jobs.length < QUEUE_MAX && jobs.push(job) > 0;
}

export function hearOfTime(what?: number): void {
  if (what === PLACE_BACK) places++;
  if (what === WAIT_OVER) held = false;
}

/** The first job is over. Told later: what the program does then is no part of this, and finds the memory of a request free. */
function end(error: string | null, told: Fields): void {
  const job = jobs.shift() as Job;
  if (job.done) setTimeout(job.done, 1, error, told);
}

/**
 * What of the first job may go now, or null. Going on with what was begun is no upload more. A source that gives nothing, or
 * throws, would never end: it is given up. `tick`: called with what a timer says.
 */
export function nextPiece(tick: (what?: number) => void): string | null {
  const job = jobs[0];
  if (!job || held || !(job.place || places > 0)) return null;
  const source = job.source as Source;
  const left = job.size - job.offset;
  const length = left < PIECE_BYTES_MAX ? left : PIECE_BYTES_MAX;
  let piece = '';
  try {
    piece = source.read
      ? source.read(job.offset, length)
      : (job.source as string).substring(job.offset, job.offset + length);
  } catch (_error) {
    // It is the program's own, and told as what it comes to.
  }
  if (piece || !left) return piece;
  end('source_failed', {});
  setTimeout(tick, 1);
  return null;
}

/**
 * The next request of the first job, but for its piece: tus 1.0, begun with the first. What was begun before is begun again
 * under the same Idempotency-Key: the answer says how far it came.
 */
export function uploadIn(fields: Fields, tick: (what?: number) => void): void {
  const job = jobs[0] as Job;
  fields['tus-resumable'] = '1.0.0';
  fields['content-type'] = 'application/offset+octet-stream';
  server.method = 'PATCH';
  server.path = job.place || '/v1/uploads';
  if (job.place) fields['upload-offset'] = '' + job.offset;
  else {
    server.method = 'POST';
    for (const name in job.said) fields[name] = job.said[name] as string;
    fields['upload-length'] = '' + job.size;
    fields['idempotency-key'] = job.name = job.name || server.device + '.' + position();
    places--;
    setTimeout(tick, PLACE_MS, PLACE_BACK);
  }
}

/** What an answer means for the first job. True: the server has it, whole. `random`: in [0, 1). */
export function hearOfJob(random: number, tick: (what?: number) => void, answer: Answer): boolean {
  const job = jobs[0] as Job;
  const told = answer.told;
  const status = answer.status;
  const stored = !!told && status < 300;
  if (stored) {
    const place = told['location'];
    if (place) job.place = place.substring(place.indexOf('/v1/'));
    job.attempts = 0;
    job.offset = +(told['upload-offset'] as string);
    if (job.offset < job.size) return false;
    // What passes: no answer, a refused key, a quarantine, another at it, the limit, a body altered on the way.
  } else if (
    !told ||
    status > 499 ||
    [401, 403, 408, 409, 423, 429, 460].indexOf(status) >= 0 ||
    answer.code === 'digest_mismatch'
  ) {
    const after = +((told && told['retry-after']) || 0) * 1000;
    const wait = WAIT_MS_MIN + random * (WAIT_MS_BASE << job.attempts);
    if (job.attempts < DOUBLINGS_MAX) job.attempts++;
    job.place = '';
    job.offset = 0;
    held = true;
    setTimeout(tick, after > wait ? after : wait, WAIT_OVER);
    return false;
  }
  end(stored ? null : answer.code || '' + status, told as Fields);
  return stored;
}

import { type Fields, fullJitterMs } from '#sdk/core';
import type { Server } from './platform.ts';
import { position } from './signed.ts';

declare const setTimeout: (run: () => void, ms: number) => number;

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
const BACK_OFF = { msMin: 1000, msBase: 2000, msMax: 120000 };

/** What is sent: `size` bytes, read in pieces, as text, a character a byte. The same again after a broken answer. */
export interface Source {
  size: number;
  read(offset: number, length: number): string;
}

/** `error`: null, or the code for which the server will never take it. `told`: the answer's fields, `fuselink-id` among them. */
export type Done = (error: string | null, told: Fields) => void;

export interface Job {
  source: Source;
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

const jobs: Job[] = [];
let places = PLACES;
let held = false;

/** False where the queue is full. */
export function enqueue(source: Source, said: Fields, done: Done | undefined): boolean {
  return jobs.length < QUEUE_MAX && jobs.push({ source: source, said: said, done: done, offset: 0, attempts: 0 }) > 0;
}

/** Whether the first job may go now. Going on with what was begun is no upload more. */
export function mayGo(): boolean {
  const job = jobs[0];
  return !!job && !held && (!!job.place || places > 0);
}

/**
 * The next request of the first job, as `call` wants it: tus 1.0, begun with its first piece. What was begun before is begun
 * again under the same Idempotency-Key: the answer says how far it came. `again`: called when a place has come back.
 */
export function uploadIn(server: Server, fields: Fields, again: () => void): string {
  const job = jobs[0] as Job;
  const left = job.source.size - job.offset;
  fields['tus-resumable'] = '1.0.0';
  fields['content-type'] = 'application/offset+octet-stream';
  server.method = 'PATCH';
  server.path = job.place || '/v1/uploads';
  if (job.place) fields['upload-offset'] = '' + job.offset;
  else {
    server.method = 'POST';
    for (const name in job.said) fields[name] = job.said[name] as string;
    fields['upload-length'] = '' + job.source.size;
    fields['idempotency-key'] = job.name = job.name || position(server.device + '.', '.', '.');
    places--;
    setTimeout(() => {
      places++;
      again();
    }, PLACE_MS);
  }
  return job.source.read(job.offset, left < PIECE_BYTES_MAX ? left : PIECE_BYTES_MAX);
}

/** What an answer means for the first job. True: the server has it, whole. `random`: in [0, 1). */
export function hearOfJob(
  random: number,
  again: () => void,
  status: number,
  code: string,
  told: Fields | null,
): boolean {
  const job = jobs[0] as Job;
  const stored = !!told && status < 300;
  if (stored) {
    const place = told['location'];
    if (place) job.place = place.substring(place.indexOf('/v1/'));
    job.attempts = 0;
    job.offset = +(told['upload-offset'] as string);
    if (job.offset < job.source.size) return false;
    // What passes: no answer, a refused key, a quarantine, another at it, the limit, a body altered on the way.
  } else if (
    !told ||
    status > 499 ||
    '401,403,408,409,423,429,460'.indexOf('' + status) >= 0 ||
    code === 'digest_mismatch'
  ) {
    const after = +((told && told['retry-after']) || 0) * 1000;
    const wait = fullJitterMs(job.attempts++, random, BACK_OFF);
    job.place = '';
    job.offset = 0;
    held = true;
    setTimeout(
      () => {
        held = false;
        again();
      },
      after > wait ? after : wait,
    );
    return false;
  }
  jobs.shift();
  if (job.done) job.done(stored ? null : code || '' + status, told);
  return stored;
}

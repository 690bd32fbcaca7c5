import { fullJitterMs } from './back-off.ts';
import type { Job, JobFailure, JobSpec, RequestKind, UploadEffect, UploadState } from './types.ts';

/** One step under way: a copy of the state that may be written to, and the effects so far. */
export interface Draft {
  /** What the state becomes. */
  becomes: UploadState;
  effects: UploadEffect[];
  nowMs: number;
  random: number;
}

/** Its own fields; none of them is written into, so one level is enough. */
function shallowCopy<T extends object>(from: T): T {
  const copy = {} as T;
  for (const name in from) copy[name] = from[name];
  return copy;
}

/** A draft over a copy of `state`: the caller's state is never written to. */
export function openDraft(state: UploadState, nowMs: number, random: number): Draft {
  const copy = shallowCopy(state);
  copy.jobs = [];
  for (let i = 0; i < state.jobs.length; i++) copy.jobs.push(shallowCopy(state.jobs[i] as Job));
  return { becomes: copy, effects: [], nowMs: nowMs, random: random };
}

export function jobById(draft: Draft, id: string): Job | null {
  for (let i = 0; i < draft.becomes.jobs.length; i++) {
    const job = draft.becomes.jobs[i] as Job;
    if (job.spec.id === id) return job;
  }
  return null;
}

export function jobByRequest(draft: Draft, request: number): Job | null {
  for (let i = 0; i < draft.becomes.jobs.length; i++) {
    const job = draft.becomes.jobs[i] as Job;
    if (job.inFlight === request) return job;
  }
  return null;
}

/** Whether a file of this size goes out in one request. A stream without a known end never does. */
export function firstKind(draft: Draft, sizeBytes: number | null): RequestKind {
  return sizeBytes !== null && sizeBytes <= draft.becomes.limits.oneShotBytesMax ? 'one-shot' : 'create';
}

export function newJob(draft: Draft, spec: JobSpec): Job {
  const resume = spec.resume;
  const location = resume === null ? null : resume.location;
  return {
    spec: spec,
    sizeBytes: spec.sizeBytes,
    restarts: resume === null ? 0 : resume.restarts,
    next: location === null ? firstKind(draft, spec.sizeBytes) : 'probe',
    inFlight: null,
    location: location,
    transferId: null,
    offsetBytes: 0,
    chunkBytesMax: null,
    notBeforeMs: draft.nowMs,
    progressAtMs: draft.nowMs,
    attempts: 0,
    brokenPatch: false,
    foreign: 0,
    refusals: 0,
    removals: 0,
    afterRemoval: null,
    restartReason: '',
    mayExist: resume !== null,
  };
}

export function dropJob(draft: Draft, job: Job): void {
  const kept: Job[] = [];
  for (let i = 0; i < draft.becomes.jobs.length; i++) {
    const other = draft.becomes.jobs[i] as Job;
    if (other !== job) kept.push(other);
  }
  draft.becomes.jobs = kept;
}

/** What ends a job without an answer of the server. */
export function localFailure(code: string, detail: string, resumable: boolean): JobFailure {
  return { code: code, detail: detail, status: null, resumable: resumable };
}

export function failJob(draft: Draft, job: Job, failure: JobFailure): void {
  if (job.inFlight !== null) draft.effects.push({ type: 'abort', request: job.inFlight });
  if (job.spec.durable && !failure.resumable) draft.effects.push({ type: 'forget', job: job.spec.id });
  draft.effects.push({ type: 'failed', job: job.spec.id, failure: failure });
  dropJob(draft, job);
}

export function noteProgress(draft: Draft, job: Job): void {
  job.attempts = 0;
  job.foreign = 0;
  job.refusals = 0;
  job.brokenPatch = false;
  job.progressAtMs = draft.nowMs;
}

export interface Trouble {
  code: string;
  detail: string;
  status: number | null;
  /** The least wait, where the server named one. */
  retryAfterMs: number;
  /** `slow`: what only a person or hours will mend. */
  pace: 'normal' | 'slow';
}

export function failureOf(trouble: Trouble, resumable: boolean): JobFailure {
  return { code: trouble.code, detail: trouble.detail, status: trouble.status, resumable: resumable };
}

/** Wait and try again, or give up when the job has waited as long as its caller wanted. */
export function backOff(draft: Draft, job: Job, trouble: Trouble): void {
  const limits = draft.becomes.limits;
  const giveUpAfterMs = job.spec.giveUpAfterMs;
  const slow = trouble.pace === 'slow';
  const jitterMs = fullJitterMs(job.attempts, draft.random, {
    msMin: slow ? limits.refusedDelayMsBase / 2 : limits.retryDelayMsMin,
    msBase: slow ? limits.refusedDelayMsBase : limits.retryDelayMsBase,
    msMax: slow ? limits.refusedDelayMsMax : limits.retryDelayMsMax,
  });
  const askedMs = trouble.retryAfterMs < limits.retryAfterMsMax ? trouble.retryAfterMs : limits.retryAfterMsMax;
  job.notBeforeMs = draft.nowMs + askedMs + (askedMs > 0 ? Math.round(jitterMs / 4) : jitterMs);
  job.attempts += 1;
  if (giveUpAfterMs !== null && job.notBeforeMs - job.progressAtMs > giveUpAfterMs) {
    failJob(draft, job, failureOf(trouble, true));
    return;
  }
  draft.effects.push({
    type: 'retrying',
    job: job.spec.id,
    code: trouble.code,
    detail: trouble.detail,
    atMs: job.notBeforeMs,
  });
}

/** Start the job again from byte 0 under a new key, or fail when that has been done too often or cannot be done. */
export function startAfresh(draft: Draft, job: Job, reason: string): void {
  const again = job.restarts >= draft.becomes.limits.restartsMax;
  if (again || !job.spec.replayable) {
    const detail = job.spec.replayable
      ? `started afresh ${job.restarts} times, and it happened again`
      : 'this can only be read once, so it cannot be sent again from its beginning';
    failJob(draft, job, localFailure(reason, detail, false));
    return;
  }
  job.restarts += 1;
  job.location = null;
  job.transferId = null;
  job.offsetBytes = 0;
  job.chunkBytesMax = null;
  job.removals = 0;
  job.afterRemoval = null;
  job.mayExist = false;
  job.brokenPatch = false;
  job.next = firstKind(draft, job.sizeBytes);
  job.notBeforeMs = draft.nowMs;
  job.progressAtMs = draft.nowMs;
  draft.effects.push({ type: 'reopen', job: job.spec.id, reason: reason });
  rememberJob(draft, job);
}

export function rememberJob(draft: Draft, job: Job): void {
  if (!job.spec.durable) return;
  draft.effects.push({
    type: 'remember',
    job: job.spec.id,
    location: job.location,
    restarts: job.restarts,
    sizeBytes: job.sizeBytes,
  });
}

/** A removal was answered, or has been tried often enough: what is left on the server expires by itself. */
export function removalEnded(draft: Draft, job: Job): void {
  const then = job.afterRemoval;
  if (then === null || then === 'restart') startAfresh(draft, job, job.restartReason);
  else failJob(draft, job, then);
}

/** Take away what the server holds of this job, then do `then`. */
export function removeFirst(draft: Draft, job: Job, then: JobFailure | 'restart', reason: string): void {
  if (job.inFlight !== null) draft.effects.push({ type: 'abort', request: job.inFlight });
  job.inFlight = null;
  job.afterRemoval = then;
  job.restartReason = reason;
  job.attempts = 0;
  job.notBeforeMs = draft.nowMs;
  if (job.location === null && job.transferId === null) removalEnded(draft, job);
  else job.next = 'remove';
}

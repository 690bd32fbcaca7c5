import { applyAnswer } from './answers.ts';
import { fullJitterMs } from './back-off.ts';
import type { Draft } from './draft.ts';
import {
  backOff,
  failJob,
  jobById,
  jobByRequest,
  localFailure,
  newJob,
  openDraft,
  rememberJob,
  removalEnded,
  removeFirst,
} from './draft.ts';
import type { UploadLimits } from './limits.ts';
import { pump } from './pump.ts';
import type { Job, JobSpec, UploadEvent, UploadState, UploadStep } from './types.ts';

/** An uploader with nothing to do. */
export function idleUploader(limits: UploadLimits): UploadState {
  return {
    limits: limits,
    jobs: [],
    hits: [],
    holdUntilMs: 0,
    othersHoldUntilMs: 0,
    failures: 0,
    nextRequest: 1,
  };
}

function tooLarge(draft: Draft, sizeBytes: number | null): string | null {
  const most = draft.becomes.limits.fileBytesMax;
  if (sizeBytes === null || sizeBytes <= most) return null;
  return `a file may have at most ${most} bytes, and this one has ${sizeBytes}`;
}

function submit(draft: Draft, spec: JobSpec): void {
  if (jobById(draft, spec.id) !== null) return;
  const job = newJob(draft, spec);
  const large = tooLarge(draft, spec.sizeBytes);
  const full = draft.becomes.jobs.length >= draft.becomes.limits.jobsMax;
  draft.becomes.jobs.push(job);
  if (large !== null) {
    failJob(draft, job, localFailure('payload_too_large', large, false));
  } else if (full) {
    const detail = `at most ${draft.becomes.limits.jobsMax} files may wait at once`;
    failJob(draft, job, localFailure('queue_full', detail, false));
  } else if (spec.resume === null) {
    rememberJob(draft, job);
  }
}

function lost(draft: Draft, job: Job, event: Extract<UploadEvent, { type: 'lost' }>): void {
  job.inFlight = null;
  draft.becomes.failures += 1;
  if (event.sizeBytes !== null && job.sizeBytes === null) job.sizeBytes = event.sizeBytes;
  if (job.next === 'remove' && job.removals >= draft.becomes.limits.removalsMax) {
    removalEnded(draft, job);
    return;
  }
  if (job.next === 'patch') {
    job.brokenPatch = true;
    job.next = 'probe';
  }
  if (job.next === 'create') job.mayExist = true;
  if (event.permanent && job.spec.whenRefused === 'fail') {
    failJob(draft, job, localFailure(event.code, event.detail, true));
    return;
  }
  backOff(draft, job, {
    code: event.code,
    detail: event.detail,
    status: null,
    retryAfterMs: 0,
    pace: event.permanent ? 'slow' : 'normal',
  });
}

function sourceChanged(draft: Draft, job: Job, sizeBytes: number): void {
  // A removal already decided what follows; its fresh start reads the source anew anyway.
  if (job.next === 'remove') return;
  job.sizeBytes = sizeBytes;
  const large = tooLarge(draft, sizeBytes);
  if (large === null) removeFirst(draft, job, 'restart', 'source_changed');
  else removeFirst(draft, job, localFailure('payload_too_large', large, false), '');
}

function apply(draft: Draft, event: UploadEvent): void {
  switch (event.type) {
    case 'submit':
      submit(draft, event.spec);
      return;
    case 'answer': {
      const job = jobByRequest(draft, event.request);
      if (job !== null) applyAnswer(draft, job, event);
      return;
    }
    case 'lost': {
      const job = jobByRequest(draft, event.request);
      if (job !== null) lost(draft, job, event);
      return;
    }
    case 'source-changed': {
      const job = jobById(draft, event.job);
      if (job !== null) sourceChanged(draft, job, event.sizeBytes);
      return;
    }
    case 'source-failed': {
      const job = jobById(draft, event.job);
      if (job === null) return;
      removeFirst(draft, job, localFailure(event.code, event.detail, false), '');
      return;
    }
    case 'cancel': {
      const job = jobById(draft, event.job);
      if (job === null) return;
      failJob(draft, job, localFailure('aborted', 'the caller stopped it', true));
      return;
    }
    case 'credentials':
      draft.becomes.othersHoldUntilMs = draft.nowMs;
      for (let i = 0; i < draft.becomes.jobs.length; i++) {
        const job = draft.becomes.jobs[i] as Job;
        if (job.refusals > 0) job.notBeforeMs = draft.nowMs;
      }
      return;
    case 'outage-ended': {
      const spread = draft.becomes.limits.spreadMsMax;
      const until = draft.nowMs + fullJitterMs(0, event.random, { msMin: 0, msBase: spread, msMax: spread });
      if (until > draft.becomes.holdUntilMs) draft.becomes.holdUntilMs = until;
      return;
    }
    default:
  }
}

/**
 * The uploader: what happened → the next state and what to do, in order. Pure; `nowMs` is monotonic, `random` in
 * [0, 1). Answers to requests that are no longer under way change nothing, so repeats and stragglers are harmless.
 * Every submitted job ends in exactly one `done` or `failed`, or stays until the caller cancels it.
 */
export function stepUploader(state: UploadState, event: UploadEvent): UploadStep {
  const random = event.type === 'answer' || event.type === 'lost' || event.type === 'outage-ended' ? event.random : 0;
  const draft = openDraft(state, event.nowMs, random);
  apply(draft, event);
  pump(draft);
  return { state: draft.becomes, effects: draft.effects };
}

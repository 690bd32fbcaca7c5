import type { Draft, Trouble } from './draft.ts';
import {
  backOff,
  dropJob,
  failJob,
  failureOf,
  noteProgress,
  rememberJob,
  removalEnded,
  removeFirst,
  startAfresh,
} from './draft.ts';
import type { AnswerEvent, Job, LinkAnswer } from './types.ts';
import { judge } from './verdict.ts';

/** Whether both sides know it, and not the same. */
function differs(sent: string | number | null, held: string | number | null): boolean {
  return sent !== null && held !== null && sent !== held;
}

/** The digest the server computed is the only proof that it holds what was meant: lengths and 201s are not. */
function complete(draft: Draft, job: Job, link: LinkAnswer, answer: AnswerEvent): void {
  const sent = answer.sent;
  if (sent !== null && (sent.changed || differs(sent.sizeBytes, link.sizeBytes) || differs(sent.sha256, link.sha256))) {
    if (sent.changed && sent.sizeBytes !== null) job.sizeBytes = sent.sizeBytes;
    job.transferId = link.id;
    removeFirst(draft, job, 'restart', sent.changed ? 'source_changed' : 'digest_mismatch');
    return;
  }
  draft.effects.push({ type: 'done', job: job.spec.id, link: link, replayed: job.mayExist });
  // Forgotten last: a crash in between tells the caller of the same transfer again instead of making a second one.
  if (job.spec.durable) draft.effects.push({ type: 'forget', job: job.spec.id });
  dropJob(draft, job);
}

/** One PATCH broke and brought nothing: a proxy may be collecting whole bodies before it passes them on. */
export function shrinkChunk(draft: Draft, job: Job): boolean {
  const limits = draft.becomes.limits;
  const now = job.chunkBytesMax;
  const next = now === null || now > limits.chunkBytesShrunk ? limits.chunkBytesShrunk : Math.floor(now / 4);
  const bounded = next < limits.chunkBytesMin ? limits.chunkBytesMin : next;
  if (now !== null && bounded >= now) return false;
  job.chunkBytesMax = bounded;
  return true;
}

function accepted(draft: Draft, job: Job, answer: AnswerEvent): void {
  const kind = job.next;
  if (kind === 'remove') {
    removalEnded(draft, job);
    return;
  }
  if (kind === 'one-shot') {
    complete(draft, job, answer.link as LinkAnswer, answer);
    return;
  }
  if (answer.sent !== null && answer.sent.sizeBytes !== null && job.sizeBytes === null) {
    job.sizeBytes = answer.sent.sizeBytes;
  }
  if (kind === 'create') {
    job.location = answer.location;
    job.next = job.mayExist ? 'probe' : 'patch';
    job.offsetBytes = 0;
    job.mayExist = true;
    noteProgress(draft, job);
    rememberJob(draft, job);
    return;
  }
  if (answer.link !== null) {
    complete(draft, job, answer.link, answer);
    return;
  }
  const offset = answer.offsetBytes as number;
  const size = job.sizeBytes;
  if (size !== null && offset > size) {
    removeFirst(draft, job, 'restart', 'digest_mismatch');
    return;
  }
  const moved = offset > job.offsetBytes;
  job.offsetBytes = offset;
  if (moved) noteProgress(draft, job);
  if (kind === 'patch') {
    job.brokenPatch = false;
    if (!moved || offset === size) {
      job.next = 'probe';
      // A stream's last, empty PATCH moves nothing and is in order; only a second still answer is trouble.
      if (!moved) {
        backOff(draft, job, {
          code: 'no_progress',
          detail: `the server stays at byte ${offset}`,
          status: answer.status,
          retryAfterMs: 0,
          pace: 'normal',
        });
      }
    }
    return;
  }
  if (job.brokenPatch && !moved) shrinkChunk(draft, job);
  job.brokenPatch = false;
  job.next = 'patch';
}

/** The trouble an answer tells of, in the server's words. */
function troubleOf(answer: AnswerEvent, otherwise: string): Trouble {
  return {
    code: answer.code === null ? otherwise : answer.code,
    detail: answer.detail,
    status: answer.status,
    retryAfterMs: answer.retryAfterMs === null ? 0 : answer.retryAfterMs,
    pace: 'normal',
  };
}

function refused(draft: Draft, job: Job, answer: AnswerEvent): void {
  const trouble = troubleOf(answer, 'credentials_refused');
  draft.effects.push({ type: 'credential-refused', code: trouble.code, fingerprint: answer.fingerprint });
  if (job.spec.whenRefused === 'fail') {
    failJob(draft, job, failureOf(trouble, true));
    return;
  }
  job.refusals += 1;
  trouble.pace = 'slow';
  backOff(draft, job, trouble);
  // Every other job would be refused for the same key; only lane 0 carries what can mend it.
  if (job.notBeforeMs > draft.becomes.othersHoldUntilMs) draft.becomes.othersHoldUntilMs = job.notBeforeMs;
}

function noteLimits(draft: Draft, answer: AnswerEvent): void {
  const kept = draft.becomes.limits.uploadsKeptForLane0;
  if (answer.remaining === null || answer.resetMs === null || answer.remaining >= kept) return;
  // Somebody else spends from this device's budget too: the server's count is the true one.
  const until = draft.nowMs + answer.resetMs;
  if (until > draft.becomes.othersHoldUntilMs) draft.becomes.othersHoldUntilMs = until;
}

/** Nothing this side does will mend it: wait for whoever does, or tell. */
function noWay(draft: Draft, job: Job, trouble: Trouble, patient: boolean): void {
  if (job.spec.whenRefused === 'wait') trouble.pace = 'slow';
  if (patient) backOff(draft, job, trouble);
  else failJob(draft, job, failureOf(trouble, true));
}

/** Apply the answer to the request `job` has under way. */
export function applyAnswer(draft: Draft, job: Job, answer: AnswerEvent): void {
  const kind = job.next;
  const limits = draft.becomes.limits;
  job.inFlight = null;
  draft.becomes.failures = 0;
  noteLimits(draft, answer);
  const verdict = judge(kind, answer);
  const trouble = troubleOf(answer, `http_${answer.status}`);
  const waits = job.spec.whenRefused === 'wait';
  switch (verdict) {
    case 'accepted':
      accepted(draft, job, answer);
      return;
    case 'refused':
      refused(draft, job, answer);
      return;
    case 'hold':
      if (trouble.retryAfterMs === 0) trouble.retryAfterMs = limits.retryDelayMsBase;
      job.progressAtMs = draft.nowMs;
      backOff(draft, job, trouble);
      if (job.notBeforeMs > draft.becomes.holdUntilMs) draft.becomes.holdUntilMs = job.notBeforeMs;
      return;
    case 'probe':
      job.next = 'probe';
      // The first time one look is enough; a second time something fights us, so wait.
      if (job.attempts === 0) job.attempts = 1;
      else backOff(draft, job, trouble);
      return;
    case 'gone':
      startAfresh(draft, job, 'upload_gone');
      return;
    case 'smaller':
      job.mayExist = true;
      if (kind === 'one-shot') {
        job.next = 'create';
        job.chunkBytesMax = limits.chunkBytesMin * 4;
      } else if (kind === 'create' || !shrinkChunk(draft, job)) {
        trouble.code = 'proxy_body_limit';
        trouble.detail = `something before the server refuses even ${limits.chunkBytesMin} bytes at once`;
        failJob(draft, job, failureOf(trouble, false));
      } else if (kind === 'patch') {
        job.next = 'probe';
      }
      return;
    case 'damaged':
      if (job.attempts < limits.restartsMax) backOff(draft, job, trouble);
      else failJob(draft, job, failureOf(trouble, false));
      return;
    case 'foreign':
      job.foreign += 1;
      trouble.code = 'not_fuselink';
      trouble.detail = `expected the answer of a Fuselink server, got status ${answer.status} without its form`;
      noWay(draft, job, trouble, waits || job.foreign < limits.foreignMax);
      return;
    case 'no-room':
      noWay(draft, job, trouble, waits);
      return;
    case 'final':
      failJob(draft, job, failureOf(trouble, false));
      return;
    default:
      if (kind === 'remove' && job.removals >= limits.removalsMax) removalEnded(draft, job);
      else backOff(draft, job, trouble);
  }
}

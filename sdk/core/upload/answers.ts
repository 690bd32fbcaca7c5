import type { Draft } from './draft.ts';
import {
  backOff,
  dropJob,
  failJob,
  noteProgress,
  rememberJob,
  removalEnded,
  removeFirst,
  startAfresh,
} from './draft.ts';
import type { AnswerEvent, Job, LinkAnswer } from './types.ts';
import { judge } from './verdict.ts';

/** The digest the server computed is the only proof that it holds what was meant: lengths and 201s are not. */
function complete(draft: Draft, job: Job, link: LinkAnswer, answer: AnswerEvent): void {
  const sent = answer.sent;
  const sizeBytes = sent === null ? null : sent.sizeBytes;
  const sha256 = sent === null ? null : sent.sha256;
  const sizeDiffers = sizeBytes !== null && link.sizeBytes !== null && sizeBytes !== link.sizeBytes;
  const digestDiffers = sha256 !== null && link.sha256 !== null && sha256 !== link.sha256;
  if ((sent !== null && sent.changed) || sizeDiffers || digestDiffers) {
    if (sent !== null && sent.changed && sizeBytes !== null) job.sizeBytes = sizeBytes;
    job.transferId = link.id;
    removeFirst(draft, job, 'restart', sent !== null && sent.changed ? 'source_changed' : 'digest_mismatch');
    return;
  }
  draft.effects.push({ type: 'done', job: job.spec.id, link: link, replayed: job.mayExist });
  // Forgotten last: a crash in between tells the caller of the same transfer again instead of making a second one.
  if (job.spec.durable) draft.effects.push({ type: 'forget', job: job.spec.id });
  dropJob(draft, job);
}

/** One PATCH broke and brought nothing: a proxy may be collecting whole bodies before it passes them on. */
export function shrinkChunk(draft: Draft, job: Job): boolean {
  const limits = draft.state.limits;
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

function refused(draft: Draft, job: Job, answer: AnswerEvent): void {
  const code = answer.code === null ? 'credentials_refused' : answer.code;
  draft.effects.push({ type: 'credential-refused', code: code, fingerprint: answer.fingerprint });
  if (job.spec.whenRefused === 'fail') {
    failJob(draft, job, { code: code, detail: answer.detail, status: answer.status, resumable: true });
    return;
  }
  job.refusals += 1;
  backOff(draft, job, {
    code: code,
    detail: answer.detail,
    status: answer.status,
    retryAfterMs: answer.retryAfterMs === null ? 0 : answer.retryAfterMs,
    pace: 'slow',
  });
  // Every other job would be refused for the same key; only lane 0 carries what can mend it.
  if (job.notBeforeMs > draft.state.othersHoldUntilMs) draft.state.othersHoldUntilMs = job.notBeforeMs;
}

function noteLimits(draft: Draft, answer: AnswerEvent): void {
  const kept = draft.state.limits.uploadsKeptForLane0;
  if (answer.remaining === null || answer.resetMs === null || answer.remaining >= kept) return;
  // Somebody else spends from this device's budget too: the server's count is the true one.
  const until = draft.nowMs + answer.resetMs;
  if (until > draft.state.othersHoldUntilMs) draft.state.othersHoldUntilMs = until;
}

/** Apply the answer to the request `job` has under way. */
export function applyAnswer(draft: Draft, job: Job, answer: AnswerEvent): void {
  const kind = job.next;
  const limits = draft.state.limits;
  job.inFlight = null;
  draft.state.failures = 0;
  noteLimits(draft, answer);
  const verdict = judge(kind, answer);
  const again = {
    code: answer.code === null ? `http_${answer.status}` : answer.code,
    detail: answer.detail,
    status: answer.status as number | null,
    retryAfterMs: answer.retryAfterMs === null ? 0 : answer.retryAfterMs,
    pace: 'normal' as 'normal' | 'slow',
  };
  const failure = { code: again.code, detail: again.detail, status: answer.status, resumable: false };
  switch (verdict) {
    case 'accepted':
      accepted(draft, job, answer);
      return;
    case 'refused':
      refused(draft, job, answer);
      return;
    case 'hold': {
      if (again.retryAfterMs === 0) again.retryAfterMs = limits.retryDelayMsBase;
      job.progressAtMs = draft.nowMs;
      backOff(draft, job, again);
      if (job.notBeforeMs > draft.state.holdUntilMs) draft.state.holdUntilMs = job.notBeforeMs;
      return;
    }
    case 'probe':
      job.next = 'probe';
      // The first time one look is enough; a second time something fights us, so wait.
      if (job.attempts === 0) job.attempts = 1;
      else backOff(draft, job, again);
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
        failure.code = 'proxy_body_limit';
        failure.detail = `something before the server refuses even ${limits.chunkBytesMin} bytes at once`;
        failJob(draft, job, failure);
      } else if (kind === 'patch') {
        job.next = 'probe';
      }
      return;
    case 'damaged':
      if (job.attempts < limits.restartsMax) backOff(draft, job, again);
      else failJob(draft, job, failure);
      return;
    case 'no-room':
    case 'foreign': {
      if (verdict === 'foreign') job.foreign += 1;
      const patient = job.spec.whenRefused === 'wait' || (verdict === 'foreign' && job.foreign < limits.foreignMax);
      if (verdict === 'foreign') {
        again.code = 'not_fuselink';
        again.detail = `expected the answer of a Fuselink server, got status ${answer.status} without its form`;
        failure.code = again.code;
        failure.detail = again.detail;
      }
      again.pace = job.spec.whenRefused === 'wait' ? 'slow' : 'normal';
      failure.resumable = true;
      if (patient) backOff(draft, job, again);
      else failJob(draft, job, failure);
      return;
    }
    case 'final':
      failJob(draft, job, failure);
      return;
    default:
      if (kind === 'remove' && job.removals >= limits.removalsMax) removalEnded(draft, job);
      else backOff(draft, job, again);
  }
}

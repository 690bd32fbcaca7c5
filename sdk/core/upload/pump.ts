import { budgetFreeAtMs, hitsInWindow } from './budget.ts';
import type { Draft } from './draft.ts';
import { freshKey } from './idempotency-key.ts';
import type { Job } from './types.ts';

function spends(job: Job): boolean {
  return job.next === 'one-shot' || job.next === 'create';
}

function underWay(draft: Draft): number {
  let count = 0;
  for (let i = 0; i < draft.becomes.jobs.length; i++) if ((draft.becomes.jobs[i] as Job).inFlight !== null) count++;
  return count;
}

function mayStartAtMs(draft: Draft, job: Job): number {
  let at = job.notBeforeMs;
  if (draft.becomes.holdUntilMs > at) at = draft.becomes.holdUntilMs;
  if (job.spec.lane !== 0 && draft.becomes.othersHoldUntilMs > at) at = draft.becomes.othersHoldUntilMs;
  if (spends(job)) {
    const free = budgetFreeAtMs(draft.becomes.hits, job.spec.lane, draft.nowMs, draft.becomes.limits);
    if (free > at) at = free;
  }
  return at;
}

function send(draft: Draft, job: Job): void {
  const request = draft.becomes.nextRequest;
  draft.becomes.nextRequest = request + 1;
  job.inFlight = request;
  if (spends(job)) draft.becomes.hits = draft.becomes.hits.concat([draft.nowMs]);
  if (job.next === 'remove') job.removals += 1;
  draft.effects.push({
    type: 'request',
    request: request,
    job: job.spec.id,
    kind: job.next,
    idempotencyKey: freshKey(job.spec.idempotencyKey, job.restarts),
    location: job.location,
    transferId: job.next === 'remove' ? job.transferId : null,
    offsetBytes: job.offsetBytes,
    bytesMax: job.chunkBytesMax,
    sizeBytes: job.sizeBytes,
  });
}

/** Start everything that may start now, smaller lanes first, and ask to be woken when the next thing may. */
export function pump(draft: Draft): void {
  const limits = draft.becomes.limits;
  draft.becomes.hits = hitsInWindow(draft.becomes.hits, draft.nowMs, limits);
  const down = draft.becomes.failures >= limits.outageFailures;
  const parallelMax = down ? 1 : limits.parallelMax;
  const waiting: Job[] = [];
  for (let i = 0; i < draft.becomes.jobs.length; i++) {
    const job = draft.becomes.jobs[i] as Job;
    if (job.inFlight === null) waiting.push(job);
  }
  // Order within a lane is the order of arrival; the index decides ties because not every sort is stable.
  const order: { job: Job; index: number }[] = [];
  for (let i = 0; i < waiting.length; i++) order.push({ job: waiting[i] as Job, index: i });
  order.sort((a, b) => (a.job.spec.lane === b.job.spec.lane ? a.index - b.index : a.job.spec.lane - b.job.spec.lane));
  let busy = underWay(draft);
  let wakeAtMs = -1;
  for (let i = 0; i < order.length; i++) {
    const job = (order[i] as { job: Job }).job;
    const at = mayStartAtMs(draft, job);
    const most = job.spec.lane === 0 && !down ? parallelMax + 1 : parallelMax;
    if (at > draft.nowMs) {
      if (wakeAtMs < 0 || at < wakeAtMs) wakeAtMs = at;
    } else if (busy < most) {
      send(draft, job);
      busy += 1;
    }
  }
  if (wakeAtMs >= 0) draft.effects.push({ type: 'wake', atMs: wakeAtMs });
}

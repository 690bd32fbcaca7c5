import type { AnswerEvent, RequestKind } from './types.ts';

/**
 * What an answer means for its job:
 * `accepted` in the expected form · `retry` trouble that passes · `hold` the limit is used up, everybody waits ·
 * `refused` the credential · `probe` the offset is elsewhere · `smaller` a proxy's size limit · `gone` the upload no
 * longer exists · `damaged` the bytes did not arrive as they left · `no-room` · `foreign` not a Fuselink server ·
 * `final` it will never be accepted.
 */
export type Verdict =
  | 'accepted'
  | 'retry'
  | 'hold'
  | 'refused'
  | 'probe'
  | 'smaller'
  | 'gone'
  | 'damaged'
  | 'no-room'
  | 'foreign'
  | 'final';

function judgeSuccess(kind: RequestKind, answer: AnswerEvent): Verdict {
  if (kind === 'one-shot') return answer.link === null ? 'foreign' : 'accepted';
  if (kind === 'create') return answer.location === null ? 'foreign' : 'accepted';
  if (kind === 'remove') return 'accepted';
  return answer.offsetBytes === null && answer.link === null ? 'foreign' : 'accepted';
}

function judgeRemoval(answer: AnswerEvent): Verdict {
  // 404, 409 and 410 all say that there is nothing left to remove; a refusal will not change by asking again.
  if (answer.status === 429 || answer.status >= 500) return 'retry';
  return answer.status === 401 ? 'refused' : 'accepted';
}

function judgeByCode(kind: RequestKind, code: string, tus: boolean): Verdict | null {
  switch (code) {
    case 'upload_limit_exceeded':
      return 'hold';
    case 'too_many_in_flight':
    case 'request_timeout':
    case 'storage_unavailable':
    case 'shutting_down':
    case 'internal':
    case 'conflict':
    case 'transfer_leased':
    // The first try under this key is still being stored; its answer will come under the same key.
    case 'transfer_uploading':
      return 'retry';
    case 'storage_full':
    case 'quota_exceeded':
      return 'no-room';
    case 'digest_mismatch':
      return 'damaged';
    case 'body_truncated':
      return tus ? 'probe' : 'damaged';
    case 'tus_offset_mismatch':
    case 'upload_preempted':
    case 'tus_checksum_mismatch':
      return 'probe';
    case 'upload_unknown':
    case 'upload_gone':
      return 'gone';
    case 'idempotency_gone':
      return kind === 'create' ? 'gone' : 'final';
    default:
      return null;
  }
}

/** What `answer` to a request of `kind` means. Codes decide before statuses: a proxy has statuses, but not our codes. */
export function judge(kind: RequestKind, answer: AnswerEvent): Verdict {
  const status = answer.status;
  if (status >= 200 && status < 300) return judgeSuccess(kind, answer);
  if (kind === 'remove') return judgeRemoval(answer);
  const tus = kind === 'probe' || kind === 'patch';
  if (answer.code !== null) {
    const known = judgeByCode(kind, answer.code, tus);
    if (known !== null) return known;
    // Whatever is wrong with the credential, its signature or its nonce: no 401 is about the file.
    if (status === 401) return 'refused';
    return status >= 500 || status === 429 ? 'retry' : 'final';
  }
  if (status === 413) return 'smaller';
  if (status === 429) return 'hold';
  if (status === 408 || status === 423 || status === 425 || status >= 500) return 'retry';
  // HEAD has no body, so its refusals come without a code.
  if (tus && (status === 404 || status === 410)) return 'gone';
  if (tus && (status === 409 || status === 460)) return 'probe';
  if (status === 401) return 'refused';
  return 'foreign';
}

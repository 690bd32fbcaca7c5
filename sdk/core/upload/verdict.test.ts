import { expect, test } from 'vitest';
import { ERRORS } from '../../protocol/index.ts';
import type { AnswerEvent, RequestKind } from './types.ts';
import type { Verdict } from './verdict.ts';
import { judge } from './verdict.ts';

function answer(over: Partial<AnswerEvent>): AnswerEvent {
  return {
    type: 'answer',
    request: 1,
    nowMs: 0,
    random: 0,
    status: 200,
    code: null,
    detail: '',
    fingerprint: null,
    retryAfterMs: null,
    location: null,
    offsetBytes: null,
    link: null,
    remaining: null,
    resetMs: null,
    sent: null,
    ...over,
  };
}

const link = { id: 't', url: 'http://h/get/x', state: 'ready', expiresAt: null, sizeBytes: 1, sha256: null };

const table: [RequestKind, Partial<AnswerEvent>, Verdict][] = [
  ['one-shot', { status: 201, link }, 'accepted'],
  ['one-shot', { status: 200, link: { ...link, url: null, state: 'burned' } }, 'accepted'],
  ['one-shot', { status: 200 }, 'foreign'],
  ['create', { status: 201, location: '/v1/uploads/s' }, 'accepted'],
  ['create', { status: 201 }, 'foreign'],
  ['probe', { status: 200, offsetBytes: 0 }, 'accepted'],
  ['probe', { status: 200 }, 'foreign'],
  ['patch', { status: 204, offsetBytes: 7 }, 'accepted'],
  ['patch', { status: 204, link }, 'accepted'],
  ['remove', { status: 204 }, 'accepted'],
  ['remove', { status: 404, code: 'upload_unknown' }, 'accepted'],
  ['remove', { status: 409, code: 'transfer_ended' }, 'accepted'],
  ['remove', { status: 503, code: 'shutting_down' }, 'retry'],
  ['remove', { status: 401, code: 'key_revoked' }, 'refused'],
  ['one-shot', { status: 401, code: 'key_unknown' }, 'refused'],
  ['one-shot', { status: 401, code: 'key_revoked' }, 'refused'],
  ['probe', { status: 401 }, 'refused'],
  ['one-shot', { status: 429, code: 'upload_limit_exceeded' }, 'hold'],
  ['create', { status: 429, code: 'too_many_in_flight' }, 'retry'],
  ['one-shot', { status: 429 }, 'hold'],
  ['one-shot', { status: 507, code: 'storage_full' }, 'no-room'],
  ['patch', { status: 507, code: 'quota_exceeded' }, 'no-room'],
  ['one-shot', { status: 400, code: 'digest_mismatch' }, 'damaged'],
  ['one-shot', { status: 400, code: 'body_truncated' }, 'damaged'],
  ['patch', { status: 400, code: 'body_truncated' }, 'probe'],
  ['patch', { status: 409, code: 'tus_offset_mismatch' }, 'probe'],
  ['patch', { status: 409 }, 'probe'],
  ['patch', { status: 409, code: 'upload_preempted' }, 'probe'],
  ['patch', { status: 460, code: 'tus_checksum_mismatch' }, 'probe'],
  ['probe', { status: 404 }, 'gone'],
  ['patch', { status: 410, code: 'upload_gone' }, 'gone'],
  ['create', { status: 410, code: 'idempotency_gone' }, 'gone'],
  ['one-shot', { status: 410, code: 'idempotency_gone' }, 'final'],
  ['one-shot', { status: 422, code: 'idempotency_mismatch' }, 'final'],
  ['one-shot', { status: 413, code: 'payload_too_large' }, 'final'],
  ['patch', { status: 413 }, 'smaller'],
  ['one-shot', { status: 403, code: 'role_insufficient' }, 'final'],
  ['one-shot', { status: 403 }, 'foreign'],
  ['one-shot', { status: 302 }, 'foreign'],
  ['one-shot', { status: 502 }, 'retry'],
  ['patch', { status: 423 }, 'retry'],
  ['one-shot', { status: 500, code: 'internal' }, 'retry'],
];

test.each(table)('judge: %s answered with %o → %s', (kind, over, expected) => {
  expect(judge(kind, answer(over))).toBe(expected);
});

test('judge: every code of the registry, to every kind of request → never taken for success', () => {
  const kinds: RequestKind[] = ['one-shot', 'create', 'probe', 'patch'];
  for (const [code, entry] of Object.entries(ERRORS)) {
    for (const kind of kinds) expect(judge(kind, answer({ status: entry.status, code }))).not.toBe('accepted');
  }
});

test('judge: every 401 of the registry → refused, never final', () => {
  for (const [code, entry] of Object.entries(ERRORS)) {
    if (entry.status !== 401) continue;
    expect([code, judge('one-shot', answer({ status: 401, code }))]).toEqual([code, 'refused']);
  }
});

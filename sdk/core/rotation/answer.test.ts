import { expect, test } from 'vitest';
import { type RotationAnswer, rotationEventsOf } from './answer.ts';

const plain: RotationAnswer = {
  status: 201,
  code: null,
  usedFingerprint: 'K2',
  problemFingerprint: null,
  authentic: true,
  request: 'commit',
  registeredFingerprint: null,
  tells: [],
};
const wish = { kind: 'wanted', generation: 3, base: 'K2', source: 'self', recovery: false } as const;

test.each<[string, Partial<RotationAnswer>, unknown[]]>([
  ['a committed upload', {}, [{ kind: 'accepted', fingerprint: 'K2' }]],
  ['the same, vouched for by nobody', { authentic: false, tells: [wish] }, [{ kind: 'failed' }]],
  ['another call', { request: 'other' }, []],
  ['a registration', { request: 'register', registeredFingerprint: 'K3' }, [{ kind: 'registered', fingerprint: 'K3' }]],
  ['no answer', { status: 0 }, [{ kind: 'failed' }]],
  ['429', { status: 429, code: 'upload_limit_exceeded' }, [{ kind: 'failed' }]],
  ['503', { status: 503 }, [{ kind: 'failed' }]],
  ['key_unknown', { status: 401, code: 'key_unknown' }, [{ kind: 'unknown', fingerprint: 'K2' }]],
  ['a 401 of a proxy', { status: 401, authentic: false }, [{ kind: 'unknown', fingerprint: 'K2' }]],
  ['key_not_yet_valid', { status: 401, code: 'key_not_yet_valid' }, [{ kind: 'failed' }]],
  [
    'key_revoked',
    { status: 401, code: 'key_revoked', problemFingerprint: 'K2' },
    [{ kind: 'revoked', fingerprint: 'K2' }],
  ],
  [
    'key_revoked that nobody vouches for',
    { status: 401, code: 'key_revoked', problemFingerprint: 'K2', authentic: false },
    [{ kind: 'unknown', fingerprint: 'K2' }],
  ],
  ['key_revoked naming nothing', { status: 401, code: 'key_revoked' }, [{ kind: 'unknown', fingerprint: 'K2' }]],
  [
    'key_revoked of a registered key, with a way to recover',
    {
      status: 401,
      code: 'key_revoked',
      problemFingerprint: 'K2',
      tells: [{ kind: 'recoverable', generation: 4, base: 'K2' }],
    },
    [
      { kind: 'revoked', fingerprint: 'K2' },
      { kind: 'recoverable', generation: 4, base: 'K2' },
    ],
  ],
  ['a 401 to a recovery proof', { status: 401, code: 'key_unknown', usedFingerprint: null }, [{ kind: 'failed' }]],
  [
    'everything told',
    { tells: [{ kind: 'settled', generation: 2 }, wish] },
    [{ kind: 'accepted', fingerprint: 'K2' }, { kind: 'settled', generation: 2 }, wish],
  ],
  ["what is not the server's to tell", { tells: [{ kind: 'revoked', fingerprint: 'K2' }], request: 'other' }, []],
])('answer: %s → its events, in order', (_name, change, events) => {
  expect(rotationEventsOf({ ...plain, ...change })).toEqual(events);
});

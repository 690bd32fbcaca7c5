import type { RotationEvent } from './types.ts';

/** How a request to the server ended, as far as it says something about a key. */
export interface RequestOutcome {
  /** HTTP status; 0 where no answer came (timeout, refused connection). */
  status: number;
  /** `code` of the problem body. */
  code: string | null;
  /** Fingerprint of the key the request was made with; null where only a recovery proof vouched for it. */
  usedFingerprint: string | null;
  /** Fingerprint that a `key_revoked` problem names. */
  problemFingerprint: string | null;
  /** TLS verified the server, or the answer's signature is bound to this request. */
  authentic: boolean;
  /** `commit`: an upload or status report; `register`: a registration, whose key is `registeredFingerprint`. */
  request: 'commit' | 'register' | 'other';
  registeredFingerprint: string | null;
}

/** What the agent reads in any answer of the server to this device. Absent parts are null. */
export interface RotationAnswer extends RequestOutcome {
  /** What the server tells of the rotation, as it stands in the answer: `settled`, `wanted`, `recoverable`. */
  tells: RotationEvent[];
}

/**
 * What became of a request, as the agent's event, or null where that says nothing about a key. A 401 has three meanings,
 * and only the authentic `key_revoked` that names a key is authority to drop that key. What nobody vouches for is
 * `failed`, or `unknown` for a 401.
 */
export function outcomeEvent(outcome: RequestOutcome): RotationEvent | null {
  const used = outcome.usedFingerprint;
  const registered = outcome.registeredFingerprint;
  const named = outcome.problemFingerprint;
  const status = outcome.status;
  if (outcome.authentic && status >= 200 && status < 300) {
    if (outcome.request === 'commit' && used) return { kind: 'accepted', fingerprint: used };
    return outcome.request === 'register' && registered ? { kind: 'registered', fingerprint: registered } : null;
  }
  if (outcome.authentic && outcome.code === 'key_revoked' && named) return { kind: 'revoked', fingerprint: named };
  return status === 401 && outcome.code !== 'key_not_yet_valid' && used
    ? { kind: 'unknown', fingerprint: used }
    : { kind: 'failed' };
}

const TELLABLE = ['settled', 'wanted', 'recoverable'];

/**
 * The agent's events in one answer, to be fed to `stepRotation` in this order: first what became of the request, then what
 * the server tells, where somebody vouches for it.
 */
export function rotationEventsOf(answer: RotationAnswer): RotationEvent[] {
  const outcome = outcomeEvent(answer);
  const events = outcome ? [outcome] : [];
  if (!answer.authentic) return events;
  for (let i = 0; i < answer.tells.length; i++) {
    const told = answer.tells[i] as RotationEvent;
    // Nothing else that a message may hold is the server's to say in this way.
    if (TELLABLE.indexOf(told.kind) >= 0) events.push(told);
  }
  return events;
}

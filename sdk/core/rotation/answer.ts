import type { RotationEvent } from './types.ts';

/** What the agent reads in any answer of the server to this device. Absent parts are null. */
export interface RotationAnswer {
  /** HTTP status; 0 where none came (timeout, refused connection). */
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
  /** What the server tells of the rotation, as it stands in the answer: `settled`, `wanted`, `recoverable`. */
  tells: RotationEvent[];
}

const TELLABLE = ['settled', 'wanted', 'recoverable'];

function unknown(answer: RotationAnswer): RotationEvent {
  if (answer.usedFingerprint === null) return { kind: 'failed' };
  return { kind: 'unknown', fingerprint: answer.usedFingerprint };
}

/** A 401 has three meanings, and only the authentic `key_revoked` that names a key is authority to drop that key. */
function refusal(answer: RotationAnswer): RotationEvent {
  if (answer.code === 'key_revoked' && answer.authentic && answer.problemFingerprint !== null) {
    return { kind: 'revoked', fingerprint: answer.problemFingerprint };
  }
  if (answer.status === 401 && answer.code !== 'key_not_yet_valid') return unknown(answer);
  return { kind: 'failed' };
}

/**
 * The agent's events in one answer, to be fed to `stepRotation` in this order: first what became of the request, then what
 * the server tells. What nobody vouches for says nothing about keys: it is `failed`, or `unknown` for a 401.
 */
export function rotationEventsOf(answer: RotationAnswer): RotationEvent[] {
  const events: RotationEvent[] = [];
  const good = answer.status >= 200 && answer.status < 300;
  if (!good) events.push(refusal(answer));
  else if (!answer.authentic) events.push({ kind: 'failed' });
  else if (answer.request === 'commit' && answer.usedFingerprint !== null) {
    events.push({ kind: 'accepted', fingerprint: answer.usedFingerprint });
  } else if (answer.request === 'register' && answer.registeredFingerprint !== null) {
    events.push({ kind: 'registered', fingerprint: answer.registeredFingerprint });
  }
  if (!answer.authentic) return events;
  for (let i = 0; i < answer.tells.length; i++) {
    const told = answer.tells[i] as RotationEvent;
    // Nothing else that a message may hold is the server's to say in this way.
    if (TELLABLE.indexOf(told.kind) >= 0) events.push(told);
  }
  return events;
}

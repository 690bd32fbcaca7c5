import type { HttpAnswer, HttpRequest, Transport } from '../http/transport.ts';
import type { Rotator } from './rotator.ts';

/** Stands for "whichever key is the right one at that moment" in a request's Authorization. It is never sent. */
export const ROTATING = 'fuselink-rotating-key';

function isUpload({ method, url }: HttpRequest): boolean {
  return (method === 'POST' || method === 'PUT') && /\/v1\/upload(\/|$)/.test(url.pathname);
}

/**
 * A new upload that was stored is the proof of its key. A repeat of an earlier one, or the end of a resumable one (whose
 * answer may be about an earlier request), proves nothing here; a status report does it then.
 */
function kindOf(request: HttpRequest, answer: HttpAnswer): 'commit' | 'other' {
  const stored = answer.status === 201 && answer.headers['idempotency-replayed'] !== 'true';
  return stored && isUpload(request) ? 'commit' : 'other';
}

/**
 * The transport with the device's present key in every request that asks for it, and the agent hearing every answer. A
 * 401 that only makes the agent take its other key is tried again with that, once, where the body can be sent again.
 */
export function rotatingTransport(transport: Transport, rotator: Rotator): Transport {
  const keyed = (request: HttpRequest) => {
    const used = rotator.nextKey();
    return { used, request: { ...request, headers: { ...request.headers, ...used.headers } } };
  };
  const exchange = async (request: HttpRequest, mayRepeat: boolean): Promise<HttpAnswer> => {
    if (request.headers['Authorization'] !== ROTATING) return transport.exchange(request);
    const sent = keyed(request);
    let answer: HttpAnswer;
    try {
      answer = await transport.exchange(sent.request);
    } catch (error) {
      rotator.heard(sent.used.fingerprint, null, 'other');
      throw error;
    }
    rotator.heard(sent.used.fingerprint, answer, kindOf(request, answer));
    const again = answer.status === 401 && mayRepeat && typeof request.body !== 'function';
    if (again && otherKey(rotator, sent.used.fingerprint)) return exchange(request, false);
    return answer;
  };
  return {
    exchange: (request) => exchange(request, true),
    open: (request) => transport.open(request.headers['Authorization'] === ROTATING ? keyed(request).request : request),
    close: () => transport.close(),
  };
}

function otherKey(rotator: Rotator, used: string): boolean {
  try {
    return rotator.nextKey().fingerprint !== used;
  } catch {
    return false;
  }
}

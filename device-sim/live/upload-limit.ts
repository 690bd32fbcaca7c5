import type { RelayAnswer, RelayRequest } from '#server';
import type { LiveChecks } from './checks.ts';
import { each } from './each.ts';
import type { Wire } from './wire.ts';

/** Windows of more uploads than this are a test server's: to fill one would be a load of its own. */
const QUOTA_MAX = 240;
const AT_ONCE = 8;
const OVER = 5;

interface Window {
  quota: number;
  ms: number;
}

/** The limit that an answer announces, or null. */
export function announcedWindow(answer: RelayAnswer): Window | null {
  const found = /"uploads";q=(\d+);w=(\d+)/.exec(answer.headers['ratelimit-policy'] ?? '');
  return found === null ? null : { quota: Number(found[1]), ms: Number(found[2]) * 1000 };
}

/** Times of one device's uploads, the newest last. */
interface Times {
  /** When those that were accepted had been sent. */
  accepted: number[];
  /** When those that may have been accepted were sent: accepted, or without an answer. */
  counted: number[];
}

/** A device gets exactly its uploads a minute, as far as times of sending and answering can tell. */
export class UploadLimit {
  readonly #checks: LiveChecks;
  readonly #times = new Map<number, Times>();

  constructor(checks: LiveChecks) {
    this.#checks = checks;
  }

  /** An upload of a device ended: sent at `sentMs`, answered (or given up; `answer` null) at `endedMs`. */
  ended(device: number, answer: RelayAnswer | null, when: { sentMs: number; endedMs: number }): void {
    const times = this.#times.get(device) ?? { accepted: [], counted: [] };
    this.#times.set(device, times);
    const window = answer === null ? null : announcedWindow(answer);
    const fresh = answer?.status === 201 && answer.headers['idempotency-replayed'] !== 'true';
    if (answer === null || answer.status === 201) times.counted.push(when.sentMs);
    if (fresh) times.accepted.push(when.sentMs);
    if (window === null || window.quota > QUOTA_MAX) return;
    this.#checks.checked('upload-limit');
    const { quota, ms } = window;
    // All of them were sent and answered within one window, and so were accepted within it.
    const first = times.accepted[times.accepted.length - 1 - quota];
    if (fresh && first !== undefined && when.endedMs - first < ms) {
      this.#checks.broken('upload-limit', device, `more than ${quota} uploads were accepted within ${ms / 1000} s`);
    }
    if (answer?.status === 429 && answer.json?.['code'] === 'upload_limit_exceeded') {
      const inWindow = times.counted.filter((sentMs) => sentMs > when.sentMs - ms - 30_000).length;
      if (inWindow < quota) {
        this.#checks.broken('upload-limit', device, `an upload was refused after ${inWindow} of ${quota}`);
      }
    }
    if (times.accepted.length > 4 * quota) times.accepted.splice(0, 2 * quota);
    if (times.counted.length > 4 * quota) times.counted.splice(0, 2 * quota);
  }
}

/** A device that sends more than it may, as fast as it can: exactly its limit is accepted, and the rest is told when to come again. */
export async function probeLimit(what: { wire: Wire; checks: LiveChecks; key: string; device: number }): Promise<void> {
  const { wire, checks, key, device } = what;
  const upload = (n: number): RelayRequest => ({
    method: 'POST',
    path: '/v1/upload',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'text/plain',
      'x-filename': `limit-${n}.txt`,
      'x-ttl': '60',
      'x-receipt-ttl': '60',
    },
    body: new Uint8Array(Buffer.from(`probe ${n}`)),
  });
  const began = performance.now();
  const first = await wire.ask(upload(0));
  const window = first === null ? null : announcedWindow(first);
  if (first?.status !== 201 || window === null) {
    checks.skip('upload-limit', 'the first upload of the probe was not accepted, or announces no limit');
    return;
  }
  if (window.quota > QUOTA_MAX) {
    checks.skip('upload-limit', `the server allows ${window.quota} a minute: too many to fill`);
    return;
  }
  let accepted = 1;
  let unanswered = 0;
  const numbers = Array.from({ length: window.quota - 1 + OVER }, (_, n) => n + 1);
  await each(numbers, AT_ONCE, async (n) => {
    const answer = await wire.ask(upload(n));
    if (answer === null) unanswered++;
    else if (answer.status === 201) accepted++;
    else if (answer.status === 429 && !(Number(answer.headers['retry-after']) >= 1)) {
      checks.broken('upload-limit', device, 'a refused upload was not told when to come again');
    }
  });
  if (performance.now() - began > window.ms * 0.9 || unanswered > 0) {
    checks.skip('upload-limit', 'the server is too busy to fill the limit of a device within its window');
    return;
  }
  if (accepted === window.quota) checks.checked('upload-limit');
  else checks.broken('upload-limit', device, `${accepted} of ${window.quota} uploads were accepted within a window`);
}

import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { type SendOutcome, WEBHOOK_TIMEOUT_MS, type WebhookSender } from '../../ports/webhook-sender.ts';
import { isPublicAddress } from './addresses.ts';

/** Names that never lead out of this machine or its network [RFC 6761, RFC 6762, RFC 8375]. */
const LOCAL_NAMES = /(^|\.)(localhost|local|internal|home\.arpa|lan)\.?$/i;
/** An answer is not read beyond this: its status is all that counts. */
const ANSWER_BYTES_MAX = 65_536;

export interface SenderOptions {
  /** Plain HTTP and private addresses are fine: a receiver in the operator's own network, or a test. */
  allowPrivate: boolean;
  /** Instead of the system's resolver. */
  lookup?: typeof systemLookup;
  timeoutMs?: number;
}

class RefusedAddress extends Error {}

/**
 * Posts to addresses that strangers chose. The name is resolved once, every address it has must be public, and the connection goes to just
 * what was checked: a name that is resolved anew for the connection could lead elsewhere by then. Redirects are answers, not orders.
 */
export function createWebhookSender(options: SenderOptions): WebhookSender {
  const { allowPrivate, lookup = systemLookup, timeoutMs = WEBHOOK_TIMEOUT_MS } = options;
  const closing = new AbortController();

  const pinned: LookupFunction = (hostname, asked, done) => {
    lookup(hostname, { ...asked, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return done(error, '', 0);
      const wrong = allowPrivate ? undefined : addresses.find(({ address }) => !isPublicAddress(address));
      const [first] = addresses;
      if (wrong !== undefined || first === undefined)
        return done(new RefusedAddress('its name leads to a private address'), '', 0);
      if (asked.all === true) return (done as (error: null, all: LookupAddress[]) => void)(null, addresses);
      return done(null, first.address, first.family);
    });
  };

  function refusal(text: string): string | null {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url === null || !/^https?:$/.test(url.protocol)) return 'expected an https:// address';
    if (url.protocol === 'http:' && !allowPrivate) return 'expected an https:// address, got http://';
    if (url.username !== '' || url.password !== '') return 'expected an address without a name and password in it';
    if (url.hash !== '') return 'expected an address without a fragment';
    if (allowPrivate) return null;
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const isPrivate = isIP(host) === 0 ? LOCAL_NAMES.test(host) || !host.includes('.') : !isPublicAddress(host);
    return isPrivate ? 'expected an address on the public internet, got a private one' : null;
  }

  return {
    refusal,
    async post({ url, headers, body }): Promise<SendOutcome> {
      // Settings may be stricter now than when the webhook was added; and an address given as numbers is never looked up.
      const refused = refusal(url);
      if (refused !== null) return { kind: 'refused', why: refused };
      try {
        return await post(new URL(url), headers, body);
      } catch (error) {
        if (error instanceof RefusedAddress) return { kind: 'refused', why: error.message };
        return { kind: 'unreachable', why: whyOf(error) };
      }
    },
    close: () => closing.abort(),
  };

  function post(url: URL, headers: Record<string, string>, body: string): Promise<SendOutcome> {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(timeoutMs)]);
    const request = url.protocol === 'https:' ? secureRequest : plainRequest;
    return new Promise((resolve, reject) => {
      const req = request(url, {
        method: 'POST',
        agent: false,
        signal,
        lookup: pinned,
        headers: {
          ...headers,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          'user-agent': 'Fuselink-Webhooks',
        },
      });
      req.on('error', reject);
      req.on('response', (res) => {
        const after = Number(res.headers['retry-after']);
        const answer: SendOutcome = {
          kind: 'answered',
          status: res.statusCode ?? 0,
          retryAfterSeconds: Number.isSafeInteger(after) && after > 0 ? after : null,
        };
        let bytes = 0;
        res.on('data', (piece: Buffer) => {
          bytes += piece.length;
          if (bytes > ANSWER_BYTES_MAX) res.destroy();
        });
        // The status has been said: how the rest of the answer goes changes nothing.
        res.on('close', () => resolve(answer));
        res.on('error', () => resolve(answer));
      });
      req.end(body);
    });
  }
}

/** What went wrong, by a name from a short list: messages of the network may have addresses in them. */
function whyOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  if (code === 'ABORT_ERR' || name === 'AbortError' || name === 'TimeoutError') return 'no answer in time';
  return typeof code === 'string' && /^[A-Z_0-9]{3,60}$/.test(code) ? code : 'connection failed';
}

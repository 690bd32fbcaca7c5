import type { ClaimAnswer } from '#sdk/protocol';
import { HEADER_CLAIM } from '#sdk/protocol';
import { FuselinkError, optionInvalid } from '../errors.ts';
import type { HttpAnswer, HttpStream, Transport } from '../http/transport.ts';
import { jsonObject, problemOf, retryAfterMs, wholeNumber } from '../send/answer.ts';

/** A link taken apart. Throws `option_invalid` that does not repeat it: it is a secret. */
export function parseLink(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw optionInvalid('the link is expected as http(s)://host/get/…');
  }
  const fits = (url.protocol === 'http:' || url.protocol === 'https:') && /\/get\/[^/]+\/?$/.test(url.pathname);
  if (!fits) throw optionInvalid(`the link is expected as http(s)://${url.host || 'host'}/get/…`);
  url.hash = '';
  url.search = '';
  url.pathname = url.pathname.replace(/\/$/, '');
  return url;
}

/** The fragment of a link (without `#`), or null. */
export function fragmentOf(link: string): string | null {
  const at = link.indexOf('#');
  return at === -1 || at === link.length - 1 ? null : link.slice(at + 1);
}

function below(link: URL, verb: string): URL {
  const url = new URL(link);
  url.pathname = `${link.pathname}/${verb}`;
  return url;
}

/** A refusal in the form all of the SDK throws. */
export function refusalError(answer: HttpAnswer): FuselinkError {
  const { code, detail, fingerprint } = problemOf(answer);
  const wait = retryAfterMs(answer.headers);
  const seconds = wait === null ? null : Math.ceil(wait / 1000);
  const facts = { status: answer.status, retryAfterSeconds: seconds, fingerprint, resumable: answer.status >= 500 };
  if (code !== null) return new FuselinkError(code, detail, facts);
  if (answer.status >= 500 || answer.status === 429)
    return new FuselinkError('unreachable', detail, { ...facts, resumable: true });
  const got = `got status ${answer.status} without its form`;
  return new FuselinkError('not_fuselink', `expected the answer of a Fuselink server, ${got}`, facts);
}

/** What the server says of the file, with the claim that lets one reader have it. */
export async function claimLink(
  transport: Transport,
  link: URL,
  signal: AbortSignal | undefined,
): Promise<ClaimAnswer> {
  const answer = await transport.exchange({ method: 'POST', url: below(link, 'claim'), headers: {}, signal });
  if (answer.status < 200 || answer.status > 299) throw refusalError(answer);
  const body = jsonObject(answer.body) as Partial<ClaimAnswer> | null;
  const sound =
    body !== null &&
    typeof body.claim === 'string' &&
    typeof body.filename === 'string' &&
    typeof body.sha256 === 'string' &&
    /^[0-9a-f]{64}$/i.test(body.sha256) &&
    Number.isSafeInteger(body.size) &&
    (body.size as number) >= 0;
  if (!sound)
    throw new FuselinkError('not_fuselink', 'expected a claim with name, size and digest, got something else');
  return body as ClaimAnswer;
}

export interface Content {
  /** Byte of the file the stream begins at: 0 when the server sends the whole again. */
  from: number;
  stream: HttpStream;
}

/** The bytes from `from` on, under `claim`. */
export async function openContent(
  transport: Transport,
  link: URL,
  wanted: { claim: string; from: number; etag: string | null; signal: AbortSignal | undefined },
): Promise<Content> {
  const headers: Record<string, string> = { [HEADER_CLAIM]: wanted.claim, 'Accept-Encoding': 'identity' };
  if (wanted.from > 0) headers['Range'] = `bytes=${wanted.from}-`;
  if (wanted.from > 0 && wanted.etag !== null) headers['If-Range'] = wanted.etag;
  const stream = await transport.open({ method: 'GET', url: below(link, 'content'), headers, signal: wanted.signal });
  if (stream.status === 200) return { from: 0, stream };
  if (stream.status === 206) {
    const from = wholeNumber(/^bytes (\d+)-/.exec(stream.headers['content-range'] ?? '')?.[1] ?? null);
    if (from === wanted.from) return { from, stream };
    stream.discard();
    throw new FuselinkError('not_fuselink', `expected bytes from ${wanted.from} on, got another range`);
  }
  throw refusalError({ status: stream.status, headers: stream.headers, body: await stream.text() });
}

/** Tell the server what arrived. Resolves once the file is burned; a repeat of an acknowledged read is in order. */
export async function acknowledge(
  transport: Transport,
  link: URL,
  what: { claim: string; sha256: string; signal: AbortSignal | undefined },
): Promise<void> {
  const body = Buffer.from(JSON.stringify({ sha256: what.sha256 }));
  const headers = { [HEADER_CLAIM]: what.claim, 'Content-Type': 'application/json' };
  const answer = await transport.exchange({
    method: 'POST',
    url: below(link, 'ack'),
    headers,
    body,
    signal: what.signal,
  });
  if (answer.status >= 200 && answer.status < 300) return;
  const error = refusalError(answer);
  // The answer to an earlier acknowledgement was lost: it has been burned, by us.
  if (error.code === 'link_burned') return;
  throw error;
}

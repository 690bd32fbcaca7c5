import type { IncomingMessage } from 'node:http';
import { FuselinkError } from '../usecases/error.ts';
import { oneHeader } from './body/header-text.ts';

/** `__Host-` makes browsers insist on Secure, Path=/ and no Domain: no neighbouring host can plant one. */
const SECURE_NAME = '__Host-fuselink';
const PLAIN_NAME = 'fuselink_session';

function nameFor(publicUrl: string): string {
  return publicUrl.startsWith('https:') ? SECURE_NAME : PLAIN_NAME;
}

/** Value of the session cookie; undefined where there is none. */
export function sessionCookieOf(req: IncomingMessage, publicUrl: string): string | undefined {
  const name = nameFor(publicUrl);
  for (const pair of (req.headers.cookie ?? '').split(';')) {
    const at = pair.indexOf('=');
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}

/** `Set-Cookie` of a session; with `seconds` 0 the one that takes it away. */
export function sessionCookie(value: string, options: { publicUrl: string; seconds: number }): string {
  const secure = options.publicUrl.startsWith('https:') ? '; Secure' : '';
  return `${nameFor(options.publicUrl)}=${value}; Path=/; Max-Age=${options.seconds}; HttpOnly; SameSite=Strict${secure}`;
}

/**
 * Throws `cross_site_request` for what a page of another site made a browser send. SameSite=Strict keeps the cookie
 * from such requests already; this holds where a browser does not know it, and against a neighbouring subdomain.
 */
export function refuseCrossSite(req: IncomingMessage, publicUrl: string): void {
  const site = oneHeader(req.headers['sec-fetch-site']);
  const origin = oneHeader(req.headers.origin);
  const own = new URL(publicUrl).host;
  const fromHere =
    (site === undefined || site === 'same-origin' || site === 'none') &&
    (origin === undefined || (URL.canParse(origin) && new URL(origin).host === own));
  if (fromHere) return;
  throw new FuselinkError(
    'cross_site_request',
    'Expected a request from a page of this server, got one that another site made the browser send.',
  );
}

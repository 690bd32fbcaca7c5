import { setTimeout as delay } from 'node:timers/promises';
import { Secret, TOTP, URI } from 'otpauth';
import type { RelayRequest } from '#server';
import type { LiveAnswer, Wire } from './wire.ts';

/** What the run manages devices with. Never shown. */
export interface Credentials {
  /** An account's API key, or a JWT. */
  key: string;
  /** Where an API key alone may not manage: who signs in with it, and the authenticator's secret or otpauth URI. */
  signIn: { email: string; totp: string } | null;
}

/** The server cannot be reached, or does not let this account do what a run needs: exit 3. */
export class NotServed extends Error {
  override name = 'NotServed';
}

const TRIES_MAX = 4;
const WAIT_MS_MAX = 20_000;
/** A sign-in is renewed when so little of it is left. */
const RENEW_BEFORE_MS = 5 * 60_000;
const TOTP_STEP_MS = 30_000;

/** The account's own side of the API: what operators do. */
export class Management {
  readonly #wire: Wire;
  readonly #credentials: Credentials;
  #token: string;
  #expiresAtMs = Number.POSITIVE_INFINITY;
  #renewing: Promise<void> | null = null;
  accountId = '';

  private constructor(wire: Wire, credentials: Credentials) {
    this.#wire = wire;
    this.#credentials = credentials;
    this.#token = credentials.key;
  }

  /** Throws NotServed where the server does not answer, or does not let this account manage devices. */
  static async open(
    wire: Wire,
    credentials: Credentials,
    how: { totpTries: number } = { totpTries: 2 },
  ): Promise<Management> {
    const management = new Management(wire, credentials);
    if (credentials.signIn !== null) await management.#signIn(how.totpTries);
    // Asked once: whoever waits for a server to come up has its own way to do so.
    const headers = { authorization: `Bearer ${management.#token}` };
    const who = await wire.ask({ method: 'GET', path: '/v1/auth/session', headers, body: null });
    if (who === null) throw new NotServed(`the server does not answer: ${wire.lastFault}`);
    if (who.status !== 200) throw new NotServed(`expected 200 from /v1/auth/session, got ${said(who)}`);
    if (who.json?.['may_manage'] !== true) {
      throw new NotServed(
        'this key alone opens no management: give --email and --totp-file as well, or let API keys of this account manage (keys_may_manage)',
      );
    }
    management.accountId = String(who.json['account_id']);
    return management;
  }

  /** One order, tried again where the server is busy, and where doing it twice does no harm. Null: no answer. */
  async order(method: RelayRequest['method'], path: string, json: object | null): Promise<LiveAnswer | null> {
    const body = json === null ? null : new Uint8Array(Buffer.from(JSON.stringify(json)));
    for (let tries = 1; ; tries++) {
      await this.#renewed();
      const headers: Record<string, string> = { authorization: `Bearer ${this.#token}` };
      if (body !== null) headers['content-type'] = 'application/json';
      const answer = await this.#wire.ask({ method, path, headers, body });
      const waitMs = tries >= TRIES_MAX ? null : againAfterMs(answer, method, tries);
      if (waitMs === null) return answer;
      await delay(waitMs);
    }
  }

  /** Every item of a list that comes in pages, until `enough` says so of the last one. */
  async all(path: string, name: string, enough: (items: Item[]) => boolean = () => false): Promise<Item[]> {
    const items: Item[] = [];
    let cursor = '';
    do {
      const joint = path.includes('?') ? '&' : '?';
      const next = `${path}${joint}limit=100${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
      const answer = await this.order('GET', next, null);
      if (answer?.status !== 200) throw new NotServed(`expected a page of ${name}, got ${said(answer)}`);
      items.push(...((answer.json?.[name] ?? []) as Item[]));
      cursor = String(answer.json?.['next_cursor'] ?? '');
    } while (cursor !== '' && !enough(items));
    return items;
  }

  /** Ends the sign-in, where there was one. */
  async close(): Promise<void> {
    if (this.#credentials.signIn !== null) await this.order('POST', '/v1/auth/logout', null);
  }

  async #renewed(): Promise<void> {
    if (Date.now() < this.#expiresAtMs - RENEW_BEFORE_MS) return;
    this.#renewing ??= this.#signIn().finally(() => {
      this.#renewing = null;
    });
    await this.#renewing;
  }

  async #signIn(tries = 2): Promise<void> {
    const { key, signIn } = this.#credentials;
    if (signIn === null) return;
    const totp = totpOf(signIn.totp);
    const body = () =>
      new Uint8Array(Buffer.from(JSON.stringify({ email: signIn.email, api_key: key, totp: totp.generate() })));
    const path = '/v1/auth/login';
    const headers = { 'content-type': 'application/json' };
    let answer = await this.#wire.ask({ method: 'POST', path, headers, body: body() });
    for (let left = tries - 1; left > 0 && answer?.status === 401; left--) {
      // A code works once: somebody else (another job of the same account) may have used this one.
      await delay(TOTP_STEP_MS - (Date.now() % TOTP_STEP_MS) + 500);
      answer = await this.#wire.ask({ method: 'POST', path, headers, body: body() });
    }
    if (answer === null) throw new NotServed(`the server does not answer: ${this.#wire.lastFault}`);
    const token = answer.json?.['token'];
    if (answer.status !== 200 || typeof token !== 'string') throw new NotServed(`the sign-in failed: ${said(answer)}`);
    this.#token = token;
    this.#expiresAtMs = Date.parse(String(answer.json?.['expires_at']));
  }
}

export type Item = Record<string, unknown>;

/** The authenticator behind an otpauth URI or its secret in base 32. Throws RangeError without showing it. */
export function totpOf(text: string): { generate(): string } {
  try {
    const found = text.startsWith('otpauth://') ? URI.parse(text) : new TOTP({ secret: Secret.fromBase32(text) });
    if (found instanceof TOTP) return found;
  } catch {
    // What the library says may hold the secret.
  }
  throw new RangeError('expected an otpauth://totp/… URI or a secret in base 32 in the authenticator’s file');
}

function againAfterMs(answer: LiveAnswer | null, method: RelayRequest['method'], tries: number): number | null {
  if (answer === null) return method === 'POST' ? null : 500 * tries;
  if (answer.status !== 429 && answer.status !== 503) return null;
  const seconds = Number(answer.headers['retry-after'] ?? tries);
  return Math.min(WAIT_MS_MAX, Math.max(0.2, seconds) * 1000);
}

/** An answer in words, without anything of its body but code and detail of a problem. */
export function said(answer: LiveAnswer | null): string {
  if (answer === null) return 'no answer';
  const { code, detail } = answer.json ?? {};
  return [answer.status, code, detail].filter((word) => word !== undefined && word !== null).join(' ');
}

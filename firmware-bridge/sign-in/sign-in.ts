import { createHash } from 'node:crypto';
import { parseApiKey } from '#sdk/core';
import { type Relay, RelayUnavailable } from '../relay/relay.ts';
import type { KeyCache } from './key-cache.ts';

/** CONNACK return codes of a refusal [MQTT-3.2.2.3]. They say `key_unknown` and no more; 3 says "not now". */
export const REFUSAL = { unavailable: 3, malformed: 4, notAuthorized: 5 } as const;

export type SignInVerdict =
  | { ok: true; device: string; keySha256: string }
  | { ok: false; returnCode: 3 | 4 | 5; reason: string };

export interface SignInOptions {
  relay: Relay;
  cache: KeyCache;
  /** How long a device's CONNECT waits for the server. */
  timeoutMs?: number;
  /** Questions to the server at once: a thousand devices may come back in the same second. */
  parallelMax?: number;
  /** After the server could not be reached, known devices are let in without asking for so long. */
  awayMs?: number;
  nowMs?: () => number;
  warn(detail: string): void;
  /** Devices whose keys are held here sign in with a password of their own; null: it is none of them. */
  held?(device: string, password: Uint8Array | undefined): boolean | null;
  /** A key that was remembered is valid no longer: whoever is signed in with it must go. */
  revoked(device: string, keySha256: string): void;
}

/** Stands for the key in sessions of devices whose key is held here: the session vouches for nothing. */
const HELD = '';
/** Keys asked about in one request when what is remembered is checked. */
const REVIEW_BATCH = 100;
/** Questions that may wait for their turn; the rest is told to come again. */
const WAITING_MAX = 2000;

/**
 * Who may sign in. The server is asked, unless it is away: then a key it once called valid goes on working, and an
 * unknown one is told "unavailable", because nobody can say that it is wrong.
 */
export class SignIn {
  readonly #options: SignInOptions;
  readonly #nowMs: () => number;
  #awayUntilMs = Number.NEGATIVE_INFINITY;
  #asking = 0;
  readonly #waiting: (() => void)[] = [];
  #reviewing: Promise<void> | null = null;

  constructor(options: SignInOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** Whether the server could not be reached when it was last asked. */
  get away(): boolean {
    return this.#nowMs() < this.#awayUntilMs;
  }

  async check(device: string, password: Uint8Array | undefined): Promise<SignInVerdict> {
    const held = this.#options.held?.(device, password) ?? null;
    if (held === true) return { ok: true, device, keySha256: HELD };
    if (held === false) return { ok: false, returnCode: REFUSAL.notAuthorized, reason: 'its password is another' };
    const key = password === undefined ? null : parseApiKey(Buffer.from(password).toString('latin1'));
    if (key === null) return { ok: false, returnCode: REFUSAL.malformed, reason: 'the password is not an API key' };
    const keySha256 = createHash('sha256').update(key.bytes()).digest('hex');
    const known = this.#options.cache.find(device, keySha256) !== null;
    if (known && this.away) return { ok: true, device, keySha256 };
    if (this.#waiting.length >= WAITING_MAX) return unavailable('too many sign-ins at once');
    try {
      return await this.#ask(device, keySha256);
    } catch (error) {
      this.#serverAway(error);
      // The cache is looked at again: the key may have been forgotten meanwhile.
      if (this.#options.cache.find(device, keySha256) !== null) return { ok: true, device, keySha256 };
      return unavailable('the server cannot be asked now');
    }
  }

  /** Asks about everything that is remembered, and forgets what holds no longer. One at a time; never rejects. */
  review(): Promise<void> {
    this.#reviewing ??= this.#reviewAll().finally(() => {
      this.#reviewing = null;
    });
    return this.#reviewing;
  }

  /** The server said that keys of a device are revoked: they are forgotten, and who is signed in with them goes. */
  async revokedKeys(device: string, fingerprints: readonly string[]): Promise<void> {
    for (const key of this.#options.cache.all()) {
      if (key.device === device && fingerprints.includes(key.fingerprint)) await this.#forget(device, key.keySha256);
    }
  }

  async #reviewAll(): Promise<void> {
    const keys = this.#options.cache.all();
    for (let at = 0; at < keys.length; at += REVIEW_BATCH) {
      const asked = keys.slice(at, at + REVIEW_BATCH);
      try {
        const timeoutMs = this.#options.timeoutMs ?? 5000;
        const replies = await this.#options.relay.signIns(asked, { used: false, timeoutMs });
        this.#awayUntilMs = Number.NEGATIVE_INFINITY;
        for (const [i, reply] of replies.entries()) {
          if (reply.state !== 'valid') await this.#forget(reply.device, asked[i]?.keySha256 ?? '');
        }
      } catch (error) {
        this.#serverAway(error);
        return;
      }
    }
  }

  async #ask(device: string, keySha256: string): Promise<SignInVerdict> {
    const { relay, cache, timeoutMs, parallelMax } = this.#options;
    if (this.#asking >= (parallelMax ?? 16)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#asking += 1;
    try {
      const [reply] = await relay.signIns([{ device, keySha256 }], { used: true, timeoutMs: timeoutMs ?? 5000 });
      this.#awayUntilMs = Number.NEGATIVE_INFINITY;
      if (reply?.state === 'valid') {
        const fingerprint = reply.fingerprint ?? '';
        await cache.remember({ device, keySha256, fingerprint, checkedAtMs: Date.now() });
        return { ok: true, device, keySha256 };
      }
      if (cache.find(device, keySha256) !== null) await this.#forget(device, keySha256);
      return { ok: false, returnCode: REFUSAL.notAuthorized, reason: `the key is ${reply?.state ?? 'unknown'}` };
    } finally {
      // The place goes to whoever waits longest.
      const next = this.#waiting.shift();
      if (next === undefined) this.#asking -= 1;
      else next();
    }
  }

  async #forget(device: string, keySha256: string): Promise<void> {
    const gone = this.#options.cache.forget(device, keySha256);
    this.#options.revoked(device, keySha256);
    await gone;
  }

  #serverAway(error: unknown): void {
    if (!(error instanceof RelayUnavailable)) throw error;
    const was = this.away;
    this.#awayUntilMs = this.#nowMs() + (this.#options.awayMs ?? 10_000);
    if (!was) this.#options.warn(`sign-ins cannot be checked with the server: ${error.message}`);
  }
}

function unavailable(reason: string): SignInVerdict {
  return { ok: false, returnCode: REFUSAL.unavailable, reason };
}

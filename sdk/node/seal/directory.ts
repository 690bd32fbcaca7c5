import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fullJitterMs } from '#sdk/core';
import type { KeyOnFile, RecipientAnswer, SigningKeyAnswer } from '#sdk/protocol';
import { FuselinkError } from '../errors.ts';
import type { Transport } from '../http/transport.ts';
import { refusalError } from '../receive/link.ts';
import { jsonObject } from '../send/answer.ts';
import { apiUrl } from '../send/request.ts';
import type { SealLibrary } from './library.ts';
import { sealError } from './library.ts';
import type { PinStore } from './pins.ts';

const BACK_OFF = { msMin: 100, msBase: 500, msMax: 30_000 };
const UNREACHABLE = ['unreachable', 'connection_lost', 'silent'];

export interface DirectoryOptions {
  seal: SealLibrary;
  base: URL;
  transport: Transport;
  authorization(): Promise<string>;
  /** null: this device keeps nothing, and every lookup is told so by `warn`. */
  pins: PinStore | null;
  warn(code: string, detail: string): void;
}

export interface LookUp {
  /** A key other than the pinned one, or one the server flags as changed, is taken and pinned. */
  acceptNewKey: boolean;
  signal: AbortSignal | undefined;
  /** How long a server that cannot be reached is waited for; null: for ever. */
  giveUpAfterMs: number | null;
}

type PublicKey = ReturnType<SealLibrary['decodePublicKey']>;

/** Public keys of recipients and of signing devices: from the account's directory, pinned on this device. */
export interface Directory {
  recipient(email: string, how: LookUp): Promise<PublicKey>;
  signer(device: string, how: LookUp): Promise<PublicKey>;
}

export function createDirectory(options: DirectoryOptions): Directory {
  const { seal, base, transport, pins, warn } = options;

  async function get(path: string, how: LookUp): Promise<Record<string, unknown>> {
    let waitedMs = 0;
    for (let attempts = 0; ; attempts++) {
      try {
        const headers = { Authorization: await options.authorization() };
        const answer = await transport.exchange({
          method: 'GET',
          url: queryUrl(base, path),
          headers,
          signal: how.signal,
        });
        if (answer.status !== 200) throw refusalError(answer);
        const body = jsonObject(answer.body);
        if (body === null) throw new FuselinkError('not_fuselink', 'expected a directory, got something else');
        return body;
      } catch (error) {
        if (!(error instanceof FuselinkError) || !passes(error)) throw error;
        const jitter = fullJitterMs(attempts, randomInt(2 ** 32) / 2 ** 32, BACK_OFF);
        const waitMs = Math.round((error.retryAfterSeconds ?? 0) * 1000 + jitter);
        waitedMs += waitMs;
        if (how.giveUpAfterMs !== null && waitedMs > how.giveUpAfterMs) throw error;
        await sleep(waitMs, undefined, how.signal === undefined ? {} : { signal: how.signal }).catch(() => {
          throw new FuselinkError('aborted', 'the caller stopped it', { resumable: true });
        });
      }
    }
  }

  async function found(purpose: 'recipient' | 'signer', name: string, how: LookUp): Promise<KeyOnFile | null> {
    if (purpose === 'recipient') {
      const body = await get(`/v1/recipients?email=${encodeURIComponent(name)}`, how);
      return ((body['recipients'] as RecipientAnswer[] | undefined) ?? [])[0] ?? null;
    }
    const body = await get(`/v1/signing-keys?device=${encodeURIComponent(name)}`, how);
    return ((body['signing_keys'] as SigningKeyAnswer[] | undefined) ?? [])[0] ?? null;
  }

  async function look(purpose: 'recipient' | 'signer', name: string, how: LookUp): Promise<PublicKey> {
    const who = `${purpose} ${name}`;
    const pinned = (await pins?.load(who)) ?? null;
    let onFile: KeyOnFile | null;
    try {
      onFile = await found(purpose, name, pinned === null ? how : { ...how, giveUpAfterMs: 0 });
    } catch (error) {
      // What is pinned needs no server: only a change would be noticed later.
      if (pinned !== null && error instanceof FuselinkError && passes(error)) {
        return decode(purpose, name, pinned.publicKey);
      }
      throw error;
    }
    if (onFile === null) {
      const where = purpose === 'recipient' ? 'directory of recipients' : 'list of signing keys';
      const code = purpose === 'recipient' ? 'recipient_unknown' : 'signer_unknown';
      throw new FuselinkError(code, `${name} is not in the account's ${where}`, { status: 404 });
    }
    const key = decode(purpose, name, onFile.public_key);
    // Computed here: what the server says of the key is not believed.
    const { words } = seal.fingerprint(seal.nodeCrypto, key);
    refuseChanged(purpose, name, { pinned, onFile, words }, how);
    if (pinned?.publicKey !== onFile.public_key)
      await pin(who, { publicKey: onFile.public_key, words }, pinned !== null);
    return key;
  }

  function decode(purpose: 'recipient' | 'signer', name: string, text: string): PublicKey {
    try {
      return seal.decodePublicKey(seal.nodeCrypto, purpose, text);
    } catch (error) {
      throw sealError(seal, error, name);
    }
  }

  function refuseChanged(
    purpose: 'recipient' | 'signer',
    name: string,
    seen: { pinned: { publicKey: string; words: string } | null; onFile: KeyOnFile; words: string },
    how: LookUp,
  ): void {
    const { pinned, onFile, words } = seen;
    const code = purpose === 'recipient' ? 'recipient_key_changed' : 'signing_key_changed';
    if (how.acceptNewKey) return;
    if (pinned !== null && pinned.publicKey !== onFile.public_key) {
      throw new FuselinkError(
        code,
        `the key of ${name} is not the one this device knows: known ${pinned.words}, now ${words}; compare the words with ${name}, and accept the new key only if they are right`,
      );
    }
    if (pinned === null && onFile.alarm !== null) {
      const since = String(onFile.alarm.since);
      throw new FuselinkError(
        code,
        `the key of ${name} was changed (${since}) and nobody has confirmed it: now ${words}; compare the words with ${name}, and accept the new key only if they are right`,
      );
    }
  }

  async function pin(who: string, key: { publicKey: string; words: string }, changed: boolean): Promise<void> {
    if (pins === null) {
      warn('key_not_pinned', `no state folder: the key of ${who} (${key.words}) is taken from the server unchecked`);
      return;
    }
    try {
      await pins.save(who, key);
    } catch (error) {
      if (changed) throw error;
      warn('key_not_pinned', `the key of ${who} cannot be remembered: ${(error as Error).message}`);
      return;
    }
    warn(
      changed ? 'key_accepted' : 'key_pinned',
      `${changed ? 'from now on' : 'met for the first time, and remembered'}: the key of ${who} is ${key.words}`,
    );
  }

  return {
    recipient: (email, how) => look('recipient', email.trim().toLowerCase(), how),
    signer: (device, how) => look('signer', device, how),
  };
}

/** `path` with its query below the server's address. */
function queryUrl(base: URL, path: string): URL {
  const [pathname = '', query = ''] = path.split('?');
  const url = apiUrl(base, pathname);
  url.search = query;
  return url;
}

function passes(error: FuselinkError): boolean {
  return UNREACHABLE.includes(error.code) || error.status === 429 || (error.status !== null && error.status >= 500);
}

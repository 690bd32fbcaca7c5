import { sha256, toHex } from './native.ts';
import type { NativeE } from './platform.ts';
import type { Answer } from './signed.ts';

declare const E: NativeE;
declare const getTime: () => number;

/** Nonces that are tried for one request: the first of a boot, and two that had grown stale. */
const TRIES_MAX = 3;

/** The last that the server gave. */
let nonce = '';
/** The number in the first nonce that the server took: it rises from boot to boot, without a count in flash. */
let boot = 0;
let taken = false;
/** What no other boot is likely to have: the moment in which the first nonce came, to the microsecond. */
let tag = '';
let sequence = 0;
let tries = 0;

/** The nonce of a request that is being made, '' for none: each is used once, and no two requests are alike, retries included. */
export function takeNonce(): string {
  const given = nonce;
  nonce = '';
  sequence++;
  return given;
}

/** Takes the next nonce. True: the last had grown stale, and the same is to be asked again. */
export function hearOfNonce(answer: Answer): boolean {
  const next = answer.nonce;
  const stale = ('' + answer.code).indexOf('nonce_') === 0;
  nonce = next;
  // A nonce that was good was used in no other boot: its number is this one's.
  if (answer.told && !stale) taken = true;
  if (!taken) boot = parseInt(next, 10) || 0;
  if (!tag) tag = toHex(sha256(next + E.hwRand() + getTime())).substring(0, 8);
  if (next && stale && ++tries < TRIES_MAX) return true;
  tries = 0;
  return false;
}

/** Where the device is in its life, as Fuselink-Device has it. */
export function position(): string {
  return 'boot=' + boot + ';seq=' + sequence + ';tag=' + tag;
}

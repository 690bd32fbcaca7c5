import { concat } from './bytes.ts';
import { nobleCrypto } from './crypto/noble.ts';
import { nodeCrypto } from './crypto/node.ts';
import type { SealCrypto, SealRandom } from './crypto/port.ts';
import { SealError, type SealErrorCode } from './errors.ts';
import { secretKeyFromSeed } from './keys/key.ts';
import { createOpener } from './opener.ts';
import type { OpenReport, OpenRequest } from './opening.ts';
import { createSealer } from './sealer.ts';
import type { SealRequest } from './sealing.ts';

/** Both implementations, for suites that run on each. */
export const CRYPTOS: readonly SealCrypto[] = [nobleCrypto, nodeCrypto];

/** The same "chance" for the same label; every draw differs. */
export function testRandom(label: string): SealRandom {
  let draw = 0;
  return { bytes: (length) => nobleCrypto.shake256(new TextEncoder().encode(`${label} ${draw++}`), length) };
}

/** Content that differs at every place. */
export function testContent(lengthBytes: number, label = 'content'): Uint8Array {
  return testRandom(label).bytes(lengthBytes);
}

/** Key pairs, one of each algorithm and a stranger. */
export const KEYS = {
  ops: secretKeyFromSeed(nodeCrypto, 'x-wing', new Uint8Array(32).fill(1)),
  lab: secretKeyFromSeed(nodeCrypto, 'ml-kem-768', new Uint8Array(64).fill(2)),
  stranger: secretKeyFromSeed(nodeCrypto, 'x-wing', new Uint8Array(32).fill(3)),
  pump: secretKeyFromSeed(nodeCrypto, 'ed25519', new Uint8Array(32).fill(4)),
  valve: secretKeyFromSeed(nodeCrypto, 'ml-dsa-65', new Uint8Array(32).fill(5)),
} as const;

export const TO_OPS: SealRequest['to'] = { kind: 'recipients', recipients: [KEYS.ops] };
export const TO_LINK: SealRequest['to'] = { kind: 'link' };
/** The content key that `testRandom(label)` gives a file: the first draw. */
export function contentKeyOf(label: string): Uint8Array {
  return testRandom(label).bytes(32);
}

/** Seals content in one go. */
export function sealWhole(content: Uint8Array, request: SealRequest, label = 'seal', crypto = nodeCrypto): Uint8Array {
  const sealer = createSealer({ crypto, random: testRandom(label) }, request);
  return concat([...sealer.push(content), ...sealer.finish()]);
}

/** What opening came to: what was released before the end, and the report or the error. */
export interface OpenOutcome {
  readonly released: Uint8Array;
  readonly report: OpenReport | null;
  readonly code: SealErrorCode | null;
  readonly chunkIndex: number | null;
}

/** Opens pieces; a {@link SealError} becomes part of the outcome, any other error is a bug and goes through. */
export function openPieces(pieces: Iterable<Uint8Array>, request: OpenRequest, crypto = nodeCrypto): OpenOutcome {
  const opener = createOpener(crypto, request);
  const released: Uint8Array[] = [];
  try {
    for (const piece of pieces) released.push(...opener.push(piece));
    const end = opener.finish();
    released.push(...end.released);
    return { released: concat(released), report: end.report, code: null, chunkIndex: null };
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    return { released: concat(released), report: null, code: error.code, chunkIndex: error.chunkIndex };
  }
}

/** Cuts bytes at these places (any numbers; taken modulo the length). */
export function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
  let last = 0;
  const pieces: Uint8Array[] = [];
  for (const place of [...sorted, bytes.length]) {
    pieces.push(bytes.subarray(last, place));
    last = place;
  }
  return pieces;
}

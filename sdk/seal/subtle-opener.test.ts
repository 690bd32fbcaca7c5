import { webcrypto } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { concat } from './bytes.ts';
import { nobleCrypto } from './crypto/noble.ts';
import { SealError } from './errors.ts';
import { openAll } from './iterables.ts';
import type { OpenRequest } from './opening.ts';
import {
  contentKeyOf,
  cutAt,
  KEYS,
  type OpenOutcome,
  openPieces,
  sealWhole,
  TO_LINK,
  TO_OPS,
  testContent,
} from './seal.testkit.ts';
import { type SubtleAesGcm, SubtleOpener } from './subtle-opener.ts';

const SUBTLE = webcrypto.subtle as unknown as SubtleAesGcm;
const KEY = { contentKey: contentKeyOf('seal') };

/** Both outcomes without their bytes, and whether those are the same: comparing large arrays by `toEqual` takes seconds. */
function compared(subtle: OpenOutcome, plain: OpenOutcome) {
  const sameBytes = Buffer.compare(subtle.released, plain.released) === 0;
  return [
    { ...subtle, released: sameBytes },
    { ...plain, released: true },
  ] as const;
}

async function openBySubtle(
  pieces: readonly Uint8Array[],
  request: OpenRequest,
  subtle = SUBTLE,
): Promise<OpenOutcome> {
  const opener = new SubtleOpener(subtle, nobleCrypto, request);
  const released: Uint8Array[] = [];
  try {
    for (const piece of pieces) released.push(...(await opener.push(piece)));
    const end = await opener.finish();
    released.push(...end.released);
    return { released: concat(released), report: end.report, code: null, chunkIndex: null };
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    return { released: concat(released), report: null, code: error.code, chunkIndex: error.chunkIndex };
  }
}

describe('subtle opener', () => {
  it('files of all kinds in any pieces → exactly what the opener gives', async () => {
    const content = testContent(700_000);
    const files: [Uint8Array, OpenRequest][] = [
      [sealWhole(content, { to: TO_LINK, contentBytes: content.length, name: 'n' }), KEY],
      [sealWhole(content, { to: TO_OPS, signer: KEYS.valve }), { identities: [KEYS.ops] }],
      [sealWhole(testContent(0), { to: TO_LINK, signer: KEYS.pump }), KEY],
    ];
    for (const [sealed, request] of files) {
      for (const places of [[], [1, 50, 80, 65_552, 200_000], [699_999]]) {
        const pieces = cutAt(sealed, places);
        const [subtle, plain] = compared(await openBySubtle(pieces, request), openPieces(pieces, request));
        expect(subtle).toEqual(plain);
      }
    }
  });

  it('damage at many places, cuts and tails → the same error, place and released bytes as the opener', async () => {
    const sealed = sealWhole(testContent(200_000), { to: TO_LINK, contentBytes: 200_000, signer: KEYS.pump });
    const damaged: Uint8Array[] = [concat([sealed, Uint8Array.of(0)]), sealed.subarray(0, 75 + 2 * 65_552)];
    for (let at = 0; at < sealed.length; at += 4_999) {
      const flipped = sealed.slice();
      flipped[at]! ^= 1;
      damaged.push(flipped, sealed.subarray(0, at));
    }
    for (const file of damaged) {
      const pieces = cutAt(file, [30_000, 70_000, 140_000]);
      const [subtle, plain] = compared(await openBySubtle(pieces, KEY), openPieces(pieces, KEY));
      expect(subtle).toEqual(plain);
    }
    expect(damaged.length).toBeGreaterThan(80);
  });

  it('after an error → the same error for ever; a second call before the first is done → refused', async () => {
    const sealed = sealWhole(testContent(200_000), { to: TO_LINK });
    sealed[100_000]! ^= 1;
    const opener = new SubtleOpener(SUBTLE, nobleCrypto, KEY);
    const first = opener.push(sealed);
    await expect(opener.push(sealed)).rejects.toThrow('await each call');
    const failure = await first.catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'chunk_not_authentic', chunkIndex: 1 });
    await expect(opener.push(sealed)).rejects.toBe(failure);
    await expect(opener.finish()).rejects.toBe(failure);
  });

  it('a platform whose key import fails → its error, not a verdict on the file', async () => {
    const broken: SubtleAesGcm = {
      ...SUBTLE,
      importKey: () => Promise.reject(new Error('no such algorithm')),
      decrypt: SUBTLE.decrypt,
    };
    const sealed = sealWhole(testContent(200_000), { to: TO_LINK });
    await expect(openBySubtle([sealed], KEY, broken)).rejects.toThrow('no such algorithm');
  });

  it('openAll → takes it as it takes the other', async () => {
    const sealed = sealWhole(testContent(100_000), { to: TO_LINK });
    const pieces: Uint8Array[] = [];
    for await (const piece of openAll(new SubtleOpener(SUBTLE, nobleCrypto, KEY), [sealed])) pieces.push(piece);
    expect(Buffer.compare(concat(pieces), testContent(100_000))).toBe(0);
  });
});

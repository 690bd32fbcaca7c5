import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat } from './bytes.ts';
import { openAll, sealAll } from './iterables.ts';
import { createOpener } from './opener.ts';
import {
  CRYPTOS,
  contentKeyOf,
  cutAt,
  KEYS,
  openPieces,
  sealWhole,
  TO_LINK,
  TO_OPS,
  testContent,
  testRandom,
} from './seal.testkit.ts';
import { createSealer } from './sealer.ts';
import { type SealRequest, sealedBytesOf } from './sealing.ts';

const CHUNK = 65_536;
const EDGES = [0, 1, 15, 16, CHUNK - 257, CHUNK - 256, CHUNK - 255, CHUNK, 2 * CHUNK - 256, 2 * CHUNK - 255, 3 * CHUNK];

describe('seal and open', () => {
  it.each(CRYPTOS.flatMap((sealing) => CRYPTOS.map((opening) => ({ sealing, opening }))))(
    'sealed by $sealing.name, opened by $opening.name, sizes around chunk ends, all kinds of key and signature → the content',
    ({ sealing, opening }) => {
      for (const size of EDGES) {
        for (const signer of [null, KEYS.pump, ...(size % 16 === 0 ? [KEYS.valve] : [])]) {
          const content = testContent(size);
          const sealed = sealWhole(content, { to: TO_LINK, contentBytes: size, signer }, 'seal', sealing);
          const outcome = openPieces([sealed], { contentKey: contentKeyOf('seal') }, opening);
          expect({ size, code: outcome.code }).toEqual({ size, code: null });
          expect(Buffer.compare(outcome.released, content)).toBe(0);
          expect(outcome.report!.contentBytes).toBe(size);
          expect(outcome.report!.signer?.algorithm).toBe(signer?.algorithm);
        }
      }
      const to = { kind: 'recipients', recipients: [KEYS.lab, KEYS.stranger, KEYS.ops] } as const;
      const sealed = sealWhole(testContent(1_000), { to, name: 'a.bin' }, 'seal', sealing);
      for (const identity of [KEYS.lab, KEYS.ops]) {
        const outcome = openPieces([sealed], { identities: [identity] }, opening);
        expect([outcome.code, outcome.report?.manifest.name]).toEqual([null, 'a.bin']);
        expect(outcome.released).toEqual(testContent(1_000));
      }
    },
  );

  it('any cuts of plaintext and of sealed bytes → the same file, the same content', () => {
    const size = fc.oneof(fc.nat(2_000), fc.integer({ min: CHUNK - 600, max: CHUNK + 600 }), fc.nat(200_000));
    const places = fc.array(fc.nat(400_000), { maxLength: 40 });
    const signer = fc.constantFrom(null, KEYS.pump);
    fc.assert(
      fc.property(size, places, places, signer, (bytes, plainCuts, sealedCuts, by) => {
        const content = testContent(bytes);
        const request: SealRequest = { to: TO_LINK, signer: by };
        const sealer = createSealer({ crypto: CRYPTOS[1]!, random: testRandom('seal') }, request);
        const sealed = concat([
          ...cutAt(content, plainCuts).flatMap((piece) => sealer.push(piece)),
          ...sealer.finish(),
        ]);
        expect(Buffer.compare(sealed, sealWhole(content, request))).toBe(0);
        expect(sealed.length).toBe(sealedBytesOf(request, bytes));
        const outcome = openPieces(cutAt(sealed, sealedCuts), { contentKey: contentKeyOf('seal') });
        expect([outcome.code, Buffer.compare(outcome.released, content)]).toEqual([null, 0]);
      }),
      { numRuns: 150 },
    );
  });

  it('byte by byte through recipients and a signature → the same content', () => {
    const content = testContent(300);
    const sealed = sealWhole(content, { to: TO_OPS, signer: KEYS.valve, name: 'x' });
    const outcome = openPieces(
      Array.from(sealed, (byte) => Uint8Array.of(byte)),
      { identities: [KEYS.ops] },
    );
    expect([outcome.code, outcome.released]).toEqual([null, content]);
  });

  it('a reader that reuses its buffer, on both sides → nothing pushed is still looked at', () => {
    const content = testContent(200_000);
    const sealer = createSealer({ crypto: CRYPTOS[1]!, random: testRandom('seal') }, { to: TO_LINK });
    const opener = createOpener(CRYPTOS[1]!, { contentKey: contentKeyOf('seal') });
    const buffer = new Uint8Array(7_001);
    const through = (source: Uint8Array, push: (view: Uint8Array) => Uint8Array[]): Uint8Array[] => {
      const out: Uint8Array[] = [];
      for (let at = 0; at < source.length; at += buffer.length) {
        const view = buffer.subarray(0, Math.min(buffer.length, source.length - at));
        view.set(source.subarray(at, at + view.length));
        out.push(...push(view));
        buffer.fill(0xaa);
      }
      return out;
    };
    const sealed = concat([...through(content, (view) => sealer.push(view)), ...sealer.finish()]);
    const opened = through(sealed, (view) => opener.push(view));
    expect(Buffer.compare(concat([...opened, ...opener.finish().released]), content)).toBe(0);
  });

  it('async iterables → the same bytes, and the report as the return value', async () => {
    async function* parts(bytes: Uint8Array) {
      for (const piece of cutAt(bytes, [1, 70_000, 70_001])) yield piece;
    }
    const content = testContent(100_000);
    const sealer = createSealer({ crypto: CRYPTOS[1]!, random: testRandom('seal') }, { to: TO_LINK, name: 'n' });
    const sealed: Uint8Array[] = [];
    for await (const piece of sealAll(sealer, parts(content))) sealed.push(piece);
    const opening = openAll(createOpener(CRYPTOS[1]!, { contentKey: contentKeyOf('seal') }), parts(concat(sealed)));
    const opened: Uint8Array[] = [];
    let next = await opening.next();
    for (; next.done !== true; next = await opening.next()) opened.push(next.value);
    expect(Buffer.compare(concat(opened), content)).toBe(0);
    expect([next.value.manifest.name, next.value.contentBytes]).toEqual(['n', 100_000]);
  });

  it('fresh randomness → no two files share a content key, a salt or a byte pattern', () => {
    const content = testContent(500);
    const first = sealWhole(content, { to: TO_OPS }, 'first');
    const second = sealWhole(content, { to: TO_OPS }, 'second');
    expect(Buffer.compare(first.subarray(9, 41), second.subarray(9, 41))).not.toBe(0);
    let same = 0;
    for (let at = 43 + 1172; at < first.length; at++) if (first[at] === second[at]) same += 1;
    expect(same).toBeLessThan(30); // 1 in 256 by chance, of 800
  });

  it('the manifest → is known after the first chunk, before the rest', () => {
    const sealed = sealWhole(testContent(150_000), { to: TO_LINK, name: 'early.txt', mediaType: 'text/plain' });
    const opener = createOpener(CRYPTOS[1]!, { contentKey: contentKeyOf('seal') });
    expect(opener.manifest).toBeNull();
    opener.push(sealed.subarray(0, 75 + 65_552 + 1));
    expect(opener.manifest).toMatchObject({ name: 'early.txt', mediaType: 'text/plain' });
  });

  it('names of one length class → files of one size', () => {
    const sizes = ['a', 'a much longer name that says something.csv'].map(
      (name) => sealWhole(testContent(10), { to: TO_LINK, name }).length,
    );
    expect(sizes[0]).toBe(sizes[1]);
  });
});

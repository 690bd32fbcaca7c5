import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fromBase64url, toBase64url } from '../base64url.ts';
import { concat, readU64, u16, u64, utf8, utf8Text } from '../bytes.ts';
import { nodeCrypto } from '../crypto/node.ts';
import { SEAL_ERROR_MEANINGS, SealError, type SealErrorCode } from '../errors.ts';
import { CONTENT_BYTES_MAX, STANZA_BODY_BYTES_MAX } from '../limits.ts';
import {
  contentKeyOf,
  KEYS,
  openPieces,
  sealWhole,
  TO_LINK,
  TO_OPS,
  testContent,
  testRandom,
} from '../seal.testkit.ts';
import { createSealer } from '../sealer.ts';
import { chunkNonce, sealChunk } from './chunks.ts';
import { headerMac, payloadKey, sha256Of } from './file-keys.ts';
import { encodeCovered, looksSealed, type Stanza } from './header.ts';
import { decodeManifest, encodeManifest, type Manifest, nameFault, portableFileName } from './manifest.ts';

const EMPTY: Manifest = { name: null, contentBytes: null, mediaType: null, modifiedAtMs: null, signer: null };

function codeOf(act: () => unknown): SealErrorCode | 'none' {
  try {
    act();
  } catch (error) {
    if (error instanceof SealError) return error.code;
    throw error;
  }
  return 'none';
}

/** A manifest block of these fields' bytes. */
function block(body: Uint8Array, bytes = 256): Uint8Array {
  const whole = new Uint8Array(bytes);
  whole.set(u16(bytes - 2));
  whole.set(body, 2);
  return whole;
}

const field = (tag: number, value: Uint8Array) => concat([Uint8Array.of(tag), u16(value.length), value]);

describe('manifest', () => {
  it.each<[string, Manifest]>([
    ['empty', EMPTY],
    ['full', { name: 'é – 7.csv', contentBytes: 2 ** 40, mediaType: 'text/csv; a=b', modifiedAtMs: 0, signer: null }],
    [
      'largest',
      {
        ...EMPTY,
        name: 'n'.repeat(255),
        contentBytes: CONTENT_BYTES_MAX,
        signer: { purpose: 'signer', algorithm: 'ml-dsa-65', publicKey: KEYS.valve.publicKey },
      },
    ],
  ])('%s, encoded and decoded → the same, in a multiple of 256 bytes', (_what, manifest) => {
    const bytes = encodeManifest(manifest);
    expect(bytes.length % 256).toBe(0);
    expect(decodeManifest(concat([bytes, testContent(10)]))).toEqual({ manifest, bytes: bytes.length });
  });

  it.each<[string, Uint8Array, SealErrorCode]>([
    ['nothing', new Uint8Array(0), 'manifest_malformed'],
    ['a length beyond the chunk', block(utf8('')).subarray(0, 255), 'manifest_malformed'],
    ['a length that is not padded', concat([u16(100), new Uint8Array(300)]), 'manifest_malformed'],
    ['a length above the limit', concat([u16(8_448 - 2), new Uint8Array(9_000)]), 'manifest_malformed'],
    ['padding that is not zero', block(concat([new Uint8Array(100), Uint8Array.of(1)])), 'manifest_malformed'],
    ['a field over the end', block(concat([Uint8Array.of(0x81), u16(300)])), 'manifest_malformed'],
    [
      'half a field at the end',
      concat([block(new Uint8Array(253)).subarray(0, 255), Uint8Array.of(0x81)]),
      'manifest_malformed',
    ],
    ['tags out of order', block(concat([field(0x82, u64(1)), field(0x81, utf8('a/b'))])), 'manifest_malformed'],
    ['one tag twice', block(concat([field(1, utf8('a')), field(1, utf8('b'))])), 'manifest_malformed'],
    ['an unknown tag that must be understood', block(field(0x04, utf8('?'))), 'manifest_malformed'],
    ['a size of seven bytes', block(field(0x02, new Uint8Array(7))), 'manifest_malformed'],
    ['a size above 2^53', block(field(0x02, new Uint8Array(8).fill(255))), 'manifest_malformed'],
    ['a size above the limit', block(field(0x02, u64(CONTENT_BYTES_MAX + 1))), 'manifest_malformed'],
    ['a name that is not UTF-8', block(field(0x01, Uint8Array.of(0xff))), 'manifest_malformed'],
    ['a name that leads out', block(field(0x01, utf8('../a'))), 'name_invalid'],
    ['a signer without a scheme', block(field(0x03, Uint8Array.of(8))), 'manifest_malformed'],
    ['a signer of an unknown scheme', block(field(0x03, new Uint8Array(34))), 'manifest_malformed'],
    ['a signer with a short key', block(field(0x03, concat([u16(0x0807), new Uint8Array(31)]))), 'manifest_malformed'],
    ['a media type of control characters', block(field(0x81, Uint8Array.of(0x61, 0x2f, 0x0a))), 'manifest_malformed'],
  ])('%s → refused', (_what, bytes, code) => {
    expect(codeOf(() => decodeManifest(bytes))).toBe(code);
  });

  it('an unknown tag from 0x80 on → skipped', () => {
    const bytes = block(concat([field(0x01, utf8('a')), field(0x9f, utf8('later'))]));
    expect(decodeManifest(bytes).manifest).toEqual({ ...EMPTY, name: 'a' });
  });

  it('values that cannot be written → refused before anything is sealed', () => {
    expect(codeOf(() => encodeManifest({ ...EMPTY, contentBytes: CONTENT_BYTES_MAX + 1 }))).toBe('content_too_large');
    expect(codeOf(() => encodeManifest({ ...EMPTY, contentBytes: -1 }))).toBe('content_too_large');
    expect(codeOf(() => encodeManifest({ ...EMPTY, contentBytes: 1.5 }))).toBe('content_too_large');
    expect(codeOf(() => encodeManifest({ ...EMPTY, modifiedAtMs: -1 }))).toBe('manifest_malformed');
    expect(codeOf(() => encodeManifest({ ...EMPTY, mediaType: 'csv' }))).toBe('manifest_malformed');
  });

  it('names → those that do harm are refused, odd ones are not', () => {
    const harmful = [
      '',
      '.',
      '..',
      'a/b',
      'a\\b',
      'a\0b',
      'a\nb',
      'x\u202egpj.exe',
      'a\u2028b',
      '\ud800',
      'é'.repeat(128),
    ];
    for (const name of harmful) expect(nameFault(name), JSON.stringify(name)).not.toBeNull();
    for (const name of ['a', '.profile', '...', 'log 12:30.csv', 'con', '日本語', 'é'.repeat(127), '-rf']) {
      expect(nameFault(name), name).toBeNull();
    }
  });

  it.each([
    ['log 12:30.csv', 'log 12_30.csv'],
    ['a?b*"<>|', 'a_b_____'],
    ['con.txt', '_con.txt'],
    ['COM1', '_COM1'],
    ['trailing.', 'trailing_'],
    [' lead', '_lead'],
    ['plain.csv', 'plain.csv'],
  ])('portable name of %s → %s', (name, portable) => {
    expect(portableFileName(name)).toBe(portable);
  });
});

describe('header', () => {
  /** A whole file with these stanzas under a valid MAC, its content key known. */
  function fileWith(stanzas: readonly Stanza[]): Uint8Array {
    const [contentKey, salt] = [contentKeyOf('seal'), testRandom('salt').bytes(32)];
    const covered = encodeCovered(salt, stanzas);
    const header = concat([covered, headerMac(nodeCrypto, contentKey, salt, covered)]);
    const key = payloadKey(nodeCrypto, contentKey, salt, sha256Of(nodeCrypto, [header]));
    return concat([header, ...sealChunk(nodeCrypto, key, { index: 0, last: true }, [encodeManifest(EMPTY)])]);
  }
  const open = (bytes: Uint8Array) => openPieces([bytes], { contentKey: contentKeyOf('seal'), identities: [KEYS.ops] });

  it('no stanzas → opens by the content key', () => {
    expect(open(fileWith([])).code).toBeNull();
  });

  it('stanzas of a type nobody knows yet → skipped: no_matching_key alone, opens beside a known one', () => {
    const unknown = { type: 0x7777, body: new Uint8Array(STANZA_BODY_BYTES_MAX) };
    expect(open(fileWith([unknown])).code).toBe('no_matching_key');
  });

  it.each<[string, readonly Stanza[]]>([
    ['a stanza above the limit', [{ type: 9, body: new Uint8Array(STANZA_BODY_BYTES_MAX + 1) }]],
    ['sixty-five stanzas', Array.from({ length: 65 }, () => ({ type: 9, body: new Uint8Array(1) }))],
    ['an X-Wing stanza of another size', [{ type: 0x647a, body: new Uint8Array(1167) }]],
    ['an ML-KEM stanza of another size', [{ type: 0x0041, body: new Uint8Array(1137) }]],
  ])('%s → header_malformed', (_what, stanzas) => {
    expect(open(fileWith(stanzas)).code).toBe('header_malformed');
  });

  it('a stanza moved into another file → no_matching_key', () => {
    const sealed = sealWhole(testContent(1), { to: TO_OPS });
    const body = sealed.slice(47, 47 + 1168);
    expect(open(fileWith([{ type: 0x647a, body }])).code).toBe('no_matching_key');
  });

  it('every version but 1 → version_unknown, with the version', () => {
    for (let version = 0; version < 256; version++) {
      const sealed = fileWith([]);
      sealed[8] = version;
      expect(open(sealed).code).toBe(version === 1 ? null : 'version_unknown');
    }
  });

  it('looksSealed → true for the magic alone, false for less and for other bytes', () => {
    const sealed = fileWith([]);
    expect(looksSealed(sealed.subarray(0, 8))).toBe(true);
    expect(looksSealed(sealed.subarray(0, 7))).toBe(false);
    expect(looksSealed(utf8('PK\u0003\u0004----'))).toBe(false);
  });
});

describe('chunks', () => {
  it('nonces → seven zero bytes, the index, the flag; beyond 2^32 chunks is content_too_large', () => {
    expect(Buffer.from(chunkNonce(0, false)).toString('hex')).toBe('000000000000000000000000');
    expect(Buffer.from(chunkNonce(0x01020304, true)).toString('hex')).toBe('000000000000000102030401');
    expect(Buffer.from(chunkNonce(2 ** 32 - 1, true)).toString('hex')).toBe('00000000000000ffffffff01');
    expect(codeOf(() => chunkNonce(2 ** 32, false))).toBe('content_too_large');
  });

  it('no manifest in the first chunk, an empty last chunk after it → refused', () => {
    const [contentKey, salt] = [contentKeyOf('seal'), testRandom('salt').bytes(32)];
    const covered = encodeCovered(salt, []);
    const header = concat([covered, headerMac(nodeCrypto, contentKey, salt, covered)]);
    const key = payloadKey(nodeCrypto, contentKey, salt, sha256Of(nodeCrypto, [header]));
    const chunk = (index: number, last: boolean, plaintext: Uint8Array) =>
      concat(sealChunk(nodeCrypto, key, { index, last }, [plaintext]));
    const open = (...chunks: Uint8Array[]) => openPieces([header, ...chunks], { contentKey }).code;
    const first = concat([encodeManifest(EMPTY), new Uint8Array(65_536 - 256)]);
    expect(open(chunk(0, true, first))).toBeNull();
    expect(open(chunk(0, true, new Uint8Array(0)))).toBe('truncated');
    expect(open(chunk(0, true, Uint8Array.of(0)))).toBe('manifest_malformed');
    // STREAM's empty last chunk would be a second spelling of the same file
    expect(open(chunk(0, false, first), chunk(1, true, new Uint8Array(0)))).toBe('truncated');
    expect(open(chunk(0, false, first.subarray(1)), chunk(1, true, Uint8Array.of(1)))).toBe('chunk_not_authentic');
  });
});

describe('announced size', () => {
  const sealer = (contentBytes: number) =>
    createSealer({ crypto: nodeCrypto, random: testRandom('seal') }, { to: TO_LINK, contentBytes });

  it('more or less than announced, while sealing → content_size_mismatch, and the sealer is spent', () => {
    const more = sealer(10);
    more.push(new Uint8Array(10));
    expect(codeOf(() => more.push(new Uint8Array(1)))).toBe('content_size_mismatch');
    expect(() => more.push(new Uint8Array(0))).toThrow('one sealer makes one file');
    const less = sealer(10);
    less.push(new Uint8Array(9));
    expect(codeOf(() => less.finish())).toBe('content_size_mismatch');
    const done = sealer(0);
    done.finish();
    expect(() => done.finish()).toThrow('this sealer has finished');
  });

  it('randomness that fails when the signature is made → the sealer is spent, nothing is sealed twice', () => {
    let draws = 0;
    const random = {
      bytes: (length: number) => {
        draws += 1;
        if (draws > 2) throw new Error('no entropy');
        return testRandom(`draw ${draws}`).bytes(length);
      },
    };
    const signing = createSealer({ crypto: nodeCrypto, random }, { to: TO_LINK, signer: KEYS.valve });
    signing.push(new Uint8Array(10));
    expect(() => signing.finish()).toThrow('no entropy');
    expect(() => signing.finish()).toThrow('one sealer makes one file');
    expect(() => signing.push(new Uint8Array(1))).toThrow('one sealer makes one file');
  });

  it('a sender whose announcement lies → content_size_mismatch for the reader', () => {
    const [contentKey, salt] = [contentKeyOf('seal'), testRandom('salt').bytes(32)];
    const covered = encodeCovered(salt, []);
    const header = concat([covered, headerMac(nodeCrypto, contentKey, salt, covered)]);
    const key = payloadKey(nodeCrypto, contentKey, salt, sha256Of(nodeCrypto, [header]));
    for (const announced of [0, 9, 11]) {
      const stream = concat([encodeManifest({ ...EMPTY, contentBytes: announced }), new Uint8Array(10)]);
      const sealed = concat([header, ...sealChunk(nodeCrypto, key, { index: 0, last: true }, [stream])]);
      expect(openPieces([sealed], { contentKey }).code).toBe('content_size_mismatch');
    }
  });
});

describe('small parts', () => {
  it('base64url → as Buffer does it, and only in canonical form', () => {
    for (let length = 0; length < 40; length++) {
      const bytes = testContent(length, `b${length}`);
      expect(toBase64url(bytes)).toBe(Buffer.from(bytes).toString('base64url'));
      expect(fromBase64url(toBase64url(bytes))).toEqual(bytes);
    }
    for (const text of ['A', 'AB', 'AAB', 'AA=', 'A A', 'AA\n', 'A+', 'A/', 'ÄA', 'AAAAA']) {
      expect(fromBase64url(text), text).toBeNull();
    }
  });

  it('numbers and text → both ways, null where they cannot be', () => {
    for (const value of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) expect(readU64(u64(value), 0)).toBe(value);
    expect(readU64(new Uint8Array(8).fill(0x80), 0)).toBeNull();
    expect(utf8Text(utf8('\ufeffa – b'))).toBe('\ufeffa – b');
    expect(utf8Text(Uint8Array.of(0xc3))).toBeNull();
  });

  it('SPEC.md → lists exactly the error codes there are', () => {
    const spec = readFileSync(new URL('../../SPEC.md', import.meta.url), 'utf8');
    const listed = [...spec.matchAll(/^\| `([a-z_]+)` \|/gm)].map((match) => match[1]);
    expect(listed.sort()).toEqual(Object.keys(SEAL_ERROR_MEANINGS).sort());
  });
});

import { describe, expect, it } from 'vitest';
import { nodeClock } from './clock.ts';
import { nodeCrypto } from './crypto.ts';
import { createNodeRandom } from './random.ts';

const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));
const toHex = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('hex'));
const text = (value: string) => new TextEncoder().encode(value);

describe('node crypto', () => {
  it('sha256: whole, in parts, running → the digest of FIPS 180-4’s "abc"', () => {
    const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(toHex(nodeCrypto.sha256(text('abc')))).toBe(expected);
    expect(toHex(nodeCrypto.sha256(text('a'), new Uint8Array(0), text('bc')))).toBe(expected);
    const hash = nodeCrypto.hash();
    hash.update(text('ab'));
    hash.update(text('c'));
    expect(toHex(hash.digest())).toBe(expected);
  });

  it('hmacSha256: RFC 4231 case 2, whole and in parts → its tag', () => {
    const expected = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843';
    expect(toHex(nodeCrypto.hmacSha256(text('Jefe'), text('what do ya want for nothing?')))).toBe(expected);
    expect(toHex(nodeCrypto.hmacSha256(text('Jefe'), text('what do ya want'), text(' for nothing?')))).toBe(expected);
  });

  it.each(['', '00', 'a1b2c3', 'ff'.repeat(32), '5a'.repeat(100)])(
    'hkdfSha256: salt %j → 32 bytes are the first of more',
    (salt) => {
      const what = { ikm: hex('0b'.repeat(22)), salt: hex(salt), info: 'fuselink' };
      expect(nodeCrypto.hkdfSha256({ ...what, bytes: 32 })).toEqual(
        nodeCrypto.hkdfSha256({ ...what, bytes: 64 }).slice(0, 32),
      );
    },
  );

  it('hkdfSha256: RFC 5869 case 3 (no salt, no info) → its key', () => {
    const key = nodeCrypto.hkdfSha256({ ikm: hex('0b'.repeat(22)), salt: new Uint8Array(0), info: '', bytes: 42 });
    expect(toHex(key)).toBe('8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8');
  });

  // "The Galois/Counter Mode of Operation", test cases 13, 14 and 16.
  const cases = [
    ['00'.repeat(32), '00'.repeat(12), '', '', '530f8afbc74536b9a963b4f1c4cb738b'],
    [
      '00'.repeat(32),
      '00'.repeat(12),
      '',
      '00'.repeat(16),
      'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919',
    ],
    [
      'feffe9928665731c6d6a8f9467308308'.repeat(2),
      'cafebabefacedbaddecaf888',
      'feedfacedeadbeeffeedfacedeadbeefabaddad2',
      'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
      '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b',
    ],
  ] as const;
  it.each(cases)(
    'seal and open: published case %# → its ciphertext and tag, and back',
    (key, nonce, aad, plaintext, sealed) => {
      const [k, n, a] = [hex(key), hex(nonce), hex(aad)];
      expect(toHex(nodeCrypto.seal({ key: k, nonce: n, aad: a, plaintext: hex(plaintext) }))).toBe(sealed);
      expect(toHex(nodeCrypto.open({ key: k, nonce: n, aad: a, sealed: hex(sealed) }))).toBe(plaintext);
    },
  );

  it('open: any one bit altered of key, nonce, aad or what was sealed, or cut short → null', () => {
    const parts = { key: new Uint8Array(32).fill(7), nonce: new Uint8Array(12).fill(1), aad: text('aad') };
    const sealed = nodeCrypto.seal({ ...parts, plaintext: text('plaintext') });
    const flipped = (bytes: Uint8Array, at: number) => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));
    for (let at = 0; at < sealed.byteLength; at++)
      expect(nodeCrypto.open({ ...parts, sealed: flipped(sealed, at) })).toBeNull();
    for (const name of ['key', 'nonce', 'aad'] as const) {
      expect(nodeCrypto.open({ ...parts, [name]: flipped(parts[name], 0), sealed })).toBeNull();
    }
    for (const length of [0, 15, 16, sealed.byteLength - 1]) {
      expect(nodeCrypto.open({ ...parts, sealed: sealed.subarray(0, length) })).toBeNull();
    }
    expect(nodeCrypto.open({ ...parts, sealed })).toEqual(text('plaintext'));
  });

  it('seal and open: a key or nonce of another size → RangeError that shows neither', () => {
    const good = { key: new Uint8Array(32), nonce: new Uint8Array(12), aad: new Uint8Array(0) };
    expect(() => nodeCrypto.seal({ ...good, key: new Uint8Array(16), plaintext: text('') })).toThrow(RangeError);
    expect(() => nodeCrypto.open({ ...good, nonce: new Uint8Array(16), sealed: new Uint8Array(16) })).toThrow(
      RangeError,
    );
  });

  it('results → bare Uint8Arrays, whose slice copies', () => {
    const sealed = nodeCrypto.seal({
      key: new Uint8Array(32),
      nonce: new Uint8Array(12),
      aad: text(''),
      plaintext: text('x'),
    });
    for (const bytes of [nodeCrypto.sha256(), nodeCrypto.hmacSha256(text('k')), nodeCrypto.hash().digest(), sealed]) {
      expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
    }
  });

  it('equal → by content; false for other lengths', () => {
    expect(nodeCrypto.equal(text('abc'), text('abc'))).toBe(true);
    expect(nodeCrypto.equal(text('abc'), text('abd'))).toBe(false);
    expect(nodeCrypto.equal(text('abc'), text('ab'))).toBe(false);
    expect(nodeCrypto.equal(text(''), text(''))).toBe(true);
  });
});

describe('node crypto, key wrap', () => {
  it('wrapKey: RFC 3394 §4.6 (256 bits under 256 bits) → its 40 bytes', () => {
    const kek = hex('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f');
    const key = hex('00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f');
    const wrapped = '28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21';
    expect(toHex(nodeCrypto.wrapKey(kek, key))).toBe(wrapped);
    expect(() => nodeCrypto.wrapKey(kek.subarray(1), key)).toThrow('expected a wrapping key of 32 bytes, came 31');
    expect(nodeCrypto.unwrapKey(kek, hex(wrapped))).toEqual(key);
    expect(nodeCrypto.unwrapKey(key, hex(wrapped))).toBeNull();
    expect(nodeCrypto.unwrapKey(kek, new Uint8Array(39))).toBeNull();
  });
});

describe('node random', () => {
  it('counts small, large, none → that many bytes, never the same twice, never shared memory', () => {
    const random = createNodeRandom();
    const seen = new Set<string>();
    for (let round = 0; round < 2_000; round++) {
      const bytes = random.bytes(16);
      seen.add(toHex(bytes) as string);
      expect(bytes.buffer.byteLength).toBe(16);
    }
    expect(seen.size).toBe(2_000);
    expect(random.bytes(0).byteLength).toBe(0);
    for (const count of [1_023, 1_024, 1_025, 4_096, 100_000]) {
      const bytes = random.bytes(count);
      expect(bytes.byteLength).toBe(count);
      expect(new Set(bytes).size).toBeGreaterThan(200);
    }
  });
});

describe('node clock', () => {
  it('wall time is Unix milliseconds; monotonic time never goes back', () => {
    expect(Math.abs(nodeClock.nowMs() - Date.now())).toBeLessThan(60_000);
    expect(Number.isInteger(nodeClock.nowMs())).toBe(true);
    const times = Array.from({ length: 1_000 }, () => nodeClock.monotonicMs());
    expect(times.every((time, at) => at === 0 || time >= (times[at - 1] as number))).toBe(true);
  });
});

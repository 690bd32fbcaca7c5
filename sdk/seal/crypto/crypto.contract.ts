import { describe, expect, it } from 'vitest';
import { fromHex, readVectors, type Wycheproof } from '../../../test/conformance/vectors.ts';
import { concat, equalBytes, hex, utf8 } from '../bytes.ts';
import { hkdfExpand, hkdfExtract } from '../hpke/hkdf.ts';
import type { SealCrypto } from './port.ts';

interface AesGcmTest {
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
}

/** Splits into pieces whose sizes rise 0, 1, 2, …: boundaries fall everywhere, also inside the tag. */
function pieces(bytes: Uint8Array): Uint8Array[] {
  const split: Uint8Array[] = [];
  for (let at = 0, size = 0; at < bytes.length; at += size, size++) split.push(bytes.subarray(at, at + size));
  return split;
}

/** The contract of {@link SealCrypto}, told by published vectors; every implementation runs it. */
export function sealCryptoContract(crypto: SealCrypto): void {
  describe(`seal crypto contract: ${crypto.name}`, () => {
    it('sha256: FIPS 180-4 examples, whole and byte by byte → the published digests', () => {
      for (const [text, digest] of [
        ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
        ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
      ] as const) {
        const whole = crypto.sha256();
        whole.update(utf8(text));
        expect(hex(whole.digest())).toBe(digest);
        const split = crypto.sha256();
        for (const byte of utf8(text)) split.update(Uint8Array.of(byte));
        expect(hex(split.digest())).toBe(digest);
      }
    });

    it('sha3 and shake: FIPS 202 examples → the published outputs', () => {
      expect(hex(crypto.sha3_256(utf8('abc')))).toBe(
        '3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532',
      );
      expect(hex(crypto.shake256(new Uint8Array(0), 32))).toBe(
        '46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f',
      );
      expect(crypto.shake256(utf8('abc'), 96).length).toBe(96);
    });

    it('hmacSha256: Wycheproof → valid tags match, changed ones do not', () => {
      const file = readVectors<Wycheproof<{ key: string; msg: string; tag: string }, { tagSize: number }>>(
        'wycheproof/hmac_sha256_test.json',
      );
      let count = 0;
      for (const group of file.testGroups) {
        for (const test of group.tests) {
          const tag = crypto.hmacSha256(fromHex(test.key), fromHex(test.msg)).subarray(0, group.tagSize / 8);
          expect({ tcId: test.tcId, same: hex(tag) === test.tag }).toEqual({
            tcId: test.tcId,
            same: test.result === 'valid',
          });
          count += 1;
        }
      }
      expect(count).toBe(174);
    });

    it('hkdf over hmacSha256: Wycheproof → the output keys; too much output is a RangeError', () => {
      const file = readVectors<Wycheproof<{ ikm: string; salt: string; info: string; size: number; okm: string }>>(
        'wycheproof/hkdf_sha256_test.json',
      );
      let count = 0;
      for (const test of file.testGroups.flatMap((group) => group.tests)) {
        const prk = hkdfExtract(crypto, fromHex(test.salt), fromHex(test.ikm));
        const derive = () => hex(hkdfExpand(crypto, prk, fromHex(test.info), test.size));
        if (test.result === 'valid') expect(derive()).toBe(test.okm);
        else expect(derive).toThrow(RangeError);
        count += 1;
      }
      expect(count).toBe(86);
    });

    it('aesGcm: Wycheproof with 128 and 256-bit keys and 96-bit nonces → seals, opens, refuses', () => {
      const file =
        readVectors<Wycheproof<AesGcmTest, { ivSize: number; keySize: number }>>('wycheproof/aes_gcm_test.json');
      let count = 0;
      for (const group of file.testGroups) {
        if (group.ivSize !== 96 || group.keySize === 192) continue;
        for (const test of group.tests) {
          const [key, nonce, aad] = [fromHex(test.key), fromHex(test.iv), fromHex(test.aad)];
          const sealed = fromHex(test.ct + test.tag);
          const opened = crypto.aesGcmOpen(key, nonce, aad, pieces(sealed));
          if (test.result === 'valid') {
            expect(opened && hex(concat(opened))).toBe(test.msg);
            expect(hex(concat(crypto.aesGcmSeal(key, nonce, aad, pieces(fromHex(test.msg)))))).toBe(hex(sealed));
            expect(hex(concat(crypto.aesGcmSeal(key, nonce, aad, [fromHex(test.msg)])))).toBe(hex(sealed));
          } else {
            expect({ tcId: test.tcId, opened }).toEqual({ tcId: test.tcId, opened: null });
          }
          count += 1;
        }
      }
      expect(count).toBe(133);
    });

    it('aesGcm: less than a tag, wrong key and nonce sizes → null, RangeError', () => {
      const [key, nonce, none] = [new Uint8Array(32), new Uint8Array(12), new Uint8Array(0)];
      expect(crypto.aesGcmOpen(key, nonce, none, [new Uint8Array(15)])).toBeNull();
      expect(crypto.aesGcmOpen(key, nonce, none, [])).toBeNull();
      expect(() => crypto.aesGcmSeal(new Uint8Array(31), nonce, none, [])).toThrow(RangeError);
      expect(() => crypto.aesGcmOpen(key, new Uint8Array(16), none, [new Uint8Array(16)])).toThrow(RangeError);
    });

    it('x25519: Wycheproof → the shared secrets, null where it is all zero', () => {
      const file =
        readVectors<Wycheproof<{ public: string; private: string; shared: string }>>('wycheproof/x25519_test.json');
      let count = 0;
      for (const test of file.testGroups.flatMap((group) => group.tests)) {
        const shared = crypto.x25519(fromHex(test.private), fromHex(test.public));
        const expected = /^0+$/.test(test.shared) ? null : test.shared;
        expect({ tcId: test.tcId, shared: shared && hex(shared) }).toEqual({ tcId: test.tcId, shared: expected });
        count += 1;
      }
      expect(count).toBe(518);
    });

    it('x25519PublicKey: the secrets of RFC 9180 appendix A → the published public keys', () => {
      const file = readVectors<{ skEm: string; pkEm: string; skRm: string; pkRm: string }[]>(
        'rfc9180/x25519-hkdf-sha256-base.json',
      );
      expect(file.length).toBe(2);
      for (const vector of file) {
        expect(hex(crypto.x25519PublicKey(fromHex(vector.skEm)))).toBe(vector.pkEm);
        expect(hex(crypto.x25519PublicKey(fromHex(vector.skRm)))).toBe(vector.pkRm);
      }
    });

    it('ml-kem-768: Wycheproof seeds → encapsulation keys', () => {
      const file = readVectors<Wycheproof<{ seed: string; ek: string }>>('wycheproof/mlkem_768_keygen_seed_test.json');
      const tests = file.testGroups.flatMap((group) => group.tests);
      for (const test of tests) expect(hex(crypto.mlKem768KeyPair(fromHex(test.seed)).publicKey)).toBe(test.ek);
      expect(tests.length).toBe(100);
    });

    it('ml-kem-768: Wycheproof decapsulation → shared secrets, implicit rejection included; wrong sizes throw', () => {
      const file = readVectors<Wycheproof<{ seed: string; c: string; K?: string }>>('wycheproof/mlkem_768_test.json');
      let count = 0;
      for (const test of file.testGroups.flatMap((group) => group.tests)) {
        const decapsulate = () => hex(crypto.mlKem768KeyPair(fromHex(test.seed)).decapsulate(fromHex(test.c)));
        if (test.result === 'valid') expect(decapsulate()).toBe(test.K);
        else expect(decapsulate, `tcId ${test.tcId}`).toThrow(RangeError);
        count += 1;
      }
      expect(count).toBe(193);
    });

    it('ml-kem-768: Wycheproof encapsulation → ciphertexts and secrets; invalid keys are null or throw by size', () => {
      const file = readVectors<Wycheproof<{ ek: string; m: string; c: string; K: string }>>(
        'wycheproof/mlkem_768_encaps_test.json',
      );
      let count = 0;
      for (const test of file.testGroups.flatMap((group) => group.tests)) {
        const encapsulate = () => crypto.mlKem768Encapsulate(fromHex(test.ek), fromHex(test.m));
        if (test.result === 'valid') {
          const made = encapsulate()!;
          expect({ c: hex(made.ciphertext), K: hex(made.sharedSecret) }).toEqual({ c: test.c, K: test.K });
        } else if (test.ek.length === 2 * 1184) {
          expect(encapsulate(), `tcId ${test.tcId}`).toBeNull();
        } else {
          expect(encapsulate, `tcId ${test.tcId}`).toThrow(RangeError);
        }
        count += 1;
      }
      expect(count).toBe(265);
    });

    it('ml-kem-768: NIST ACVP → key generation and encapsulation', () => {
      interface KeyGen {
        readonly d: string;
        readonly z: string;
        readonly ek: string;
      }
      interface Encap {
        readonly ek: string;
        readonly m: string;
        readonly c: string;
        readonly k: string;
      }
      interface Group<T> {
        readonly parameterSet: string;
        readonly function?: string;
        readonly tests: readonly T[];
      }
      const keyGen = readVectors<{ testGroups: readonly Group<KeyGen>[] }>('acvp/key-gen.json');
      const keyGenTests = keyGen.testGroups.filter((g) => g.parameterSet === 'ML-KEM-768').flatMap((g) => g.tests);
      for (const test of keyGenTests) {
        const made = crypto.mlKem768KeyPair(fromHex(test.d + test.z));
        expect(hex(made.publicKey)).toBe(test.ek.toLowerCase());
      }
      const encap = readVectors<{ testGroups: readonly Group<Encap>[] }>('acvp/encap-decap.json');
      const encapTests = encap.testGroups
        .filter((g) => g.parameterSet === 'ML-KEM-768' && g.function === 'encapsulation')
        .flatMap((g) => g.tests);
      for (const test of encapTests) {
        const made = crypto.mlKem768Encapsulate(fromHex(test.ek), fromHex(test.m))!;
        expect(hex(made.ciphertext)).toBe(test.c.toLowerCase());
        expect(hex(made.sharedSecret)).toBe(test.k.toLowerCase());
      }
      expect([keyGenTests.length, encapTests.length]).toEqual([25, 25]);
    });

    it('ml-dsa-65: Wycheproof verification with an empty context → true and false as published', () => {
      const file = readVectors<Wycheproof<{ msg: string; sig: string; ctx?: string }, { publicKey: string }>>(
        'wycheproof/mldsa_65_verify_test.json',
      );
      let count = 0;
      for (const group of file.testGroups) {
        for (const test of group.tests) {
          if (test.ctx !== undefined) continue;
          const key = fromHex(group.publicKey);
          const verify = () => crypto.mlDsa65Verify(key, fromHex(test.msg), fromHex(test.sig));
          if (key.length === 1952)
            expect({ tcId: test.tcId, ok: verify() }).toEqual({ tcId: test.tcId, ok: test.result === 'valid' });
          else expect(verify).toThrow(RangeError);
          count += 1;
        }
      }
      expect(count).toBe(202);
    });

    it('ml-dsa-65: sign and verify → true; another message, key or a flipped bit → false', () => {
      const [seed, coins, message] = [new Uint8Array(32).fill(3), new Uint8Array(32).fill(4), utf8('reading 7')];
      const key = crypto.mlDsa65PublicKey(seed);
      const signature = crypto.mlDsa65Sign(seed, message, coins);
      expect([key.length, signature.length]).toEqual([1952, 3309]);
      expect(equalBytes(crypto.mlDsa65Sign(seed, message, coins), signature)).toBe(true);
      expect(crypto.mlDsa65Verify(key, message, signature)).toBe(true);
      expect(crypto.mlDsa65Verify(key, utf8('reading 8'), signature)).toBe(false);
      expect(crypto.mlDsa65Verify(crypto.mlDsa65PublicKey(coins), message, signature)).toBe(false);
      signature[2000]! ^= 1;
      expect(crypto.mlDsa65Verify(key, message, signature)).toBe(false);
    });

    it('ed25519: RFC 8032 section 7.1 → the published keys and signatures; malformed ones are false', () => {
      const seed = fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb');
      const key = crypto.ed25519PublicKey(seed);
      expect(hex(key)).toBe('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
      const message = Uint8Array.of(0x72);
      const signature = crypto.ed25519Sign(seed, message);
      expect(hex(signature)).toBe(
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
          '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
      );
      expect(crypto.ed25519Verify(key, message, signature)).toBe(true);
      expect(crypto.ed25519Verify(key, utf8('s'), signature)).toBe(false);
      expect(crypto.ed25519Verify(key, message, signature.subarray(1))).toBe(false);
      expect(crypto.ed25519Verify(new Uint8Array(32).fill(0xff), message, signature)).toBe(false);
      for (let at = 0; at < 64; at++) {
        const flipped = signature.slice();
        flipped[at]! ^= 0x10;
        expect(crypto.ed25519Verify(key, message, flipped)).toBe(false);
      }
    });

    it('scrypt: RFC 7914 section 12 with r = 8 and p = 1 → the published key', () => {
      const key = crypto.scrypt(utf8('pleaseletmein'), utf8('SodiumChloride'), 14);
      expect(hex(key)).toBe('7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2');
    });
  });
}

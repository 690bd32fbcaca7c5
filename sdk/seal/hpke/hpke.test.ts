import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { describe, expect, it } from 'vitest';
import { fromHex, readVectors } from '../../../test/conformance/vectors.ts';
import { concat, hex, u64, utf8 } from '../bytes.ts';
import { nobleCrypto } from '../crypto/noble.ts';
import { nodeCrypto } from '../crypto/node.ts';
import type { SealCrypto } from '../crypto/port.ts';
import { AEAD_AES_256_GCM, hpkeOpen, hpkeSeal, hpkeSuiteId, keySchedule, labeledExpand } from './base-mode.ts';
import { deriveX25519Secret, dhkemX25519 } from './dhkem-x25519.testkit.ts';
import { KEM_IDS, KEMS, type Kem, kemById } from './kem.ts';

interface HpkeVector {
  readonly kem_id: number;
  readonly kdf_id: number;
  readonly aead_id: number;
  readonly info: string;
  readonly ikmE: string;
  readonly skRm: string;
  readonly pkRm: string;
  readonly enc: string;
  readonly shared_secret: string;
  readonly key: string;
  readonly base_nonce: string;
  readonly exporter_secret: string;
  readonly encryptions: readonly { aad: string; ct: string; pt: string; nonce: string; sequence_number?: number }[];
  readonly exports: readonly { exporter_context: string; L: number | string; exported_value: string }[];
}

/** AEADs of the vectors: ours for AES, noble's ChaCha20-Poly1305 where a vector has that. */
function aeadSeal(crypto: SealCrypto, id: number, key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, pt: Uint8Array) {
  if (id === 3) return chacha20poly1305(key, nonce, aad).encrypt(pt);
  return concat(crypto.aesGcmSeal(key, nonce, aad, [pt]));
}

/** Everything one published vector says of base mode: encapsulation, schedule, encryptions, exports. */
function checkVector(crypto: SealCrypto, kem: Kem, vector: HpkeVector, coins: Uint8Array): void {
  const keyPair = kem.keyPair(crypto, fromHex(vector.skRm));
  expect(hex(keyPair.publicKey)).toBe(vector.pkRm);
  const made = kem.encapsulate(crypto, fromHex(vector.pkRm), coins)!;
  expect(hex(made.enc)).toBe(vector.enc);
  expect(hex(made.sharedSecret)).toBe(vector.shared_secret);
  expect(hex(keyPair.decapsulate(fromHex(vector.enc))!)).toBe(vector.shared_secret);
  const suite = { kemId: vector.kem_id, aeadId: vector.aead_id };
  const context = keySchedule(crypto, suite, made.sharedSecret, fromHex(vector.info));
  expect(hex(context.key)).toBe(vector.key);
  expect(hex(context.baseNonce)).toBe(vector.base_nonce);
  expect(hex(context.exporterSecret)).toBe(vector.exporter_secret);
  vector.encryptions.forEach((encryption, index) => {
    const sequence = u64(encryption.sequence_number ?? index);
    const nonce = context.baseNonce.map((byte, at) => (at < 4 ? byte : byte ^ sequence[at - 4]!));
    expect(hex(nonce)).toBe(encryption.nonce);
    const [aad, pt] = [fromHex(encryption.aad), fromHex(encryption.pt)];
    expect(hex(aeadSeal(crypto, vector.aead_id, context.key, nonce, aad, pt))).toBe(encryption.ct);
  });
  const suiteId = hpkeSuiteId(vector.kem_id, vector.aead_id);
  for (const { exporter_context, L, exported_value } of vector.exports) {
    const exported = labeledExpand(
      crypto,
      suiteId,
      context.exporterSecret,
      'sec',
      fromHex(exporter_context),
      Number(L),
    );
    expect(hex(exported)).toBe(exported_value);
  }
}

describe.each([nobleCrypto, nodeCrypto])('hpke on $name', (crypto) => {
  it('draft-ietf-hpke-pq vectors of our KEMs with HKDF-SHA256 → every value', () => {
    const vectors = readVectors<HpkeVector[]>('hpke-pq/test-vectors.json').filter(
      (vector) => kemById(vector.kem_id) !== null && vector.kdf_id === 1,
    );
    expect(vectors.map((vector) => vector.kem_id)).toEqual([KEM_IDS.mlKem768, KEM_IDS.xWing]);
    for (const vector of vectors) checkVector(crypto, kemById(vector.kem_id)!, vector, fromHex(vector.ikmE));
  });

  it('draft-ietf-hpke-pq X-Wing vector with another KDF → encapsulation agrees', () => {
    const [vector] = readVectors<HpkeVector[]>('hpke-pq/test-vectors.json').filter(
      (each) => each.kem_id === KEM_IDS.xWing && each.kdf_id === 17,
    );
    const made = kemById(KEM_IDS.xWing)!.encapsulate(crypto, fromHex(vector!.pkRm), fromHex(vector!.ikmE))!;
    expect([hex(made.enc), hex(made.sharedSecret)]).toEqual([vector!.enc, vector!.shared_secret]);
  });

  it('X-Wing draft vectors → keys, ciphertexts, shared secrets', () => {
    const vectors =
      readVectors<{ seed: string; eseed: string; ss: string; pk: string; ct: string }[]>('hpke-pq/xwing.json');
    const kem = kemById(KEM_IDS.xWing)!;
    expect(vectors.length).toBe(3);
    for (const vector of vectors) {
      const keyPair = kem.keyPair(crypto, fromHex(vector.seed));
      expect(hex(keyPair.publicKey)).toBe(vector.pk);
      const made = kem.encapsulate(crypto, fromHex(vector.pk), fromHex(vector.eseed))!;
      expect([hex(made.enc), hex(made.sharedSecret)]).toEqual([vector.ct, vector.ss]);
      expect(hex(keyPair.decapsulate(fromHex(vector.ct))!)).toBe(vector.ss);
    }
  });

  it('RFC 9180 appendix A.1.1 and A.2.1 → every value', () => {
    const vectors = readVectors<HpkeVector[]>('rfc9180/x25519-hkdf-sha256-base.json');
    expect(vectors.length).toBe(2);
    for (const vector of vectors) {
      checkVector(crypto, dhkemX25519, vector, deriveX25519Secret(crypto, fromHex(vector.ikmE)));
    }
  });

  it('an independent HPKE library, DHKEM(X25519) with AES-256-GCM → each opens what the other sealed', async () => {
    const peer = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
    const [info, plaintext] = [utf8('fuselink cross-check'), utf8('a content key of thirty-two bytes')];
    const seed = crypto.sha3_256(utf8('recipient'));
    const keyPair = dhkemX25519.keyPair(crypto, seed);
    const theirPublic = await peer.kem.deserializePublicKey(keyPair.publicKey);
    const theirPrivate = await peer.kem.deserializePrivateKey(seed);

    const ours = hpkeSeal(crypto, dhkemX25519, {
      publicKey: keyPair.publicKey,
      coins: crypto.sha3_256(utf8('coins')),
      info,
      plaintext,
    })!;
    const recipient = await peer.createRecipientContext({ recipientKey: theirPrivate, enc: ours.enc, info });
    expect(new Uint8Array(await recipient.open(ours.ciphertext))).toEqual(plaintext);

    const sender = await peer.createSenderContext({ recipientPublicKey: theirPublic, info });
    const ciphertext = new Uint8Array(await sender.seal(plaintext));
    const enc = new Uint8Array(sender.enc);
    expect(hpkeOpen(crypto, dhkemX25519, keyPair, { enc, info, ciphertext })).toEqual(plaintext);

    const context = keySchedule(crypto, { kemId: 0x20, aeadId: AEAD_AES_256_GCM }, keyPair.decapsulate(enc)!, info);
    const suiteId = hpkeSuiteId(0x20, AEAD_AES_256_GCM);
    const exported = labeledExpand(crypto, suiteId, context.exporterSecret, 'sec', utf8('context'), 32);
    expect(exported).toEqual(new Uint8Array(await sender.export(utf8('context'), 32)));
  });

  it.each(KEMS)('$name: wrong info, key, enc or ciphertext → null', (kem) => {
    const mine = kem.keyPair(crypto, new Uint8Array(kem.seedBytes).fill(1));
    const other = kem.keyPair(crypto, new Uint8Array(kem.seedBytes).fill(2));
    const [info, plaintext] = [utf8('info'), utf8('key')];
    const input = { publicKey: mine.publicKey, coins: new Uint8Array(kem.coinsBytes).fill(3), info, plaintext };
    const sealed = hpkeSeal(crypto, kem, input)!;
    expect(hpkeOpen(crypto, kem, mine, { ...sealed, info })).toEqual(plaintext);
    expect(hpkeOpen(crypto, kem, other, { ...sealed, info })).toBeNull();
    expect(hpkeOpen(crypto, kem, mine, { ...sealed, info: utf8('inf0') })).toBeNull();
    for (const part of ['enc', 'ciphertext'] as const) {
      const flipped = sealed[part].slice();
      flipped[flipped.length - 1]! ^= 1;
      expect(hpkeOpen(crypto, kem, mine, { ...sealed, info, [part]: flipped })).toBeNull();
    }
  });

  it('X-Wing with an X25519 point of small order → null on both sides', () => {
    const kem = kemById(KEM_IDS.xWing)!;
    const keyPair = kem.keyPair(crypto, new Uint8Array(32).fill(5));
    const weakKey = keyPair.publicKey.slice();
    weakKey.fill(0, 1184);
    expect(kem.encapsulate(crypto, weakKey, new Uint8Array(64).fill(6))).toBeNull();
    const weakEnc = kem.encapsulate(crypto, keyPair.publicKey, new Uint8Array(64).fill(6))!.enc.slice();
    weakEnc.fill(0, 1088);
    expect(keyPair.decapsulate(weakEnc)).toBeNull();
  });

  it('an AEAD nobody named → RangeError', () => {
    expect(() => keySchedule(crypto, { kemId: 0x41, aeadId: 9 }, new Uint8Array(32), utf8(''))).toThrow(RangeError);
  });
});

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  type AlgorithmName,
  encodePublicKey,
  encodeSecretKey,
  fingerprint,
  generateKey,
  nodeCrypto,
  nodeRandom,
} from '#sdk/seal/node';
import { toHex } from '../base64url.ts';
import { fingerprintWords, parsePublicKey } from './public-key.ts';

function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

describe('parsePublicKey', () => {
  test.each<[AlgorithmName]>([['x-wing'], ['ml-kem-768'], ['ed25519'], ['ml-dsa-65']])(
    'parsePublicKey: a key of %s as the device writes it → accepted, with the fingerprint and words the device shows',
    (algorithm) => {
      const key = generateKey(nodeCrypto, nodeRandom, algorithm);
      const text = encodePublicKey(nodeCrypto, key);
      const shown = fingerprint(nodeCrypto, key);
      const parsed = parsePublicKey(key.purpose, `${text}\n`, sha256);
      expect(parsed).toMatchObject({ ok: true, key: { text, fingerprint: toHex(shown.bytes) } });
      if (parsed.ok) expect(fingerprintWords(parsed.key.fingerprint)).toBe(shown.words);
    },
  );

  test('parsePublicKey: what is no such key → refused with what was expected, and never shown', () => {
    const ops = generateKey(nodeCrypto, nodeRandom, 'x-wing');
    const text = encodePublicKey(nodeCrypto, ops);
    const secret = encodeSecretKey(nodeCrypto, ops);
    const signer = encodePublicKey(nodeCrypto, generateKey(nodeCrypto, nodeRandom, 'ed25519'));
    const outOfRange = encodePublicKey(nodeCrypto, { ...ops, publicKey: ops.publicKey.slice().fill(0xff, 0, 3) });
    const short = encodePublicKey(nodeCrypto, { ...ops, publicKey: ops.publicKey.subarray(1) });
    const typed = `${text.slice(0, 40)}${text[40] === 'A' ? 'B' : 'A'}${text.slice(41)}`;
    const cases: [string, string][] = [
      ['', 'begin with fuselink_pub1_'],
      [secret, 'private key'],
      [signer, 'for something else'],
      [typed, 'mistyped'],
      [text.slice(0, -1), 'base64url'],
      [`${text}=`, 'base64url'],
      [short, 'expected 1216 bytes'],
      [outOfRange, 'coefficient'],
    ];
    for (const [given, expected] of cases) {
      const parsed = parsePublicKey('recipient', given, sha256);
      expect(parsed).toMatchObject({ ok: false, detail: expect.stringContaining(expected) });
      if (!parsed.ok) expect(parsed.detail).not.toContain(secret.slice(20));
    }
  });
});

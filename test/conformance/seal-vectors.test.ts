import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  createOpener,
  createSealer,
  decodeFragment,
  decodePublicKey,
  decodeSecretKey,
  encodeFragment,
  encodePublicKey,
  encodeSecretKey,
  fingerprint,
  generateKey,
  lockSecretKey,
  nobleCrypto,
  type SecretKey,
  sealedBytesOf,
  unlockSecretKey,
} from '#sdk/seal';
import { WORDS } from '../../sdk/seal/keys/words.ts';
import { nodeCrypto } from '../../sdk/seal/node.ts';
import type { SealFileVector, SealVectors } from './seal-vector-shape.ts';
import { seededContent, seededRandom } from './seeded-random.ts';
import { fromHex, readVectors } from './vectors.ts';

const FOLDER = new URL('vectors/seal/', import.meta.url);
const vectors = readVectors<SealVectors>('seal/v1.json');

function sealedOf(file: SealFileVector): Uint8Array {
  return new Uint8Array(readFileSync(new URL(file.sealed_file, FOLDER)));
}

describe('frozen vectors of format version 1', () => {
  it('the folder → holds what the list names and nothing else, unchanged', () => {
    expect(readdirSync(FOLDER).sort()).toEqual(['v1.json', ...vectors.files.map((file) => file.sealed_file)].sort());
    for (const file of vectors.files) {
      expect(createHash('sha256').update(sealedOf(file)).digest('hex'), file.name).toBe(file.sealed_sha256);
    }
    const list = readFileSync(new URL('v1.json', FOLDER));
    expect(createHash('sha256').update(list).digest('hex')).toBe(
      '0ca6e42b161a67b5919f09f65ea077e673c33a4d88bb67f8182423f5b865e6e2',
    );
  });
});

describe('frozen words of version 1', () => {
  it('the list in its order → as it was', () => {
    expect(createHash('sha256').update(WORDS.join(' ')).digest('hex')).toBe(
      '87902679ace07ff02b0fc8c2984bb331e4f2e5d13a2a3bd3a515fb62a5cf444f',
    );
  });
});

describe.each([nobleCrypto, nodeCrypto])('frozen vectors on $name', (crypto) => {
  const keyOf = (name: string): SecretKey => {
    const key = vectors.keys.find((each) => each.name === name)!;
    return decodeSecretKey(crypto, key.purpose, key.secret_text);
  };
  const requestOf = (file: SealFileVector) => ({
    to:
      file.recipients.length === 0
        ? ({ kind: 'link' } as const)
        : ({ kind: 'recipients', recipients: file.recipients.map(keyOf) } as const),
    name: file.file_name,
    contentBytes: file.announced_bytes,
    mediaType: file.media_type,
    modifiedAtMs: file.modified_at_ms,
    signer: file.signer === null ? null : keyOf(file.signer),
  });

  it.each(vectors.keys)('key $name ($algorithm) → its texts, lock and fingerprint, both ways', (vector) => {
    const random = seededRandom(vector.name);
    const key = generateKey(crypto, random, vector.algorithm);
    expect(Buffer.from(key.seed).toString('hex')).toBe(vector.seed);
    expect(encodePublicKey(crypto, key)).toBe(vector.public_text);
    expect(encodeSecretKey(crypto, key)).toBe(vector.secret_text);
    expect(lockSecretKey({ crypto, random }, key, vector.passphrase, vector.cost_log2)).toBe(vector.locked_text);
    expect(decodePublicKey(crypto, vector.purpose, vector.public_text).publicKey).toEqual(key.publicKey);
    expect(decodeSecretKey(crypto, vector.purpose, vector.secret_text)).toEqual(key);
    expect(unlockSecretKey(crypto, vector.purpose, vector.locked_text, vector.passphrase)).toEqual(key);
    const print = fingerprint(crypto, key);
    expect([Buffer.from(print.bytes).toString('hex'), print.hex, print.words]).toEqual([
      vector.fingerprint,
      vector.fingerprint_hex,
      vector.fingerprint_words,
    ]);
  });

  it('fragments → both ways', () => {
    for (const { content_key, fragment } of vectors.fragments) {
      expect(encodeFragment(crypto, fromHex(content_key))).toBe(fragment);
      expect(decodeFragment(crypto, fragment)).toEqual(fromHex(content_key));
      expect(decodeFragment(crypto, `#${fragment}`)).toEqual(fromHex(content_key));
    }
  });

  it.each(vectors.files)('file $name → opens, for each recipient', (file) => {
    const keys =
      file.fragment !== null
        ? [{ contentKey: decodeFragment(crypto, file.fragment) }]
        : file.recipients.map((name) => ({ identities: [keyOf(name)] }));
    for (const key of keys) {
      const opener = createOpener(crypto, key);
      const content = opener.push(sealedOf(file));
      const { released, report } = opener.finish();
      expect(Buffer.concat([...content, ...released]).equals(seededContent(file.name, file.content_bytes))).toBe(true);
      expect(report.contentBytes).toBe(file.content_bytes);
      expect({ ...report.manifest, signer: null }).toEqual({
        name: file.file_name,
        contentBytes: file.announced_bytes,
        mediaType: file.media_type,
        modifiedAtMs: file.modified_at_ms,
        signer: null,
      });
      expect(report.signer?.publicKey ?? null).toEqual(file.signer === null ? null : keyOf(file.signer).publicKey);
    }
  });

  it.each(vectors.files)('file $name from the same randomness → the same bytes', (file) => {
    const sealer = createSealer({ crypto, random: seededRandom(file.name) }, requestOf(file));
    const content = seededContent(file.name, file.content_bytes);
    const sealed = Buffer.concat([...sealer.push(content), ...sealer.finish()]);
    expect(sealed.equals(sealedOf(file))).toBe(true);
    expect(sealer.fragment).toBe(file.fragment);
    expect(sealedBytesOf(requestOf(file), file.content_bytes)).toBe(sealed.length);
  });
});

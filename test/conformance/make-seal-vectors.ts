/**
 * Wrote `vectors/seal/`, once. It refuses to run where they exist: they are what keeps files of format version 1
 * readable for ever. Run: `npx tsx test/conformance/make-seal-vectors.ts`.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import {
  type AlgorithmName,
  createSealer,
  encodeFragment,
  encodePublicKey,
  encodeSecretKey,
  fingerprint,
  generateKey,
  lockSecretKey,
  nobleCrypto,
  type SecretKey,
} from '#sdk/seal';
import type { SealFileVector, SealKeyVector, SealVectors } from './seal-vector-shape.ts';
import { seededContent, seededRandom } from './seeded-random.ts';

const FOLDER = new URL('vectors/seal/', import.meta.url);
const crypto = nobleCrypto;
const COST_LOG2 = 12;

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

const pairs = new Map<string, SecretKey>();

function keyVector(name: string, algorithm: AlgorithmName): SealKeyVector {
  const random = seededRandom(name);
  const key = generateKey(crypto, random, algorithm);
  pairs.set(name, key);
  const passphrase = `passphrase of ${name} – Ǻ`;
  const print = fingerprint(crypto, key);
  return {
    name,
    purpose: key.purpose,
    algorithm,
    seed: toHex(key.seed),
    public_text: encodePublicKey(crypto, key),
    secret_text: encodeSecretKey(crypto, key),
    passphrase,
    cost_log2: COST_LOG2,
    locked_text: lockSecretKey({ crypto, random }, key, passphrase, COST_LOG2),
    fingerprint: toHex(print.bytes),
    fingerprint_hex: print.hex,
    fingerprint_words: print.words,
  };
}

type FileInput = Pick<SealFileVector, 'name' | 'content_bytes'> & Partial<SealFileVector>;

function fileVector(input: FileInput): SealFileVector {
  const recipients = input.recipients ?? [];
  const signer = input.signer ?? null;
  const effects = { crypto, random: seededRandom(input.name) };
  const sealer = createSealer(effects, {
    to:
      recipients.length === 0
        ? { kind: 'link' }
        : { kind: 'recipients', recipients: recipients.map((name) => pairs.get(name)!) },
    name: input.file_name ?? null,
    contentBytes: input.announced_bytes ?? null,
    mediaType: input.media_type ?? null,
    modifiedAtMs: input.modified_at_ms ?? null,
    signer: signer === null ? null : pairs.get(signer)!,
  });
  const content = seededContent(input.name, input.content_bytes);
  const sealed = Buffer.concat([...sealer.push(content), ...sealer.finish()]);
  const sealed_file = `${input.name}.sealed`;
  writeFileSync(new URL(sealed_file, FOLDER), sealed, { flag: 'wx' });
  return {
    name: input.name,
    recipients,
    signer,
    file_name: input.file_name ?? null,
    announced_bytes: input.announced_bytes ?? null,
    media_type: input.media_type ?? null,
    modified_at_ms: input.modified_at_ms ?? null,
    content_bytes: input.content_bytes,
    fragment: sealer.fragment,
    sealed_file,
    sealed_sha256: createHash('sha256').update(sealed).digest('hex'),
  };
}

mkdirSync(FOLDER, { recursive: true });
const keys = [
  keyVector('ops', 'x-wing'),
  keyVector('lab', 'ml-kem-768'),
  keyVector('pump-7', 'ed25519'),
  keyVector('pump-8', 'ml-dsa-65'),
];
const vectors: SealVectors = {
  format_version: 1,
  keys,
  fragments: ['00'.repeat(32), 'ff'.repeat(32), toHex(seededRandom('fragment').bytes(32))].map((content_key) => ({
    content_key,
    fragment: encodeFragment(crypto, Buffer.from(content_key, 'hex')),
  })),
  files: [
    fileVector({ name: 'link-empty', content_bytes: 0 }),
    fileVector({ name: 'link-named', content_bytes: 13, file_name: 'reading – 7.csv', announced_bytes: 13 }),
    fileVector({
      name: 'link-all-fields',
      content_bytes: 300,
      file_name: 'log.csv',
      announced_bytes: 300,
      media_type: 'text/csv; charset=utf-8',
      modified_at_ms: 1_790_000_000_123,
    }),
    // one chunk exactly full, one byte less, one byte more: the manifest takes 256 bytes
    fileVector({ name: 'link-chunk-less-one', content_bytes: 65_536 - 256 - 1 }),
    fileVector({ name: 'link-chunk-full', content_bytes: 65_536 - 256 }),
    fileVector({ name: 'link-chunk-and-one', content_bytes: 65_536 - 256 + 1 }),
    fileVector({ name: 'one-x-wing', content_bytes: 100, recipients: ['ops'], file_name: 'a' }),
    fileVector({ name: 'one-ml-kem', content_bytes: 100, recipients: ['lab'], announced_bytes: 100 }),
    fileVector({ name: 'two-signed-ed25519', content_bytes: 1_000, recipients: ['ops', 'lab'], signer: 'pump-7' }),
    fileVector({ name: 'link-signed-ed25519', content_bytes: 0, signer: 'pump-7' }),
    // the signature lies across the end of the first chunk
    fileVector({ name: 'one-signed-ml-dsa', content_bytes: 62_000, recipients: ['ops'], signer: 'pump-8' }),
    fileVector({
      name: 'three-chunks-signed',
      content_bytes: 150_000,
      announced_bytes: 150_000,
      recipients: ['lab', 'ops'],
      signer: 'pump-8',
      file_name: 'batch.ndjson.gz',
    }),
  ],
};
writeFileSync(new URL('v1.json', FOLDER), `${JSON.stringify(vectors, null, 1)}\n`, { flag: 'wx' });
console.log(`wrote ${vectors.files.length} files and ${vectors.keys.length} keys`);

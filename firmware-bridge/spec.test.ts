import { createHash, createHmac, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseApiKey } from '#sdk/core';
import { fingerprint } from '#sdk/node';
import {
  DEVICE_SECRET_LABEL,
  FILE_BITMAP_BYTES_MAX,
  FILE_BLOCK_BYTES_MAX,
  FILE_BLOCK_BYTES_MIN,
  FILE_MANIFEST_BYTES_MAX,
  FILE_TABLE_HASHES,
  FILE_TABLES_TOLD_MAX,
  FIRMWARE_LABEL,
  GATEWAY_DOWN_LABEL,
  GATEWAY_MESSAGE_BYTES_MAX,
  GATEWAY_UP_LABEL,
  OFFER_WRAP_LABEL,
  parseFileManifest,
  SECRET_WRAP_LABEL,
} from '#sdk/protocol';
import { maySubscribe, publishTopic } from './broker/topics.ts';
import { FileReceiver } from './files/file-receiver.ts';
import { isSignedBy } from './files/firmware.ts';
import { fileIdOf, makeManifest } from './files/make-manifest.ts';
import { BRIDGE_LIMITS } from './limits.ts';
import { wrapSecret } from './testing/mqtt-device.ts';

/** SPEC.md against the code: its topics, its numbers, its labels, and every vector computed again. */
const SPEC = readFileSync(join(import.meta.dirname, 'SPEC.md'), 'utf8');
const VECTORS = JSON.parse(/## Vectors\n\n```json\n([\s\S]*?)```/.exec(SPEC)?.[1] ?? '');
const folder = mkdtempSync(join(tmpdir(), 'fuselink-spec-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hmac = (key: Uint8Array | string, text: string) => createHmac('sha256', key).update(text).digest();

describe('SPEC.md', () => {
  const rows = [...SPEC.matchAll(/^\| ((?:`[^`]+` ?)+)\| (device|gateway|sender|receiver)/gm)].map((row) => ({
    topics: [...(row[1] ?? '').matchAll(/`([^`]+)`/g)].map((one) => one[1] as string),
  }));
  const filled = (topic: string) =>
    topic.replace('<channel>', 'a/b').replace('<id>', '0'.repeat(32)).replace('<sha256>', '1'.repeat(64));

  test('topics: what goes up may be published by its device, what comes down may not and is its own to hear', () => {
    const topics = rows.flatMap((row) => row.topics);
    expect(topics).toHaveLength(13);
    for (const topic of topics) {
      const whole = `fuselink/v1/pump/${filled(topic)}`;
      const up = topic.startsWith('up/') || topic === 'status';
      expect([topic, publishTopic('pump', whole) !== null]).toEqual([topic, up]);
      expect(publishTopic('valve', whole)).toBeNull();
      expect([maySubscribe('pump', whole), maySubscribe('valve', whole)]).toEqual([true, false]);
    }
  });

  test('numbers and labels: those of the code', () => {
    const numbers = [
      [GATEWAY_MESSAGE_BYTES_MAX, 'The line, at most # bytes'],
      [FILE_MANIFEST_BYTES_MAX, 'one line of JSON, at most # bytes'],
      [FILE_BLOCK_BYTES_MIN, 'bytes of a block, # to'],
      [FILE_BLOCK_BYTES_MAX, 'to #; the last may be shorter'],
      [FILE_TABLE_HASHES, 'up to # blocks, one after another'],
      [FILE_TABLES_TOLD_MAX, 'numbers of missing tables (# at most)'],
      [FILE_BITMAP_BYTES_MAX, 'at most # bytes, and nothing behind'],
      [BRIDGE_LIMITS.statusBytesMax, 'at most # bytes, may be retained'],
    ] as const;
    for (const [number, text] of numbers) expect(SPEC).toContain(text.replace('#', number.toLocaleString('en-US')));
    const labels = [
      DEVICE_SECRET_LABEL,
      GATEWAY_UP_LABEL,
      GATEWAY_DOWN_LABEL,
      OFFER_WRAP_LABEL,
      SECRET_WRAP_LABEL,
      FIRMWARE_LABEL,
    ];
    for (const label of labels) expect(SPEC).toContain(`"${label}"`);
  });

  test('vectors: a call and its answer', () => {
    const { key, device, line, answer, fingerprint: named, mac, answer_mac, staged_key, wrapped_secret } = VECTORS.call;
    const parsed = parseApiKey(key);
    const staged = parseApiKey(staged_key);
    if (parsed === null || staged === null) throw new Error('expected two API keys');
    expect(fingerprint(parsed)).toBe(named);
    const secret = hmac(parsed.bytes(), DEVICE_SECRET_LABEL);
    expect(hmac(hmac(secret, GATEWAY_UP_LABEL), `${device}\n${line}`).toString('hex')).toBe(mac);
    expect(hmac(hmac(secret, GATEWAY_DOWN_LABEL), `${device}\n${answer}`).toString('hex')).toBe(answer_mac);
    expect(wrapSecret(parsed, staged)).toBe(wrapped_secret);
  });

  test('vectors: a file, its tables, its id, what is missing of it', async () => {
    const { text, repeated, block, manifest, id, table_hash, missing } = VECTORS.file;
    const path = join(folder, 'file');
    writeFileSync(path, (text as string).repeat(repeated));
    const parsed = parseFileManifest(manifest, 1_000_000);
    if (typeof parsed === 'string') throw new Error(parsed);
    const made = await makeManifest(path, { name: parsed.name, type: parsed.type, block, n: parsed.n as string });
    expect(made.line).toBe(manifest);
    expect(fileIdOf(manifest)).toBe(id);
    expect(createHash('sha256').update(made.tables).digest('hex')).toBe(table_hash);
    const receiver = await FileReceiver.open(join(folder, 'receiver'), manifest, parsed);
    expect(receiver.state()).toEqual(missing.at_first);
    await receiver.take(table_hash, made.tables);
    const bytes = readFileSync(path);
    for (const number of missing.taken as number[]) {
      const part = bytes.subarray(number * block, (number + 1) * block);
      expect(await receiver.take(createHash('sha256').update(part).digest('hex'), part)).toBe('taken');
    }
    expect(receiver.state()).toEqual(missing.then);
    await receiver.close();
  });

  test('vectors: a signed image', () => {
    const { seed, public_key, line, signature } = VECTORS.image;
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(seed, 'hex')]);
    const secret = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const raw = createPublicKey(secret).export({ format: 'jwk' }).x as string;
    expect(Buffer.from(raw, 'base64url').toString('hex')).toBe(public_key);
    expect(sign(null, Buffer.from(`${FIRMWARE_LABEL}\n${line}`), secret).toString('base64url')).toBe(signature);
    expect(isSignedBy(public_key, line, signature)).toBe(true);
    expect(isSignedBy(public_key, `${line} `, signature)).toBe(false);
  });
});

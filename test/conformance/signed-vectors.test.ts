import { createDecipheriv, createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Fields, fromAscii, hmacSha256, signRequest, unwrapKey, verifiedFields } from '#sdk/core';
import {
  ANSWERING_LABEL,
  DEVICE_SECRET_LABEL,
  LINK_WRAP_LABEL,
  OFFER_WRAP_LABEL,
  SIGNING_LABEL,
  signatureKeyId,
} from '#sdk/protocol';
import type { SignedAnswerVector, SignedVectors } from './signed-vector-shape.ts';
import { fromHex, readVectors } from './vectors.ts';

const vectors = readVectors<SignedVectors>('signed-requests.json');
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());
const derived = (key: string, label: string) => hmacSha256(sha256, fromHex(key), fromAscii(label));
const macUnder = (key: string) => (text: string) =>
  `:${Buffer.from(hmacSha256(sha256, fromHex(key), fromAscii(text))).toString('base64')}:`;
const decryptBlock = (key: Uint8Array, block: Uint8Array) => {
  const cipher = createDecipheriv('aes-256-ecb', key, null);
  cipher.setAutoPadding(false);
  return new Uint8Array(cipher.update(block));
};
const answering = macUnder(vectors.answering_key);

interface Told {
  status: string;
  fields: Fields;
  contentDigest: string;
}
const verified = (mac: (text: string) => string, signature: string, { status, fields, contentDigest }: Told) =>
  verifiedFields(mac, signature, status, fields, contentDigest);

function answerOf(vector: SignedAnswerVector) {
  const fields: Fields = { 'signature-input': vector.signature_input, signature: vector.signature };
  for (const { name, value } of vector.headers) fields[name] = value;
  const request = vectors.requests.find(({ name }) => name === vector.request);
  if (request === undefined) throw new Error(`no request ${vector.request}`);
  return { request, answer: { status: String(vector.status), fields, contentDigest: vector.content_digest } };
}

describe('signed vectors', () => {
  test('keys: D and what is derived from it → the frozen bytes', () => {
    const { device_secret: secret } = vectors;
    expect(toHex(derived(vectors.key, DEVICE_SECRET_LABEL))).toBe(secret);
    expect(toHex(derived(secret, SIGNING_LABEL))).toBe(vectors.signing_key);
    expect(toHex(derived(secret, ANSWERING_LABEL))).toBe(vectors.answering_key);
    expect(toHex(derived(secret, OFFER_WRAP_LABEL))).toBe(vectors.wrapping_key);
    expect(toHex(derived(secret, LINK_WRAP_LABEL))).toBe(vectors.link_key);
    expect(signatureKeyId(vectors.device_id, vectors.fingerprint)).toBe(vectors.key_id);
  });

  test.each(vectors.requests)('request: $name → the frozen header fields', (vector) => {
    let signed = '';
    const mac = (text: string) => {
      signed = text;
      return macUnder(vectors.signing_key)(text);
    };
    const { method, target, nonce, headers } = vector;
    const [path = '', query = ''] = target.split('?');
    const fields: Fields = {
      'content-digest': vector.content_digest,
      ...Object.fromEntries(headers.map(({ name, value }) => [name, value])),
    };
    const result = signRequest(mac, { method, path, query, nonce, keyId: vectors.key_id }, fields);
    expect(signed).toBe(vector.signature_base);
    expect(result).toBe(vector.signature);
    expect(fields).toMatchObject({ 'signature-input': vector.signature_input, signature: vector.signature });
  });

  test.each(vectors.answers)('answer: $name → its fields, and nothing for any altered one', (vector) => {
    const { request, answer } = answerOf(vector);
    const told = verified(answering, request.signature, answer);
    expect(told).toEqual(Object.fromEntries(vector.headers.map(({ name, value }) => [name, value])));

    const forged = [
      { ...answer, status: '200' },
      { ...answer, contentDigest: vectors.requests[3]?.content_digest === answer.contentDigest ? '' : 'sha-256=::' },
      ...vector.headers.map(({ name }) => ({ ...answer, fields: { ...answer.fields, [name]: 'altered' } })),
      { ...answer, fields: { ...answer.fields, signature: request.signature } },
      { ...answer, fields: { ...answer.fields, 'signature-input': request.signature_input } },
      { ...answer, fields: {} },
    ];
    for (const one of forged) expect(verified(answering, request.signature, one)).toBeNull();
    for (const other of vectors.requests.filter(({ name }) => name !== request.name)) {
      expect(verified(answering, other.signature, answer)).toBeNull();
    }
    expect(verified(macUnder(vectors.signing_key), request.signature, answer)).toBeNull();
  });

  test('answer: a field that is not covered → is not there', () => {
    const { request, answer } = answerOf(vectors.answers[2] as SignedAnswerVector);
    const fields = { ...answer.fields, 'fuselink-rotation': 'settled;gen=9' };
    const told = verified(answering, request.signature, { ...answer, fields });
    expect(told).not.toHaveProperty('fuselink-rotation');
  });

  test('wraps: an offered key and the token of a link → unwrapped; altered or under another key → null', () => {
    const { wrapped_offer: offer, wrapped_link: link } = vectors;
    const wrapping = fromHex(vectors.wrapping_key);
    expect(toHex(unwrapKey(decryptBlock, wrapping, fromHex(offer.wrapped)) as Uint8Array)).toBe(offer.key);
    const token = unwrapKey(decryptBlock, fromHex(vectors.link_key), fromHex(link.wrapped)) as Uint8Array;
    expect(`/get/${Buffer.from(token).toString('base64url')}`).toBe(link.path);
    expect(unwrapKey(decryptBlock, wrapping, fromHex(link.wrapped))).toBeNull();
    for (let i = 0; i < 40; i++) {
      const altered = fromHex(offer.wrapped);
      altered[i] = (altered[i] as number) ^ 1;
      expect(unwrapKey(decryptBlock, wrapping, altered)).toBeNull();
    }
    expect(unwrapKey(decryptBlock, wrapping, new Uint8Array(24))).toBeNull();
  });
});

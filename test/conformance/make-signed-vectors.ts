/**
 * Wrote `vectors/signed-requests.json`, once, from nothing but RFC 9421, RFC 3394 and sdk/SIGNED.md: none of the code that
 * is checked against them. Run: `npx tsx test/conformance/make-signed-vectors.ts`.
 */
import { createCipheriv, createHash, createHmac } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import type { SignedAnswerVector, SignedRequestVector, SignedVectors } from './signed-vector-shape.ts';

const FILE = new URL('vectors/signed-requests.json', import.meta.url);

const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text, 'latin1').digest();
const digestOf = (body: Buffer) => `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
const wrap = (kek: Buffer, plain: Buffer) => {
  const cipher = createCipheriv('id-aes256-wrap', kek, Buffer.alloc(8, 0xa6));
  return Buffer.concat([cipher.update(plain), cipher.final()]).toString('hex');
};

const key = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex');
const fingerprint = createHash('sha256').update('fuselink fp').update(key).digest('hex').slice(0, 16);
const secret = hmac(key, 'fuselink device v1');
const derived = {
  signing: hmac(secret, 'fuselink sign v1'),
  answering: hmac(secret, 'fuselink answer v1'),
  wrapping: hmac(secret, 'fuselink wrap v1'),
  link: hmac(secret, 'fuselink link v1'),
};
const deviceId = 'dev_vectors';
const keyId = `${deviceId}:${fingerprint}`;
const nonceOf = (name: string) => createHash('sha512').update(name).digest().subarray(0, 33).toString('base64url');

type RequestInput = Pick<SignedRequestVector, 'name' | 'method' | 'target' | 'headers' | 'body'> & { nonce?: string };

function requestVector(input: RequestInput): SignedRequestVector {
  const body = Buffer.from(input.body, 'hex');
  const nonce = input.nonce ?? nonceOf(input.name);
  const [path = '', query = ''] = input.target.split('?');
  const values: [string, string][] = [
    ['@method', input.method],
    ['@path', path],
    ['@query', `?${query}`],
    ['content-digest', digestOf(body)],
    ...input.headers.map(({ name, value }): [string, string] => [name, value]),
  ];
  const names = values.map(([name]) => `"${name}"`).join(' ');
  const params = `(${names});keyid="${keyId}";alg="hmac-sha256";nonce="${nonce}"`;
  const base = `${values.map(([name, value]) => `"${name}": ${value}\n`).join('')}"@signature-params": ${params}`;
  return {
    ...input,
    nonce,
    content_digest: digestOf(body),
    signature_base: base,
    signature_input: `fl=${params}`,
    signature: `fl=:${hmac(derived.signing, base).toString('base64')}:`,
  };
}

type AnswerInput = Pick<SignedAnswerVector, 'name' | 'status' | 'headers' | 'body'>;

function answerVector(request: SignedRequestVector, input: AnswerInput): SignedAnswerVector {
  const values: [string, string][] = [
    ['"signature";req;key="fl"', request.signature.slice(3)],
    ['"@status"', String(input.status)],
    ['"content-digest"', digestOf(Buffer.from(input.body, 'hex'))],
    ...input.headers.map(({ name, value }): [string, string] => [`"${name}"`, value]),
  ];
  const list = values.map(([name]) => name).join(' ');
  const params = `(${list});keyid="${keyId}";alg="hmac-sha256";nonce="${request.nonce}"`;
  const base = `${values.map(([name, value]) => `${name}: ${value}\n`).join('')}"@signature-params": ${params}`;
  return {
    ...input,
    request: request.name,
    content_digest: digestOf(Buffer.from(input.body, 'hex')),
    signature_base: base,
    signature_input: `fl=${params}`,
    signature: `fl=:${hmac(derived.answering, base).toString('base64')}:`,
  };
}

const hex = (text: string) => Buffer.from(text).toString('hex');
const headers = (fields: Record<string, string>) => Object.entries(fields).map(([name, value]) => ({ name, value }));
const position = (sequence: number) => ({ 'fuselink-device': `boot=7;seq=${sequence};tag=8f3a01bc;phase=SETTLED` });

const requests = [
  requestVector({
    name: 'the first of a boot: no nonce yet',
    method: 'GET',
    target: '/v1/device',
    headers: headers(position(1)),
    body: '',
    nonce: '',
  }),
  requestVector({
    name: 'an upload in one request',
    method: 'POST',
    target: '/v1/upload',
    headers: headers({
      'content-type': 'application/octet-stream',
      'x-filename': 'caf%C3%A9.csv',
      'x-ttl': '3600',
      'idempotency-key': 'dev_vectors.7.2.00112233445566778899aabbccddeeff',
      ...position(2),
    }),
    body: hex('celsius\n21.5\n'),
  }),
  requestVector({
    name: 'an upload with a query and every byte there is in its body',
    method: 'PUT',
    target: '/v1/upload/all%20bytes?x=1&y=%3F',
    headers: headers(position(3)),
    body: Buffer.from(Uint8Array.from({ length: 256 }, (_, i) => i)).toString('hex'),
  }),
  requestVector({
    name: 'the beginning of a stream',
    method: 'POST',
    target: '/v1/uploads',
    headers: headers({
      'tus-resumable': '1.0.0',
      'upload-length': '5',
      'upload-metadata': 'filename YS50eHQ=',
      'idempotency-key': 'dev_vectors.7.4.ffeeddccbbaa99887766554433221100',
      ...position(4),
    }),
    body: '',
  }),
  requestVector({
    name: 'a piece of a stream',
    method: 'PATCH',
    target: '/v1/uploads/AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4',
    headers: headers({
      'content-type': 'application/offset+octet-stream',
      'tus-resumable': '1.0.0',
      'upload-offset': '0',
      ...position(5),
    }),
    body: hex('hello'),
  }),
  requestVector({
    name: 'a status report',
    method: 'POST',
    target: '/v1/device/status',
    headers: headers({ 'content-type': 'application/json', ...position(6) }),
    body: hex('{"phase":"SETTLED","boot":7,"sequence":6,"boot_tag":"8f3a01bc"}'),
  }),
];

const named = (name: string) => requests.find((one) => one.name.startsWith(name)) as SignedRequestVector;
const next = (name: string) => ({ 'fuselink-nonce': nonceOf(`next ${name}`) });
const token = Buffer.from(createHash('sha256').update('a link token').digest());

const answers = [
  answerVector(named('the first'), {
    name: 'refused: here is a nonce',
    status: 401,
    headers: headers({
      ...next('first'),
      'www-authenticate': 'Bearer realm="fuselink", error="nonce_missing"',
    }),
    body: hex('{"status":401,"code":"nonce_missing"}'),
  }),
  answerVector(named('an upload in one'), {
    name: 'stored: with a wrapped link',
    status: 201,
    headers: headers({
      ...next('upload'),
      'fuselink-rotation': 'wanted;gen=2;base=a1d4e6fcf372bdbf;source=offer',
      'fuselink-wrapped-link': wrap(derived.link, token),
      location: '/v1/transfers/tr_1',
    }),
    body: hex('{"id":"tr_1","url":null}'),
  }),
  answerVector(named('a piece'), {
    name: 'kept: no body',
    status: 204,
    headers: headers({ ...next('piece'), 'upload-length': '5', 'upload-offset': '5' }),
    body: '',
  }),
  answerVector(named('a status'), {
    name: 'the key was revoked',
    status: 401,
    headers: headers({ ...next('status'), 'www-authenticate': 'Bearer realm="fuselink", error="key_revoked"' }),
    body: hex(`{"status":401,"code":"key_revoked","fingerprint":"${fingerprint}"}`),
  }),
];

const offered = Buffer.from(createHash('sha256').update('an offered key').digest());
const vectors: SignedVectors = {
  key: key.toString('hex'),
  fingerprint,
  device_id: deviceId,
  key_id: keyId,
  device_secret: secret.toString('hex'),
  signing_key: derived.signing.toString('hex'),
  answering_key: derived.answering.toString('hex'),
  wrapping_key: derived.wrapping.toString('hex'),
  link_key: derived.link.toString('hex'),
  requests,
  answers,
  wrapped_offer: { key: offered.toString('hex'), wrapped: wrap(derived.wrapping, offered) },
  wrapped_link: {
    token: token.toString('hex'),
    wrapped: wrap(derived.link, token),
    path: `/get/${token.toString('base64url')}`,
  },
};

if (existsSync(FILE)) throw new Error('the vectors exist: they are what keeps devices in the field working');
writeFileSync(FILE, `${JSON.stringify(vectors, null, 2)}\n`);

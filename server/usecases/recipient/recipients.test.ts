import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RecipientAnswer, SigningKeyAnswer } from '#sdk/protocol';
import { type AlgorithmName, encodePublicKey, fingerprint, generateKey, nodeCrypto, nodeRandom } from '#sdk/seal/node';
import { findStored } from '../../../test/support/stored-bytes.ts';
import { startTestServer, type TestServer } from '../../../test/support/test-server.ts';
import type { DeviceId, RecipientId } from '../../domain/ids.ts';
import { createAccount, operatorOf } from '../account/create-account.ts';
import { confirmRecipient, listRecipients, putRecipient, removeRecipient } from './recipients.ts';
import { confirmSigningKey, removeSigningKey } from './signing-keys.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

function newKey(algorithm: AlgorithmName): { text: string; words: string; hex: string } {
  const key = generateKey(nodeCrypto, nodeRandom, algorithm);
  const { words, bytes } = fingerprint(nodeCrypto, key);
  return { text: encodePublicKey(nodeCrypto, key), words, hex: Buffer.from(bytes).toString('hex') };
}

interface Called {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what each test is about to find out
  body: any;
}

async function call(method: string, path: string, key: string, body?: object): Promise<Called> {
  const answer = await fetch(`${server.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: await answer.json() };
}

const put = (email: string, publicKey: string, replace = false) =>
  putRecipient(server.deps, server.operator, { email, publicKey, replace });

async function audited(action: string) {
  const rows = await server.deps.store.list('audit', {
    where: [['chain', '=', server.operator.accountId]],
    orderBy: [['seq', 'asc']],
    limit: 1000,
  });
  return rows.filter((row) => row.action === action);
}

describe('recipients', () => {
  test('recipient: entered by the operator → found by any key of the account by address, with fingerprint and words', async () => {
    const ops = newKey('x-wing');
    const { recipient, created } = await put(' Ops@Example.com ', `${ops.text}\n`);
    expect(created).toBe(true);
    expect(recipient).toMatchObject({ email: 'ops@example.com', fingerprint: ops.hex, fingerprint_words: ops.words });
    const device = await server.device();
    for (const key of [server.accountKey, device.key]) {
      const found = await call('GET', '/v1/recipients?email=OPS@example.com', key);
      expect(found).toEqual({ status: 200, body: { recipients: [recipient], next_cursor: null } });
    }
    expect((await call('GET', '/v1/recipients?email=nobody@example.com', device.key)).body.recipients).toEqual([]);
  });

  test('recipient: the whole list → for account keys, in pages; refused to a device key', async () => {
    for (const name of ['p1', 'p2', 'p3']) await put(`${name}@pages.example`, newKey('ml-kem-768').text);
    const device = await server.device();
    expect(await call('GET', '/v1/recipients', device.key)).toMatchObject({
      status: 403,
      body: { code: 'role_insufficient' },
    });
    const emails: string[] = [];
    for (let cursor = ''; ; ) {
      const { body } = await call('GET', `/v1/recipients?limit=2${cursor}`, server.accountKey);
      emails.push(...body.recipients.map((one: RecipientAnswer) => one.email));
      if (body.next_cursor === null) break;
      cursor = `&cursor=${body.next_cursor}`;
    }
    expect(new Set(emails).size).toBe(emails.length);
    expect(emails).toEqual(expect.arrayContaining(['p1@pages.example', 'p2@pages.example', 'p3@pages.example']));
  });

  test('recipient: an API key alone → may not change the directory', async () => {
    const ops = newKey('x-wing');
    const refused = await call('POST', '/v1/recipients', server.accountKey, {
      email: 'mallory@example.com',
      public_key: ops.text,
    });
    expect(refused).toMatchObject({ status: 403, body: { code: 'management_required' } });
    expect((await call('DELETE', '/v1/recipients/rcp_x', server.accountKey)).status).toBe(403);
  });

  test('recipient: another key → refused with both fingerprints; when it is meant, an alarm until it is confirmed', async () => {
    const [first, second] = [newKey('x-wing'), newKey('x-wing')];
    const { recipient } = await put('changes@example.com', first.text);
    const refused = await put('changes@example.com', second.text).catch((error) => error);
    expect(refused).toMatchObject({ code: 'recipient_key_changed' });
    expect(refused.message).toContain(first.words);
    expect(refused.message).toContain(second.words);
    expect((await put('changes@example.com', first.text)).recipient).toEqual(recipient);

    const changed = (await put('changes@example.com', second.text, true)).recipient;
    expect(changed).toMatchObject({
      id: recipient.id,
      fingerprint: second.hex,
      alarm: { since: expect.any(String) },
      earlier_keys: [{ fingerprint: first.hex, until: expect.any(String) }],
    });
    const [entry] = (await audited('recipient.key_changed')).slice(-1);
    expect(entry?.detail).toMatchObject({ fingerprint: second.hex, earlier_fingerprint: first.hex, alarm: true });

    const id = recipient.id as RecipientId;
    const wrong = confirmRecipient(server.deps, server.operator, { id, fingerprint: first.hex });
    await expect(wrong).rejects.toMatchObject({ code: 'recipient_key_changed' });
    const confirmed = await confirmRecipient(server.deps, server.operator, { id, fingerprint: second.hex });
    expect(confirmed).toMatchObject({ alarm: null, earlier_keys: [{ fingerprint: first.hex }] });
  });

  test('recipient: removed and entered again with another key → still refused, still an alarm', async () => {
    const [first, second] = [newKey('x-wing'), newKey('x-wing')];
    const { recipient } = await put('gone@example.com', first.text);
    await removeRecipient(server.deps, server.operator, recipient.id as RecipientId);
    const found = await listRecipients(server.deps, server.operator, { email: 'gone@example.com' });
    expect(found.recipients).toEqual([]);
    await expect(put('gone@example.com', second.text)).rejects.toMatchObject({ code: 'recipient_key_changed' });
    expect((await put('gone@example.com', first.text)).recipient).toMatchObject({ alarm: null, earlier_keys: [] });
    await removeRecipient(server.deps, server.operator, recipient.id as RecipientId);
    const again = (await put('gone@example.com', second.text, true)).recipient;
    expect(again).toMatchObject({ alarm: { since: expect.any(String) }, earlier_keys: [{ fingerprint: first.hex }] });
  });

  test.each([
    ['no address', 'ops', 'key', 'email'],
    ['two addresses', 'a@b.c d@e.f', 'key', 'email'],
    ['no key', 'a@b.example', 'nonsense', 'public_key'],
    ['a signing key', 'a@b.example', 'signer', 'public_key'],
  ])('recipient: %s → invalid_field for it', async (_what, email, kind, field) => {
    const texts: Record<string, string> = { key: newKey('x-wing').text, signer: newKey('ed25519').text };
    await expect(put(email, texts[kind] ?? kind)).rejects.toMatchObject({
      code: 'invalid_field',
      extras: { errors: [{ field, detail: expect.any(String) }] },
    });
  });

  test('recipient: of another account → unknown there; what is stored shows no address', async () => {
    const { recipient } = await put('hidden@secret.example', newKey('x-wing').text);
    const other = await createAccount(server.deps, { email: 'other@example.com' });
    const stranger = operatorOf(other.accountId, other.row);
    const found = await listRecipients(server.deps, stranger, { email: 'hidden@secret.example' });
    expect(found.recipients).toEqual([]);
    await expect(removeRecipient(server.deps, stranger, recipient.id as RecipientId)).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(await findStored(server.dataFolder, { address: 'hidden@secret.example' })).toEqual([]);
  });
});

describe('signing keys', () => {
  test('signing key: registered by its device, twice → 201, then 200; found by name and by id', async () => {
    const device = await server.device('pump-7');
    const pump = newKey('ed25519');
    const made = await call('PUT', '/v1/device/signing-key', device.key, { public_key: pump.text });
    expect(made).toMatchObject({ status: 201, body: { device_name: 'pump-7', fingerprint: pump.hex, alarm: null } });
    expect((await call('PUT', '/v1/device/signing-key', device.key, { public_key: pump.text })).status).toBe(200);
    for (const name of ['pump-7', device.deviceId]) {
      const { body } = await call('GET', `/v1/signing-keys?device=${name}`, server.accountKey);
      expect(body.signing_keys).toEqual([made.body]);
    }
    const { body } = await call('GET', '/v1/signing-keys', server.accountKey);
    expect(body.signing_keys.map((one: SigningKeyAnswer) => one.device_name)).toContain('pump-7');
    expect((await call('GET', '/v1/signing-keys', device.key)).status).toBe(403);
  });

  test('signing key: another one from whoever has the API key → refused until the operator removed the old one, then an alarm', async () => {
    const device = await server.device();
    const [own, other] = [newKey('ml-dsa-65'), newKey('ed25519')];
    await call('PUT', '/v1/device/signing-key', device.key, { public_key: own.text });
    const refused = await call('PUT', '/v1/device/signing-key', device.key, { public_key: other.text });
    expect(refused).toMatchObject({ status: 409, body: { code: 'signing_key_changed' } });
    const deviceId = device.deviceId as DeviceId;
    await removeSigningKey(server.deps, server.operator, deviceId);
    const { body } = await call('GET', `/v1/signing-keys?device=${device.deviceId}`, server.accountKey);
    expect(body.signing_keys).toEqual([]);
    const again = await call('PUT', '/v1/device/signing-key', device.key, { public_key: other.text });
    expect(again).toMatchObject({
      status: 201,
      body: { alarm: { since: expect.any(String) }, earlier_keys: [{ fingerprint: own.hex }] },
    });
    const confirmed = await confirmSigningKey(server.deps, server.operator, { deviceId, fingerprint: other.hex });
    expect(confirmed.alarm).toBeNull();
    expect((await audited('signing_key.changed')).length).toBe(1);
  });

  test('signing key: with an account key, or a recipient key as the text → refused', async () => {
    const device = await server.device();
    const account = await call('PUT', '/v1/device/signing-key', server.accountKey, {
      public_key: newKey('ed25519').text,
    });
    expect(account).toMatchObject({ status: 403, body: { code: 'device_key_required' } });
    const wrong = await call('PUT', '/v1/device/signing-key', device.key, { public_key: newKey('x-wing').text });
    expect(wrong).toMatchObject({ status: 400, body: { code: 'invalid_field' } });
  });
});

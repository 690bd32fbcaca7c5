import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { NONCE_SECONDS, SIGNED_BODY_BYTES_MAX } from '#sdk/protocol';
import { type Called, type Kit, startKit, type TestAccount } from '../testing/server-kit.ts';
import { SigningDevice, type ToSign } from '../testing/signing-device.ts';
import { NONCE_MEMORY_MS } from '../usecases/signed-request/nonces.ts';
import { sweepOnce } from '../usecases/sweep.ts';
import { ROUTES } from './routes.ts';

let kit: Kit;
let account: TestAccount;
let device: SigningDevice;
let enrolled: { id: string; key: string };
let devices = 0;

beforeAll(async () => {
  kit = await startKit({ FUSELINK_UPLOADS_PER_MINUTE: '5' });
  account = await kit.account();
});
beforeEach(async () => {
  enrolled = await account.device(`device ${++devices}`);
  device = new SigningDevice(kit, enrolled);
});
afterAll(() => kit.stop());

const usedNonces = async () => (await kit.server.deps.store.count('used_nonces', { where: [] })).rows;
const uploads = async () => (await kit.server.deps.store.count('transfers', { where: [] })).rows;
const upload = (body: string, headers: Record<string, string> = {}): ToSign => ({
  body,
  headers: { 'x-filename': 'r.txt', ...headers },
});
const code = (answer: Called) => [answer.status, answer.json?.code];

describe('a signed request', () => {
  test('the first of a boot: no nonce → refused, signed, with a nonce that is good once', async () => {
    const first = device.sign({ method: 'GET', target: '/v1/device' });
    const refused = await device.send(first);
    expect(code(refused)).toEqual([401, 'nonce_missing']);
    expect(device.vouchedFor(first, refused)).toBe(true);
    expect(device.nonce).toMatch(/^\d{10}\.[\w-]{39}$/);
    const next = device.sign({ method: 'GET', target: '/v1/device' });
    const answer = await device.send(next);
    expect(answer.json).toMatchObject({ device_id: enrolled.id, key: { state: 'active' } });
    expect(device.vouchedFor(next, answer)).toBe(true);
    expect(device.vouchedFor(first, answer)).toBe(false);
  });

  test('an upload: the link comes wrapped, never in plain form', async () => {
    await device.call({ method: 'GET', target: '/v1/device' });
    const request = device.sign(upload('21.5'));
    const answer = await device.send(request);
    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({
      url: null,
      size: 4,
      sha256: createHash('sha256').update('21.5').digest('hex'),
    });
    expect(device.vouchedFor(request, answer)).toBe(true);
    const token = device
      .unwrap('fuselink link v1', answer.headers.get('fuselink-wrapped-link') ?? '')
      .toString('base64url');
    expect(JSON.stringify([answer.text, ...answer.headers])).not.toContain(token);
    expect((await kit.call('GET', `/get/${token}`, { headers: { 'user-agent': 'curl/8' } })).text).toBe('21.5');
    // What a device says of the file is the file's: nothing was lost on the way through the signature.
    const receipt = await kit.call('GET', `/v1/transfers/${answer.json.id}`, { apiKey: account.apiKey });
    expect(receipt.json).toMatchObject({ filename: 'r.txt', device_id: enrolled.id });
  });

  test('a stream: tus in pieces of 1 KB, its place sealed for the device, its link wrapped', async () => {
    const bytes = Buffer.alloc(3000, 'fuselink ');
    const tus = { 'tus-resumable': '1.0.0' };
    const created = await device.call({ target: '/v1/uploads', headers: { ...tus, 'upload-length': '3000' } });
    expect(created.status).toBe(201);
    const place = new URL(created.headers.get('location') ?? '').pathname;
    let last = created;
    for (let at = 0; at < bytes.length; at += 1024) {
      const piece = bytes.subarray(at, at + 1024);
      const headers = { ...tus, 'upload-offset': String(at), 'content-type': 'application/offset+octet-stream' };
      const request = device.sign({ method: 'PATCH', target: place, headers, body: piece });
      last = await device.send(request);
      expect([last.status, last.headers.get('upload-offset')]).toEqual([204, String(at + piece.length)]);
      expect(device.vouchedFor(request, last)).toBe(true);
    }
    expect(last.headers.get('fuselink-url')).toBeNull();
    const head = device.sign({ method: 'HEAD', target: place, headers: tus });
    const finished = await device.send(head);
    expect(device.vouchedFor(head, finished)).toBe(true);
    const wrapped = finished.headers.get('fuselink-wrapped-link') ?? '';
    expect(last.headers.get('fuselink-wrapped-link')).toBe(wrapped);
    const token = device.unwrap('fuselink link v1', wrapped).toString('base64url');
    const read = await kit.call('GET', `/get/${token}`, { headers: { 'user-agent': 'curl/8' } });
    expect(read.text).toBe(bytes.toString());

    // Whoever saw the place go by cannot make the link of it, nor go on where the device was.
    const other = new SigningDevice(kit, await account.device(`other ${devices}`));
    expect((await other.call({ method: 'HEAD', target: place, headers: tus })).status).toBe(404);
    expect((await kit.call('HEAD', place, { apiKey: account.apiKey, headers: tus })).status).toBe(404);
  });

  test('a body of the largest size goes, one byte more does not; an answer to either is signed', async () => {
    const whole = await device.call(upload('x'.repeat(SIGNED_BODY_BYTES_MAX)));
    expect([whole.status, whole.json.size]).toEqual([201, SIGNED_BODY_BYTES_MAX]);
    const request = device.sign(upload('x'.repeat(SIGNED_BODY_BYTES_MAX + 1)));
    const refused = await device.send(request);
    expect(code(refused)).toEqual([413, 'payload_too_large']);
    expect(device.vouchedFor(request, refused)).toBe(true);
  });

  test('a form and a report: the bodies of every route reach it whole', async () => {
    const form = [
      '--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nabc\r\n',
      '--b\r\nContent-Disposition: form-data; name="ttl"\r\n\r\n60\r\n--b--\r\n',
    ].join('');
    const sent = await device.call({ body: form, headers: { 'content-type': 'multipart/form-data; boundary=b' } });
    expect(sent.json).toMatchObject({ filename: 'a.txt', size: 3 });
    const report = { phase: 'SETTLED', boot: 1, sequence: 9, boot_tag: '0011aabb' };
    const json = { 'content-type': 'application/json' };
    const told = await device.call({ target: '/v1/device/status', body: JSON.stringify(report), headers: json });
    expect(told.json).toMatchObject({ device_id: enrolled.id });
  });

  test('the limit: the sixth of five is refused, signed, and costs nothing but its nonce', async () => {
    for (let i = 0; i < 5; i++) expect((await device.call(upload(`n${i}`))).status).toBe(201);
    const request = device.sign(upload('n5'));
    const refused = await device.send(request);
    expect(code(refused)).toEqual([429, 'upload_limit_exceeded']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(device.vouchedFor(request, refused)).toBe(true);
  });
});

describe('what is refused', () => {
  test('a replay: the second of two is nonce_used; of twenty at once, one is done', async () => {
    await device.call({ method: 'GET', target: '/v1/device' });
    const before = await uploads();
    const request = device.sign(upload('once'));
    const answers = await Promise.all(Array.from({ length: 20 }, () => device.send(request)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(19).fill(401)]);
    expect(answers.filter(({ json }) => json.code === 'nonce_used')).toHaveLength(19);
    expect(await uploads()).toBe(before + 1);
    // Each refusal brought a nonce with which it goes on.
    expect((await device.call(upload('next'))).status).toBe(201);
  });

  test('a body that was altered on the way → digest_mismatch, and the request as it was sent is still good', async () => {
    await device.call({ method: 'GET', target: '/v1/device' });
    const request = device.sign(upload('21.5'));
    const spent = await usedNonces();
    const refused = await device.send({ ...request, body: '99.9' });
    expect(code(refused)).toEqual([400, 'digest_mismatch']);
    expect(await usedNonces()).toBe(spent);
    expect((await device.send(request)).status).toBe(201);
  });

  test('anything that was altered, added or left out → says so, and nothing is done', async () => {
    await device.call({ method: 'GET', target: '/v1/device' });
    const before = [await uploads(), await usedNonces()];
    const request = device.sign({ ...upload('21.5', { 'x-ttl': '600' }), target: '/v1/upload?a=1' });
    const altered: [Partial<typeof request>, string][] = [
      [{ target: '/v1/upload?a=2' }, 'signature_invalid'],
      [{ target: '/v1/upload' }, 'signature_invalid'],
      [{ method: 'PUT', target: '/v1/upload/x?a=1' }, 'signature_invalid'],
      [{ headers: { ...request.headers, 'x-ttl': '604800' } }, 'signature_invalid'],
      [{ headers: { ...request.headers, 'x-filename': 'other' } }, 'signature_invalid'],
      [{ headers: { ...request.headers, 'x-recipient': 'thief@example.com' } }, 'signature_incomplete'],
      [{ headers: { ...request.headers, 'x-http-method-override': 'DELETE' } }, 'signature_incomplete'],
      [{ headers: { ...request.headers, 'idempotency-key': 'k'.repeat(30) } }, 'signature_incomplete'],
      [{ headers: without(request.headers, 'x-ttl') }, 'signature_incomplete'],
      [{ headers: without(request.headers, 'signature') }, 'signature_malformed'],
      [{ headers: without(request.headers, 'signature-input') }, 'signature_malformed'],
    ];
    for (const [change, expected] of altered) {
      const refused = await device.send({ ...request, ...change });
      expect(refused.json.code, JSON.stringify(change)).toBe(expected);
      expect(refused.status).toBe(401);
      expect(refused.headers.get('signature'), 'nobody vouches for an answer to a stranger').toBeNull();
    }
    expect([await uploads(), await usedNonces()]).toEqual(before);
    for (const uncovered of ['@method', '@path', '@query', 'content-digest', 'x-filename', 'fuselink-device']) {
      const refused = await device.call({ ...upload('x'), uncovered });
      expect(code(refused), uncovered).toEqual([401, 'signature_incomplete']);
      expect(refused.json.detail).toContain(uncovered);
    }
  });

  test('a nonce that is missing, stale, foreign or made up → the code that says why, and the next one', async () => {
    const stranger = new SigningDevice(kit, await account.device(`stranger ${devices}`));
    await stranger.call({ method: 'GET', target: '/v1/device' });
    await device.call({ method: 'GET', target: '/v1/device' });
    const stale = device.nonce;
    const tries: [string, string][] = [
      ['', 'nonce_missing'],
      [stranger.nonce, 'nonce_unknown'],
      [stale.replace(/^\d+/, (seconds) => String(Number(seconds) + 1000)), 'nonce_unknown'],
      [stale.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')), 'nonce_unknown'],
      [stale.slice(1), 'nonce_unknown'],
      ['made up', 'nonce_unknown'],
    ];
    for (const [nonce, expected] of tries) {
      const request = device.sign({ ...upload('x'), nonce });
      const refused = await device.send(request);
      expect(code(refused)).toEqual([401, expected]);
      expect(device.vouchedFor(request, refused)).toBe(true);
    }
    kit.advance(1000 * NONCE_SECONDS + 1000);
    expect(code(await device.send(device.sign({ ...upload('x'), nonce: stale })))).toEqual([401, 'nonce_expired']);
    expect((await device.call(upload('x'))).status).toBe(201);
  });

  test('clock nonsense: without times nothing depends on one; with them, only ones that are now', async () => {
    const now = () => Math.floor(kit.server.deps.clock.nowMs() / 1000);
    for (const params of [`;created=${now()}`, `;created=${now() - 200};expires=${now() + 60}`, ';tag="fuselink"']) {
      expect((await device.call({ ...upload('x'), params })).status).toBe(201);
    }
    for (const params of [';created=0', `;created=${now() + 1000}`, `;created=${now()};expires=${now() - 10}`]) {
      const refused = await device.call({ ...upload('x'), params });
      expect(code(refused)).toEqual([401, 'signature_clock']);
    }
  });

  test('what has not the form of a signature → signature_malformed, saying what was expected', async () => {
    await device.call({ method: 'GET', target: '/v1/device' });
    const good = device.sign(upload('x'));
    const input = good.headers['signature-input'] ?? '';
    const wrong: Record<string, string>[] = [
      { 'signature-input': '' },
      { 'signature-input': 'fl=x' },
      { 'signature-input': input.replace('fl=', 'sig=') },
      { 'signature-input': input.replace(/keyid="[^"]*"/, 'keyid="me"') },
      { 'signature-input': input.replace('hmac-sha256', 'ed25519') },
      { 'signature-input': input.replace('"@method"', '"@method" "@method"') },
      { 'signature-input': input.replace('"@method"', '"@method";req') },
      { 'signature-input': input.replace('"@method"', '"@authority"') },
      { 'signature-input': `${input}, other=()` },
      { 'signature-input': `fl=(${'"a" '.repeat(200)})` },
      { signature: 'fl=:AAAA:' },
      { signature: (good.headers['signature'] ?? '').replace('=:', ':') },
      { 'content-digest': 'sha-512=:AAAA:' },
    ];
    for (const change of wrong) {
      const refused = await device.send({ ...good, headers: { ...good.headers, ...change } });
      expect(code(refused), JSON.stringify(change)).toEqual([401, 'signature_malformed']);
      expect(refused.json.detail).toMatch(/[Ee]xpected/);
    }
    expect((await device.send(good)).status).toBe(201);
  });

  test('exactly one credential: a signature beside any other → credentials_ambiguous', async () => {
    await device.call({ method: 'GET', target: '/v1/device' });
    const { cookie } = await account.signIn();
    const good = device.sign(upload('x'));
    for (const other of [{ authorization: `Bearer ${enrolled.key}` }, { 'x-api-key': account.apiKey }, { cookie }]) {
      const refused = await device.send({ ...good, headers: { ...good.headers, ...other } as Record<string, string> });
      expect(code(refused)).toEqual([400, 'credentials_ambiguous']);
    }
    // A signature that somebody on the way made for himself is none of ours.
    const foreign = { 'signature-input': 'proxy=("@method")', signature: 'proxy=:AAAA:', 'x-filename': 'a' };
    const plain = await kit.call('POST', '/v1/upload', { apiKey: enrolled.key, headers: foreign, body: 'x' });
    expect(plain.status).toBe(201);
  });

  test('a key that is unknown, was made by the device itself, or is revoked → told apart; only the last is signed', async () => {
    const nobody = new SigningDevice(kit, { id: enrolled.id, key: '00'.repeat(32) });
    expect(code(await nobody.call(upload('x')))).toEqual([401, 'key_unknown']);
    const { store } = kit.server.deps;
    await device.call({ method: 'GET', target: '/v1/device' });
    const [row] = await store.list('api_keys', { where: [['device_id', '=', enrolled.id as never]], limit: 1 });
    if (row === undefined) throw new Error('the device has no key');
    await store.commit([
      {
        kind: 'update',
        table: 'api_keys',
        row: { ...row, state: 'revoked', revoked_at_ms: 1, version: row.version + 1 },
        expectVersion: row.version,
      },
    ]);
    const request = device.sign(upload('x'));
    const refused = await device.send(request);
    expect(refused.json).toMatchObject({ code: 'key_revoked', fingerprint: device.fingerprint });
    expect(device.vouchedFor(request, refused)).toBe(true);
    expect(code(await device.send(request))).toEqual([401, 'nonce_used']);
    await store.commit([
      {
        kind: 'update',
        table: 'api_keys',
        row: { ...row, sealed_device_secret: null, version: row.version + 2 },
        expectVersion: row.version + 1,
      },
    ]);
    expect(code(await device.call(upload('x')))).toEqual([401, 'signature_key_unseen']);
  });

  test('a call that is not for signed requests → signature_unsupported, on every such route', async () => {
    await device.call({ method: 'GET', target: '/v1/device' });
    const closed = ROUTES.filter(
      (route) => route.auth === 'key' && route.signed !== true && route.path.startsWith('/v1/'),
    );
    expect(closed.length).toBeGreaterThan(20);
    for (const route of closed) {
      const target = route.path.replace(/:\w+/g, 'x');
      const request = device.sign({ method: route.method, target });
      const refused = await device.send(request);
      expect(refused.status, route.path).toBe(403);
      if (route.method !== 'HEAD') expect(refused.json.code).toBe('signature_unsupported');
    }
  });
});

describe('nonces', () => {
  test('storage: none for those that are given, one row for each that is used, until an hour after its expiry', async () => {
    await sweepOnce(kit.server.deps, { atStart: false });
    const before = await usedNonces();
    for (let i = 0; i < 30; i++) await device.send(device.sign({ method: 'GET', target: '/v1/device', nonce: '' }));
    expect(await usedNonces()).toBe(before);
    await device.call(upload('x'));
    expect(await usedNonces()).toBe(before + 1);
    kit.advance(1000 * NONCE_SECONDS + NONCE_MEMORY_MS + 2000);
    await sweepOnce(kit.server.deps, { atStart: false });
    expect(await usedNonces()).toBe(0);
  });
});

describe('a rotation by signed requests', () => {
  test('self is told as an offer: asked for, unwrapped, registered, proven by a signed upload, settled', async () => {
    const { token } = await account.signIn();
    const order = await kit.call('POST', `/v1/devices/${enrolled.id}/rotate`, {
      auth: `Bearer ${token}`,
      json: { source: 'self', soak_seconds: 0 },
    });
    expect(order.status).toBe(200);
    const told = await device.call({ method: 'GET', target: '/v1/device' });
    const generation = told.json.rotation.wanted.generation as number;
    expect(told.json.rotation.wanted.source).toBe('offer');
    expect(told.headers.get('fuselink-rotation')).toContain(
      `wanted;gen=${generation};base=${device.fingerprint};source=offer`,
    );

    const json = { 'content-type': 'application/json' };
    const post = (who: SigningDevice, target: string, body: object) =>
      who.call({ target, body: JSON.stringify(body), headers: json });
    const offer = await post(device, '/v1/device/rotation', { generation, offer: true });
    const key = device.unwrap('fuselink wrap v1', offer.json.wrapped_key);
    const next = new SigningDevice(kit, { id: enrolled.id, key: key.toString('hex') });
    expect(offer.json).toMatchObject({ generation, base: device.fingerprint, fingerprint: next.fingerprint });
    const staged = {
      generation,
      sha256: createHash('sha256').update(key).digest('hex'),
      fingerprint: next.fingerprint,
    };
    expect((await post(device, '/v1/device/rotation', staged)).json.state).toBe('registered');

    expect((await next.call(upload('proof'))).status).toBe(201);
    const settled = await next.call(upload('again'));
    expect(settled.headers.get('fuselink-rotation')).toBe(`settled;gen=${generation}`);
    const refused = await device.call(upload('x'));
    expect(refused.json).toMatchObject({ code: 'key_revoked', fingerprint: device.fingerprint });
  });
});

function without(headers: Record<string, string>, name: string): Record<string, string> {
  const { [name]: _, ...rest } = headers;
  return rest;
}

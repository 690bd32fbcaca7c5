import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, startKit, type TestAccount } from '../testing/server-kit.ts';
import { SigningDevice } from '../testing/signing-device.ts';
import { operatorOf } from '../usecases/account/create-account.ts';
import { enrolDevice } from '../usecases/device/enrol-device.ts';
import { changeRotationPolicy } from '../usecases/rotation/policy.ts';

let kit: Kit;
let account: TestAccount;
let token: string;
let devices = 0;

beforeAll(async () => {
  kit = await startKit();
  account = await kit.account();
  ({ token } = await account.signIn());
});
afterAll(() => kit.stop());

interface TestKey {
  text: string;
  sha256: string;
  fingerprint: string;
}

function keyOf(bytes: Buffer): TestKey {
  const sha = (...parts: (string | Buffer)[]) => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return hash.digest('hex');
  };
  kit.secrets.add(bytes.toString('hex'));
  return { text: bytes.toString('hex'), sha256: sha(bytes), fingerprint: sha('fuselink fp', bytes).slice(0, 16) };
}

const newKey = () => keyOf(randomBytes(32));

/** Moves the clock on; a sign-in does not outlive an hour. */
async function advance(ms: number) {
  kit.advance(ms);
  ({ token } = await account.signIn());
}

async function enrol() {
  const name = `device ${++devices}`;
  const made = await enrolDevice(kit.server.deps, operatorOf(account.accountId, account.row), { name });
  return { id: made.device.id, name, key: keyOf(Buffer.from(made.key, 'hex')), recoverySecret: made.recoverySecret };
}

const order = (id: string, verb: string, json: unknown = {}) =>
  kit.call('POST', `/v1/devices/${id}/${verb}`, { auth: `Bearer ${token}`, json });
const rotationOf = async (id: string) =>
  (await kit.call('GET', `/v1/devices/${id}/rotation`, { auth: `Bearer ${token}` })).json;
const upload = (key: TestKey, at?: string) =>
  kit.call('POST', '/v1/upload', {
    apiKey: key.text,
    body: 'reading',
    headers: { 'x-filename': 'r.txt', ...(at === undefined ? {} : { 'fuselink-device': at }) },
  });
const look = (key: TestKey, at?: string) =>
  kit.call('GET', '/v1/device', { apiKey: key.text, headers: at === undefined ? {} : { 'fuselink-device': at } });
const status = (key: TestKey, phase: string, at: { boot: number; sequence: number; tag?: string }) =>
  kit.call('POST', '/v1/device/status', {
    apiKey: key.text,
    json: { phase, boot: at.boot, sequence: at.sequence, boot_tag: at.tag ?? '00112233' },
  });
const register = (key: TestKey, staged: TestKey, generation: number) =>
  kit.call('POST', '/v1/device/rotation', {
    apiKey: key.text,
    json: { generation, sha256: staged.sha256, fingerprint: staged.fingerprint },
  });

/** A device whose new key is proven and whose old one is still retiring. */
async function proven() {
  const device = await enrol();
  await order(device.id, 'rotate', { soak_seconds: 3600 });
  const next = newKey();
  expect((await register(device.key, next, 2)).json).toMatchObject({ state: 'registered' });
  expect((await upload(next)).status).toBe(201);
  return { ...device, next };
}

async function settled() {
  const device = await proven();
  await advance(3_600_001);
  expect((await look(device.next)).status).toBe(200);
  return device;
}

function recoveryProof(
  device: { id: string; recoverySecret: string },
  staged: TestKey,
  said: { generation: number; base: string },
) {
  const key = createHash('sha256')
    .update('fuselink recovery v1')
    .update(Buffer.from(device.recoverySecret, 'hex'))
    .digest();
  const words = [
    'fuselink recovery proof v1',
    device.id,
    said.generation,
    said.base,
    staged.fingerprint,
    staged.sha256,
  ];
  return {
    device_id: device.id,
    generation: said.generation,
    base: said.base,
    sha256: staged.sha256,
    fingerprint: staged.fingerprint,
    proof: createHmac('sha256', key).update(words.join('\n')).digest('hex'),
  };
}

/** D of a key, wrapped under the recovery root that follows from this secret. */
function wrappedSecret(recoverySecret: string, key: TestKey): string {
  const root = createHash('sha256').update('fuselink recovery v1').update(Buffer.from(recoverySecret, 'hex')).digest();
  const wrapping = createHmac('sha256', root).update('fuselink secret wrap v1').digest();
  const cipher = createCipheriv('id-aes256-wrap', wrapping, Buffer.alloc(8, 0xa6));
  const secret = createHmac('sha256', Buffer.from(key.text, 'hex')).update('fuselink device v1').digest();
  return Buffer.concat([cipher.update(secret), cipher.final()]).toString('hex');
}

const statusBody = JSON.stringify({ phase: 'PROVING', boot: 1, sequence: 1, boot_tag: '0011aabb' });

const alarmsOf = async (id: string) => {
  const story = await kit.call('GET', `/v1/devices/${id}/story`, { auth: `Bearer ${token}` });
  return (story.json.events as { action: string }[]).map(({ action }) => action).filter((one) => one.includes('alarm'));
};

describe('rotation over HTTP', () => {
  test('a report that says nothing itself → taken from Fuselink-Device; without that, told what is missing', async () => {
    const device = await enrol();
    const report = (json: object, at?: string) =>
      kit.call('POST', '/v1/device/status', {
        apiKey: device.key.text,
        json,
        headers: at === undefined ? {} : { 'fuselink-device': at },
      });
    const stored = async () =>
      (await kit.server.deps.store.get('rotations', { device_id: device.id as never }))?.report;
    expect((await report({}, 'boot=7;seq=3;tag=00112233;phase=SETTLED')).status).toBe(200);
    expect(await stored()).toMatchObject({ phase: 'SETTLED', boot: 7, sequence: 3, boot_tag: '00112233' });
    expect((await report({ phase: 'PROVEN', sequence: 9 }, 'boot=7;seq=4;tag=00112233;phase=SETTLED')).status).toBe(
      200,
    );
    expect(await stored()).toMatchObject({ phase: 'PROVEN', boot: 7, sequence: 9 });
    for (const at of [undefined, 'boot=7;seq=5']) {
      const refused = await report({}, at);
      expect(refused.json).toMatchObject({ status: 400, code: 'invalid_field' });
      expect(refused.json.errors.map(({ field }: { field: string }) => field)).toEqual([
        'phase',
        'boot',
        'sequence',
        'boot_tag',
      ]);
    }
    expect((await report({}, 'boot=7;seq=6;tag=00112233')).json).toMatchObject({ status: 400, code: 'invalid_field' });
  });

  test('self: wanted, registered, proven by an upload, settled → the old key is refused by name', async () => {
    const device = await enrol();
    expect((await order(device.id, 'rotate')).json).toMatchObject({ state: 'WANTED', generation: 2 });
    const first = await upload(device.key);
    expect(first.headers.get('fuselink-rotation')).toBe(`wanted;gen=2;base=${device.key.fingerprint};source=self`);
    const next = newKey();
    expect((await look(next)).json).toMatchObject({ status: 401, code: 'key_unknown' });
    expect((await register(device.key, next, 2)).json).toEqual({
      generation: 2,
      fingerprint: next.fingerprint,
      state: 'registered',
    });
    // Merely looking with it proves nothing.
    expect((await look(next)).json.key.state).toBe('pending');
    expect(await rotationOf(device.id)).toMatchObject({ state: 'MINTED' });
    expect((await upload(next)).status).toBe(201);
    expect(await rotationOf(device.id)).toMatchObject({
      state: 'PROVEN',
      active: next.fingerprint,
      retiring: device.key.fingerprint,
    });
    expect((await upload(device.key)).status).toBe(201);
    await advance(10 * 60_000 + 1);
    const later = await upload(next);
    expect(later.headers.get('fuselink-rotation')).toBe('settled;gen=2');
    const refused = await upload(device.key);
    expect(refused.json).toMatchObject({ status: 401, code: 'key_revoked', fingerprint: device.key.fingerprint });
    expect(await rotationOf(device.id)).toMatchObject({ state: 'IDLE', active: next.fingerprint, retiring: null });
  });

  test('self: proven by a status report → the same as by an upload', async () => {
    const device = await enrol();
    await order(device.id, 'rotate', { soak_seconds: 0 });
    const next = newKey();
    await register(device.key, next, 2);
    const report = await status(next, 'PROVING', { boot: 1, sequence: 1 });
    expect(report.json).toMatchObject({ key: { state: 'active' }, rotation: { state: 'PROVEN' } });
    expect((await status(next, 'PROVEN', { boot: 1, sequence: 2 })).json.rotation).toMatchObject({
      state: 'IDLE',
      settled_generation: 2,
    });
  });

  test('self: proven by a resumable upload → the proof is in the commit of its last chunk', async () => {
    const device = await enrol();
    await order(device.id, 'rotate');
    const next = newKey();
    await register(device.key, next, 2);
    const tus = { 'tus-resumable': '1.0.0' };
    const begun = await kit.call('POST', '/v1/uploads', {
      apiKey: next.text,
      headers: { ...tus, 'upload-length': '4' },
    });
    expect(begun.status).toBe(201);
    expect(await rotationOf(device.id)).toMatchObject({ state: 'MINTED' });
    const sent = await fetch(new URL(begun.headers.get('location') ?? '', kit.url), {
      method: 'PATCH',
      headers: {
        ...tus,
        'x-api-key': next.text,
        'upload-offset': '0',
        'content-type': 'application/offset+octet-stream',
      },
      body: 'abcd',
    });
    expect(sent.status).toBe(204);
    expect(await rotationOf(device.id)).toMatchObject({ state: 'PROVEN', active: next.fingerprint });
  });

  test('self: the answer to a registration is lost and it is repeated → the same answer', async () => {
    const device = await enrol();
    await order(device.id, 'rotate');
    const next = newKey();
    const once = await register(device.key, next, 2);
    expect((await register(device.key, next, 2)).json).toEqual(once.json);
    await upload(next);
    expect((await register(device.key, next, 2)).status).toBe(200);
    expect(await alarmsOf(device.id)).toEqual([]);
  });

  test('self: a second key for the same generation → both are refused for good, another generation is wanted', async () => {
    const device = await enrol();
    await order(device.id, 'rotate');
    const [one, two] = [newKey(), newKey()];
    await register(device.key, one, 2);
    const refused = await register(device.key, two, 2);
    expect(refused.json).toMatchObject({ status: 409, code: 'rotation_refused' });
    expect(refused.headers.get('fuselink-rotation')).toContain('wanted;gen=3');
    for (const key of [one, two]) {
      expect((await upload(key)).json).toMatchObject({ code: 'key_revoked', fingerprint: key.fingerprint });
    }
  });

  test('offer: asked for → wrapped under the present key, proven by its use', async () => {
    const device = await enrol();
    await order(device.id, 'rotate', { source: 'offer' });
    const asked = await kit.call('POST', '/v1/device/rotation', {
      apiKey: device.key.text,
      json: { generation: 2, offer: true },
    });
    expect(asked.json).toMatchObject({ generation: 2, base: device.key.fingerprint });
    const secret = createHmac('sha256', Buffer.from(device.key.text, 'hex')).update('fuselink device v1').digest();
    const wrapping = createHmac('sha256', secret).update('fuselink wrap v1').digest();
    const unwrap = createDecipheriv('id-aes256-wrap', wrapping, Buffer.alloc(8, 0xa6));
    const bytes = Buffer.concat([unwrap.update(Buffer.from(asked.json.wrapped_key, 'hex')), unwrap.final()]);
    const next = keyOf(bytes);
    expect(next.fingerprint).toBe(asked.json.fingerprint);
    expect((await upload(next)).status).toBe(201);
    expect(await rotationOf(device.id)).toMatchObject({ state: 'PROVEN', active: next.fingerprint });
  });

  test('offer: its answer is lost and the device asks again → the next generation, the first key revoked', async () => {
    const device = await enrol();
    await order(device.id, 'rotate', { source: 'offer' });
    const ask = (generation: number) =>
      kit.call('POST', '/v1/device/rotation', { apiKey: device.key.text, json: { generation, offer: true } });
    const lost = await ask(2);
    const again = await ask(2);
    expect(again.json).toMatchObject({ code: 'rotation_superseded' });
    expect((await ask(3)).json.fingerprint).not.toBe(lost.json.fingerprint);
  });

  test('manual: issued by an operator, used on the device → proven', async () => {
    const device = await enrol();
    await order(device.id, 'rotate', { source: 'manual' });
    const issued = await kit.call('POST', `/v1/devices/${device.id}/issue`, { auth: `Bearer ${token}` });
    expect(issued.status).toBe(201);
    expect((await upload(keyOf(Buffer.from(issued.json.key, 'hex')))).status).toBe(201);
    expect(await rotationOf(device.id)).toMatchObject({ state: 'PROVEN' });
  });

  test('pending: not proven in time → revoked by the sweep, another generation is wanted', async () => {
    const { sweepOnce } = await import('../usecases/sweep.ts');
    const device = await enrol();
    await order(device.id, 'rotate', { pending_ttl_seconds: 60 });
    const next = newKey();
    await register(device.key, next, 2);
    await advance(61_000);
    await sweepOnce(kit.server.deps, { atStart: false });
    expect(await rotationOf(device.id)).toMatchObject({ state: 'WANTED', generation: 3, pending: null });
    expect((await upload(next)).json.code).toBe('key_revoked');
    expect((await upload(device.key)).status).toBe(201);
  });

  test('deadline: passes with the policy keep → overdue, the key goes on and contact brings it back', async () => {
    const { sweepOnce } = await import('../usecases/sweep.ts');
    const device = await enrol();
    await order(device.id, 'rotate', { deadline_seconds: 60 });
    await advance(61_000);
    await sweepOnce(kit.server.deps, { atStart: false });
    expect(await rotationOf(device.id)).toMatchObject({ state: 'OVERDUE' });
    expect((await upload(device.key)).status).toBe(201);
    expect(await rotationOf(device.id)).toMatchObject({ state: 'WANTED' });
  });

  test('roll back: after the proof → the old key is active again, the new one refused by name', async () => {
    const device = await proven();
    expect((await order(device.id, 'roll-back')).json).toMatchObject({ state: 'IDLE', active: device.key.fingerprint });
    expect((await upload(device.next)).json).toMatchObject({
      code: 'key_revoked',
      fingerprint: device.next.fingerprint,
    });
    expect((await upload(device.key)).status).toBe(201);
  });

  test('lost candidate: twenty contacts under the old key → rolled back', async () => {
    const device = await proven();
    for (let i = 0; i < 20; i++) await look(device.key);
    expect(await rotationOf(device.id)).toMatchObject({ state: 'IDLE', active: device.key.fingerprint });
  });
});

describe('copied keys', () => {
  test('alarm: the old key after the device reported PROVEN → told in the audit, once an hour', async () => {
    const device = await proven();
    await status(device.next, 'PROVEN', { boot: 1, sequence: 5 });
    await upload(device.key);
    await upload(device.key);
    expect(await alarmsOf(device.id)).toEqual(['rotation.alarm.old-key-after-proof']);
  });

  test('alarm: the old key after it was revoked, in the very boot of the report → told', async () => {
    const device = await proven();
    await status(device.next, 'PROVEN', { boot: 1, sequence: 5 });
    await advance(3_600_001);
    await look(device.next, 'boot=1;seq=6;tag=00112233');
    await upload(device.key);
    expect(await alarmsOf(device.id)).toEqual(['rotation.alarm.old-key-after-proof']);
  });

  test('no alarm: a late request of before the report, and one of a later boot → the device is honest', async () => {
    const device = await proven();
    await status(device.next, 'PROVEN', { boot: 1, sequence: 5 });
    await upload(device.key, 'boot=1;seq=3;tag=00112233');
    await upload(device.key, 'boot=2;seq=1;tag=44556677');
    expect(await alarmsOf(device.id)).toEqual([]);
  });

  test('alarm: two tags in one boot → told; where the account wants it the device is quarantined', async () => {
    const owner = operatorOf(account.accountId, account.row);
    const device = await enrol();
    await look(device.key, 'boot=4;seq=1;tag=00112233');
    await look(device.key, 'boot=4;seq=2;tag=ffffffff');
    expect(await alarmsOf(device.id)).toEqual(['rotation.alarm.two-devices-in-one-boot']);
    expect(await rotationOf(device.id)).toMatchObject({ state: 'IDLE' });
    await changeRotationPolicy(kit.server.deps, owner, { alarmsQuarantine: true });
    try {
      await look(device.key, 'boot=4;seq=3;tag=ffffffff');
      expect(await rotationOf(device.id)).toMatchObject({ state: 'QUARANTINED' });
    } finally {
      await changeRotationPolicy(kit.server.deps, owner, { alarmsQuarantine: false });
    }
  });
});

describe('quarantine', () => {
  test('quarantined key: uploads, lists, registers → only its own calls are open, and a thief gets no key through', async () => {
    const device = await enrol();
    await order(device.id, 'quarantine', { reason: 'seen on a forum' });
    expect((await upload(device.key)).json).toMatchObject({ status: 403, code: 'key_quarantined' });
    expect((await kit.call('GET', '/v1/transfers', { apiKey: device.key.text })).json.code).toBe('key_quarantined');
    expect((await look(device.key)).json).toMatchObject({ key: { state: 'quarantined' } });
    const thiefs = newKey();
    expect((await register(device.key, thiefs, 2)).json.state).toBe('awaits-approval');
    expect((await upload(thiefs)).json.code).toBe('key_unknown');
    const ask = { apiKey: device.key.text, json: { generation: 2, offer: true } };
    expect((await kit.call('POST', '/v1/device/rotation', ask)).json.code).toBe('rotation_refused');
    expect((await upload(device.key)).json.code).toBe('key_quarantined');
  });

  test('quarantined: an operator approves the staged fingerprint → its first use is the proof', async () => {
    const device = await enrol();
    await order(device.id, 'quarantine', { reason: 'lost van' });
    const next = newKey();
    await register(device.key, next, 2);
    expect(await rotationOf(device.id)).toMatchObject({ proposals: [{ fingerprint: next.fingerprint }] });
    expect((await order(device.id, 'approve', { fingerprint: newKey().fingerprint })).json.code).toBe(
      'rotation_state_conflict',
    );
    expect((await order(device.id, 'approve', { fingerprint: next.fingerprint })).json.state).toBe('MINTED');
    expect((await upload(next)).status).toBe(201);
    expect(await rotationOf(device.id)).toMatchObject({ state: 'PROVEN', active: next.fingerprint });
  });

  test('quarantined: a proof with the recovery secret → taken; with the key alone → refused', async () => {
    const device = await enrol();
    await order(device.id, 'quarantine', { reason: 'lost van' });
    const next = newKey();
    const said = { generation: 2, base: device.key.fingerprint };
    const forged = { ...recoveryProof(device, next, said), proof: '00'.repeat(32) };
    expect((await kit.call('POST', '/v1/device/recovery', { json: forged })).json).toMatchObject({
      status: 403,
      code: 'recovery_refused',
    });
    const json = recoveryProof(device, next, said);
    expect((await kit.call('POST', '/v1/device/recovery', { json })).json.state).toBe('registered');
    expect((await kit.call('POST', '/v1/device/recovery', { json })).json.state).toBe('registered');
    expect((await upload(next)).status).toBe(201);
  });

  test('a device that signs recovers with a key of its own → hands over D of it, and signs with it from then on', async () => {
    const device = await enrol();
    await order(device.id, 'quarantine', { reason: 'lost van' });
    const next = newKey();
    const json = recoveryProof(device, next, { generation: 2, base: device.key.fingerprint });
    const signing = new SigningDevice(kit, { id: device.id, key: next.text });
    const report = async () => {
      const said = {
        method: 'POST',
        target: '/v1/device/status',
        body: statusBody,
        headers: { 'content-type': 'application/json' },
      };
      const first = await signing.call(said);
      return first.json.code === 'nonce_missing' ? await signing.call(said) : first;
    };
    // By its digest alone nobody can check a signature: it is told what to do, and it works once it has done that.
    expect((await kit.call('POST', '/v1/device/recovery', { json })).json.state).toBe('registered');
    const unseen = await report();
    expect(unseen.json).toMatchObject({ status: 401, code: 'signature_key_unseen' });
    expect(unseen.json.detail).toContain('wrapped_secret');
    const recover = (wrapped: string) =>
      kit.call('POST', '/v1/device/recovery', { json: { ...json, wrapped_secret: wrapped } });
    for (const wrong of ['00'.repeat(40), wrappedSecret(device.key.text, next), 'nonsense']) {
      const refused = await recover(wrong);
      expect(refused.json).toMatchObject({ status: 400, code: 'invalid_field', errors: [{ field: 'wrapped_secret' }] });
    }
    expect((await report()).json.code).toBe('signature_key_unseen');
    const wrapped = wrappedSecret(device.recoverySecret, next);
    expect((await recover(wrapped)).json.state).toBe('registered');
    expect((await report()).status).toBe(200);
    expect(await rotationOf(device.id)).toMatchObject({ state: 'PROVEN' });
    // A repeat changes nothing, and an old answer that comes again does not either.
    expect((await recover(wrapped)).status).toBe(200);
    expect((await report()).status).toBe(200);
  });

  test('a device that signs recovers, D with its first proof → signs at once', async () => {
    const device = await enrol();
    await order(device.id, 'quarantine', { reason: 'lost van' });
    const next = newKey();
    const json = {
      ...recoveryProof(device, next, { generation: 2, base: device.key.fingerprint }),
      wrapped_secret: wrappedSecret(device.recoverySecret, next),
    };
    // Without the proof, what is handed over is worth nothing.
    expect((await kit.call('POST', '/v1/device/recovery', { json: { ...json, proof: '00'.repeat(32) } })).status).toBe(
      403,
    );
    expect((await kit.call('POST', '/v1/device/recovery', { json })).json.state).toBe('registered');
    const signing = new SigningDevice(kit, { id: device.id, key: next.text });
    await signing.call({ method: 'GET', target: '/v1/device' });
    expect((await signing.call({ body: 'reading', headers: { 'x-filename': 'r.txt' } })).status).toBe(201);
    expect(await rotationOf(device.id)).toMatchObject({ state: 'PROVEN' });
  });

  test('quarantined: released → the key is trusted again', async () => {
    const device = await enrol();
    await order(device.id, 'quarantine', { reason: 'false alarm' });
    expect((await order(device.id, 'release')).json).toMatchObject({ state: 'IDLE' });
    expect((await upload(device.key)).status).toBe(201);
  });

  test('lost: its last key revoked, then provisioned by hand → a new key and recovery secret', async () => {
    const device = await settled();
    expect((await order(device.id, 'lose', { reason: 'sold' })).json).toMatchObject({ state: 'LOST', active: null });
    expect((await upload(device.next)).json.code).toBe('key_revoked');
    const made = await kit.call('POST', `/v1/devices/${device.id}/reprovision`, { auth: `Bearer ${token}` });
    expect((await upload(keyOf(Buffer.from(made.json.key, 'hex')))).status).toBe(201);
    expect(made.json.recovery_secret).toMatch(/^[0-9a-f]{64}$/);
  });

  test('revoking a device key by its id → the rotation knows: the device is lost', async () => {
    const device = await enrol();
    const keys = await kit.call('GET', '/v1/keys', { auth: `Bearer ${token}` });
    const { id } = keys.json.keys.find((key: { fingerprint: string }) => key.fingerprint === device.key.fingerprint);
    expect((await kit.call('DELETE', `/v1/keys/${id}`, { auth: `Bearer ${token}` })).status).toBe(200);
    expect(await rotationOf(device.id)).toMatchObject({ state: 'LOST' });
  });
});

describe('who may', () => {
  test('orders: with an API key alone → management_required; of a stranger’s device → 404', async () => {
    const device = await enrol();
    const alone = await kit.call('POST', `/v1/devices/${device.id}/rotate`, { apiKey: account.apiKey, json: {} });
    expect(alone.json.code).toBe('management_required');
    const stranger = await (await kit.account()).signIn();
    const other = await kit.call('POST', `/v1/devices/${device.id}/rotate`, {
      auth: `Bearer ${stranger.token}`,
      json: {},
    });
    expect(other.status).toBe(404);
  });

  test('registration: of another device’s key → refused, and that key stays what it was', async () => {
    const [mine, yours] = [await enrol(), await enrol()];
    await order(mine.id, 'rotate');
    expect((await register(mine.key, yours.key, 2)).json.code).toBe('rotation_refused');
    expect((await upload(yours.key)).status).toBe(201);
  });

  test('a key registered under a false fingerprint → unknown when it comes', async () => {
    const device = await enrol();
    await order(device.id, 'rotate');
    const next = newKey();
    const lie = { ...next, fingerprint: newKey().fingerprint };
    expect((await register(device.key, lie, 2)).status).toBe(200);
    expect((await upload(next)).json.code).toBe('key_unknown');
  });

  test('status: eleven in a minute → 429 with Retry-After, uploads untouched', async () => {
    const device = await enrol();
    for (let i = 1; i <= 10; i++)
      expect((await status(device.key, 'SETTLED', { boot: 1, sequence: i })).status).toBe(200);
    const refused = await status(device.key, 'SETTLED', { boot: 1, sequence: 11 });
    expect(refused.json.code).toBe('status_limit_exceeded');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await upload(device.key)).status).toBe(201);
  });

  test('device calls: with an account key → device_key_required', async () => {
    expect((await kit.call('GET', '/v1/device', { apiKey: account.apiKey })).json.code).toBe('device_key_required');
  });

  test('story: after a whole rotation → one sentence an arrow, and no key in it', async () => {
    const device = await settled();
    const story = await kit.call('GET', `/v1/devices/${device.id}/story`, { auth: `Bearer ${token}` });
    expect(story.json.events.map(({ action }: { action: string }) => action)).toEqual([
      'device.enrolled',
      'rotation.wanted',
      'rotation.minted',
      'rotation.proven',
      'rotation.settled',
    ]);
    expect(story.json.now).toContain(device.next.fingerprint);
    expect(story.text).not.toContain(device.key.text);
    expect(story.text).not.toContain(device.next.text);
  });
});

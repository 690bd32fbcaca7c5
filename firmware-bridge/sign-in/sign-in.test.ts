import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MessageDesk } from '../control/message-desk.ts';
import { type CarriedAnswer, type Relay, RelayUnavailable, type SignInReply } from '../relay/relay.ts';
import { type KeyCache, openKeyCache } from './key-cache.ts';
import { REFUSAL, SignIn } from './sign-in.ts';

let folder: string;
let cache: KeyCache;
let signIn: SignIn;
let away: boolean;
/** Sessions that were ended, as `<device> <digest>`. */
let ended: string[];

const digestOf = (key: Buffer) => createHash('sha256').update(key).digest('hex');
const password = (key: Buffer) => Buffer.from(key.toString('hex'));
const fingerprints = new Map<string, string>();

/** A server that knows every key, under a fingerprint of its own, until it is away. */
const relay = {
  async signIns(asked: readonly { device: string; keySha256: string }[]): Promise<SignInReply[]> {
    if (away) throw new RelayUnavailable('no way to it');
    return asked.map(({ device, keySha256 }) => {
      const fingerprint = fingerprints.get(keySha256) ?? null;
      return { device, state: 'valid', fingerprint };
    });
  },
} as unknown as Relay;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-sign-in-'));
  cache = await openKeyCache(join(folder, 'keys.json'), () => {});
  away = false;
  ended = [];
  signIn = new SignIn({
    relay,
    cache,
    warn: () => {},
    revoked: (device, keySha256) => void ended.push(`${device} ${keySha256}`),
  });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A key with which the device signed in. */
async function signedIn(device: string, fingerprint: string): Promise<Buffer> {
  const key = randomBytes(32);
  fingerprints.set(digestOf(key), fingerprint);
  expect(await signIn.check(device, password(key))).toMatchObject({ ok: true });
  return key;
}

/** A call under another key, whose answer names revoked ones; resolves when it was carried back. */
async function carry(device: string, revoked: string[]): Promise<void> {
  const answer: CarriedAnswer = {
    text: JSON.stringify({ re: 'm1', status: 200, told: '', revoked, body: {} }),
    fingerprint: null,
    mac: null,
  };
  await new Promise<void>((resolve) => {
    const desk = new MessageDesk({
      relay: { message: async () => answer },
      count: () => {},
      note: (detail) => expect.fail(detail),
      revoked: (of, prints) => void signIn.revokedKeys(of, prints),
      // By now the answer is on its way to the device.
      moved: () => resolve(),
    });
    const payload = Buffer.from('{"id":"m1"}');
    void desk.handle({ device, keySha256: 'aa', payload, reply: () => {} } as never);
  });
}

test('sign-in: a carried answer names a revoked fingerprint → forgotten and its sessions ended before the answer is out, also on the disk; other keys stay', async () => {
  const old = await signedIn('dev_pump', '1111111111111111');
  const present = await signedIn('dev_pump', '2222222222222222');
  const neighbour = await signedIn('dev_fan', '1111111111111111');
  await carry('dev_pump', ['1111111111111111', '9999999999999999']);
  expect(ended).toEqual([`dev_pump ${digestOf(old)}`]);
  expect(cache.find('dev_pump', digestOf(old))).toBeNull();
  // Another save has to wait for the one that forgets.
  await cache.remember({ device: 'dev_x', keySha256: 'b'.repeat(64), fingerprint: '3'.repeat(16), checkedAtMs: 0 });
  const kept = await readFile(join(folder, 'keys.json'), 'utf8');
  expect([old, present, neighbour].map((key) => kept.includes(digestOf(key)))).toEqual([false, true, true]);

  away = true;
  expect(await signIn.check('dev_pump', password(old))).toMatchObject({ ok: false, returnCode: REFUSAL.unavailable });
  expect(await signIn.check('dev_pump', password(present))).toMatchObject({ ok: true });
  expect(await signIn.check('dev_fan', password(neighbour))).toMatchObject({ ok: true });
});

test('sign-in: a carried answer that names nothing → nobody is signed out', async () => {
  const key = await signedIn('dev_pump', '1111111111111111');
  await carry('dev_pump', []);
  expect(ended).toEqual([]);
  expect(cache.find('dev_pump', digestOf(key))).not.toBeNull();
});

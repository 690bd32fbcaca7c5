import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';

let kit: Kit;
beforeAll(async () => {
  // Behind a trusted proxy the test chooses where a request comes from.
  kit = await startKit({ FUSELINK_TRUST_PROXY: 'true' });
  // The waits are seconds: on a busy machine one could end between two requests of the same burst.
  kit.holdClock();
});
afterAll(() => kit.stop());

function login(account: TestAccount, from: string, more: Record<string, unknown>) {
  return kit.call('POST', '/v1/auth/login', {
    json: { email: account.email, api_key: account.apiKey, ...more },
    headers: { 'x-forwarded-for': from },
  });
}

/** A code that is certainly not the one of now. */
const WRONG = '000000';

async function fail(account: TestAccount, from: string, more: Record<string, unknown>, times: number) {
  const statuses: number[] = [];
  for (let i = 0; i < times; i++) statuses.push((await login(account, from, more)).status);
  return statuses;
}

describe('sign-in attempts', () => {
  test('wrong keys: from the fifth on → 429 with Retry-After; the right key from the same address passes', async () => {
    const account = await kit.account();
    const wrong = { api_key: 'ab'.repeat(32), totp: WRONG };
    expect(await fail(account, '198.51.100.1', wrong, 5)).toEqual([401, 401, 401, 401, 401]);
    const held = await login(account, '198.51.100.1', wrong);
    expect([held.status, held.json.code]).toEqual([429, 'sign_in_limit_exceeded']);
    expect(Number(held.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await login(account, '198.51.100.1', { totp: account.code() })).status).toBe(200);
  });

  test('wrong keys: from one IPv6 network → one count, whatever the address', async () => {
    const account = await kit.account();
    const wrong = { api_key: 'ab'.repeat(32), totp: WRONG };
    for (let i = 1; i <= 5; i++) await login(account, `2001:db8:0:1::${i}`, wrong);
    expect((await login(account, '2001:db8:0:1:ffff::9', wrong)).status).toBe(429);
    expect((await login(account, '2001:db8:0:2::1', wrong)).status).toBe(401);
  });

  test('wrong codes: with a stolen key from anywhere → held back, growing; the owner signs in from a known address', async () => {
    const account = await kit.account();
    expect((await login(account, '203.0.113.5', { totp: account.code() })).status).toBe(200);
    for (let i = 0; i < 5; i++) await login(account, `198.51.100.${20 + i}`, { totp: WRONG });
    const first = await login(account, '198.51.100.99', { totp: WRONG });
    expect(first.status).toBe(429);
    kit.advance(1_000 * Number(first.headers.get('retry-after')));
    expect((await login(account, '198.51.100.98', { totp: WRONG })).status).toBe(401);
    const second = await login(account, '198.51.100.97', { totp: WRONG });
    expect(Number(second.headers.get('retry-after'))).toBeGreaterThan(Number(first.headers.get('retry-after')));
    // The right code from an unknown address waits like any other, so that guessing stays slow.
    expect((await login(account, '192.0.2.200', { totp: account.code() })).status).not.toBe(401);
    for (let i = 0; i < 10; i++) {
      await login(account, '198.51.100.50', { totp: WRONG });
      kit.advance(1_000);
    }
    expect((await login(account, '203.0.113.5', { totp: account.code() })).status).toBe(200);
  });

  test('wrong codes: while an unknown address waits → a recovery code still opens, and clears the count', async () => {
    const account = await kit.account();
    await fail(account, '198.51.100.7', { totp: WRONG }, 6);
    expect((await login(account, '198.51.100.8', { totp: WRONG })).status).toBe(429);
    const [code] = account.recoveryCodes;
    expect((await login(account, '198.51.100.8', { recovery_code: code })).status).toBe(200);
    expect((await login(account, '198.51.100.7', { totp: WRONG })).status).toBe(401);
  });

  test('wrong codes: fifty at the same moment → no more are looked at than the free ones', async () => {
    const account = await kit.account();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => login(account, '198.51.100.60', { totp: String(100_000 + i) })),
    );
    const looked = answers.filter(({ status }) => status === 401).length;
    expect(looked).toBe(5);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(45);
  });

  test('audit: refused sign-ins → written down with address and what was wrong, at most 60 an hour', async () => {
    const account = await kit.account();
    for (let i = 0; i < 70; i++) await login(account, `10.9.${i}.1`, { api_key: 'cd'.repeat(32), totp: WRONG });
    const page = await kit.call('GET', '/v1/audit?limit=200', { auth: account.apiKey });
    const refused = page.json.entries.filter((entry: { action: string }) => entry.action === 'sign_in.refused');
    expect(refused).toHaveLength(60);
    expect(refused[59]).toMatchObject({ outcome: 'refused', from: '10.9.0.1', detail: { wrong: 'the API key' } });
  });

  test('clearing: counters older than a day → gone with the next failures', async () => {
    const account = await kit.account();
    await login(account, '10.8.1.1', { api_key: 'cd'.repeat(32), totp: WRONG });
    expect(await kit.server.deps.store.get('sign_in_attempts', { id: 'address 10.8.1.1' })).not.toBeNull();
    kit.advance(2 * 86_400_000);
    for (let i = 0; i < 10; i++) await login(account, `10.8.2.${i}`, { api_key: 'cd'.repeat(32), totp: WRONG });
    expect(await kit.server.deps.store.get('sign_in_attempts', { id: 'address 10.8.1.1' })).toBeNull();
  });
});

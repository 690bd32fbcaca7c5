import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Kit, seedOf, startKit } from '../../testing/server-kit.ts';
import { newSetupLinkSecret } from './first-account.ts';

let kit: Kit;
beforeEach(async () => {
  kit = await startKit();
});
afterEach(() => kit.stop());

const make = (setup_secret: string, email = 'first@example.com') =>
  kit.call('POST', '/v1/auth/first-account', { json: { email, setup_secret } });

describe('the first account', () => {
  test('the secret of the link → an account, its key, an authenticator; the first code signs in', async () => {
    const secret = (await newSetupLinkSecret(kit.server.deps)) ?? '';
    const { status, json } = await make(secret);
    expect(status).toBe(201);
    expect(json).toMatchObject({ email: 'first@example.com', totp_qr_svg: expect.stringContaining('<svg') });
    expect(json.recovery_codes).toHaveLength(10);
    const { deps } = kit.server;
    const totp = deps.totp.code(seedOf(json.totp_uri), Math.floor(deps.clock.nowMs() / 30_000));
    const signedIn = await kit.call('POST', '/v1/auth/login', {
      json: { email: json.email, api_key: json.api_key, totp },
    });
    expect(signedIn.json).toMatchObject({ role: 'owner', account_id: json.account_id });
  });

  test('twice, at once or one after the other → one account', async () => {
    const secret = (await newSetupLinkSecret(kit.server.deps)) ?? '';
    const answers = await Promise.all([make(secret, 'a@example.com'), make(secret, 'b@example.com')]);
    expect(answers.map(({ status }) => status).sort()).not.toEqual([201, 201]);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect((await make(secret, 'c@example.com')).json.code).toBe('setup_secret_invalid');
    expect((await kit.server.deps.store.count('accounts', { where: [] })).rows).toBe(1);
  });

  test('another secret, the one of an earlier start, none at all → refused alike', async () => {
    expect((await make('guessed')).json.code).toBe('setup_secret_invalid');
    const earlier = (await newSetupLinkSecret(kit.server.deps)) ?? '';
    const latest = (await newSetupLinkSecret(kit.server.deps)) ?? '';
    for (const wrong of ['', 'guessed', `${latest} `, latest.slice(1), earlier]) {
      const { status, json } = await make(wrong);
      expect([status, json.code]).toEqual([403, 'setup_secret_invalid']);
    }
    expect((await make(latest)).status).toBe(201);
  });

  test('where there is an account → no link is made, and an old one is worth nothing', async () => {
    const secret = (await newSetupLinkSecret(kit.server.deps)) ?? '';
    await kit.account();
    expect(await newSetupLinkSecret(kit.server.deps)).toBeNull();
    expect((await make(secret)).json.code).toBe('setup_secret_invalid');
  });

  test('from a page of another site → refused before anything is looked at', async () => {
    const secret = (await newSetupLinkSecret(kit.server.deps)) ?? '';
    const { json } = await kit.call('POST', '/v1/auth/first-account', {
      json: { email: 'a@example.com', setup_secret: secret },
      headers: { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
    });
    expect(json.code).toBe('cross_site_request');
  });
});

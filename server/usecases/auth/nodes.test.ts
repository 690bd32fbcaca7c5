import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, seedOf, startKit, type TestAccount } from '../../testing/server-kit.ts';

/** Two servers on one database, as behind a load balancer, and a third that starts when the first has stopped. */
const folder = mkdtempSync(join(tmpdir(), 'fuselink-nodes-'));
const env = {
  FUSELINK_METADATA: `sqlite:${join(folder, 'shared.db')}`,
  FUSELINK_SECRET_FILE: join(folder, 'shared.secret'),
};
let one: Kit;
let two: Kit;
beforeAll(async () => {
  one = await startKit(env);
  two = await startKit(env);
  // The first wait is a second: it may not end while a busy machine makes the next request.
  one.holdClock();
  two.holdClock();
  // No two machines' clocks agree.
  two.advance(400);
});
afterAll(async () => {
  await two.stop();
  rmSync(folder, { recursive: true, force: true });
});

function login(kit: Kit, account: TestAccount, totp: string) {
  return kit.call('POST', '/v1/auth/login', { json: { email: account.email, api_key: account.apiKey, totp } });
}

/** The code of the next half minute, which both clocks accept now. */
function codeOf(kit: Kit, account: TestAccount): string {
  const { deps } = kit.server;
  return deps.totp.code(seedOf(account.totpUri), Math.floor(deps.clock.nowMs() / 30_000));
}

describe('sign-in on several nodes', () => {
  test('a code taken by one node, at the same moment by both, or after a restart → one session', async () => {
    const account = await one.account();
    const code = codeOf(one, account);
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => login(i % 2 === 0 ? one : two, account, code)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect((await login(two, account, code)).json.detail).toContain('already used');
    const restarted = await startKit(env);
    expect((await login(restarted, account, code)).json.detail).toContain('already used');
    await restarted.stop();
  });

  test('a session made on one node → holds on the other; ended there, or its key revoked there → refused here', async () => {
    const account = await one.account();
    one.advance(30_000);
    two.advance(30_000);
    const made = await login(one, account, codeOf(one, account));
    const cookie = (made.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    const { token } = made.json;
    expect((await two.call('GET', '/v1/auth/session', { auth: token })).json.email).toBe(account.email);
    expect((await two.call('GET', '/v1/auth/session', { cookie })).json.email).toBe(account.email);

    const key = await two.call('POST', '/v1/keys', { auth: token, json: { name: 'second' } });
    expect((await one.call('GET', '/v1/keys', { auth: key.json.key })).status).toBe(200);
    expect((await two.call('DELETE', `/v1/keys/${key.json.id}`, { auth: token })).status).toBe(200);
    expect((await one.call('GET', '/v1/keys', { auth: key.json.key })).json.code).toBe('key_revoked');

    expect((await two.call('POST', '/v1/auth/logout', { auth: token })).status).toBe(204);
    expect((await one.call('GET', '/v1/keys', { cookie })).json.code).toBe('token_invalid');
  });

  test('wrong codes on either node → one count; the first node stops → what it counted stays', async () => {
    const account = await one.account();
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++) statuses.push((await login(i % 2 === 0 ? one : two, account, '000000')).status);
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
    await one.stop();
    expect((await login(two, account, '000000')).status).toBe(429);
  });
});

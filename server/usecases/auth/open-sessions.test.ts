import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';
import { operatorOf } from '../account/create-account.ts';
import { addUser } from '../account/users.ts';

let kit: Kit;
let account: TestAccount;
beforeAll(async () => {
  kit = await startKit();
  account = await kit.account();
});
afterAll(() => kit.stop());

async function other(role: 'operator' | 'auditor') {
  const email = `${role}@example.com`;
  const user = await addUser(kit.server.deps, operatorOf(account.accountId, account.row), { email, role });
  const answer = await kit.call('POST', '/v1/auth/login', {
    json: { email, api_key: account.apiKey, recovery_code: user.recoveryCodes[0] },
  });
  return answer.json as { token: string; session_id: string };
}

describe('open sessions', () => {
  test('list: an owner → everybody in the account, the own one marked; others → their own', async () => {
    const owner = await account.signIn();
    const operator = await other('operator');
    const all = await kit.call('GET', '/v1/sessions', { auth: owner.token });
    const found = all.json.sessions as { id: string; current: boolean; email: string }[];
    expect(found.map(({ id, current }) => [id, current])).toEqual(
      expect.arrayContaining([
        [owner.id, true],
        [operator.session_id, false],
      ]),
    );
    const own = await kit.call('GET', '/v1/sessions', { auth: operator.token });
    expect(own.json.sessions).toMatchObject([
      { id: operator.session_id, current: true, email: 'operator@example.com' },
    ]);
  });

  test("end: one's own, or as the owner another's → refused from the next request on; a stranger's → 404", async () => {
    const owner = await account.signIn();
    const auditor = await other('auditor');
    const stranger = await (await kit.account()).signIn();
    expect((await kit.call('DELETE', `/v1/sessions/${owner.id}`, { auth: auditor.token })).status).toBe(404);
    expect((await kit.call('DELETE', `/v1/sessions/${owner.id}`, { auth: stranger.token })).status).toBe(404);
    expect((await kit.call('DELETE', `/v1/sessions/${auditor.session_id}`, { auth: owner.token })).status).toBe(204);
    const refused = await kit.call('GET', '/v1/sessions', { auth: auditor.token });
    expect([refused.status, refused.json.code]).toEqual([401, 'token_invalid']);
    expect((await kit.call('DELETE', `/v1/sessions/${auditor.session_id}`, { auth: owner.token })).status).toBe(404);
    expect((await kit.call('DELETE', `/v1/sessions/${owner.id}`, { auth: account.apiKey })).status).toBe(403);
  });

  test('list: an hour later → none is left but the new one', async () => {
    kit.advance(3_601_000);
    const owner = await account.signIn();
    const { json } = await kit.call('GET', '/v1/sessions', { auth: owner.token });
    expect(json.sessions).toMatchObject([{ id: owner.id }]);
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuditRow } from '../../ports/tables.ts';
import { type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';

let kit: Kit;
beforeAll(async () => {
  kit = await startKit();
});
afterAll(() => kit.stop());

/** An account whose chain has `entries` entries. */
async function chained(entries: number): Promise<TestAccount> {
  const account = await kit.account();
  const { store, clock } = kit.server.deps;
  for (let i = 1; i < entries; i++) {
    await store.commit([
      {
        kind: 'audit',
        entry: {
          chain: account.accountId,
          at_ms: clock.nowMs(),
          actor: 'test',
          action: 'test.done',
          subject: String(i),
          outcome: 'done',
          detail: { z: 1, a: { y: [i, null], b: 'ü' } },
          from: 'local',
        },
      },
    ]);
  }
  return account;
}

const verify = (account: TestAccount, query = '') =>
  kit.call('GET', `/v1/audit/verify${query}`, { auth: account.apiKey });

async function rowOf(account: TestAccount, seq: number): Promise<AuditRow> {
  const row = await kit.server.deps.store.get('audit', { id: `${account.accountId}/${seq}` });
  if (row === null) throw new Error(`expected entry ${seq}`);
  return row;
}

describe('audit', () => {
  test('pages: newest first, entries appended meanwhile → every entry exactly once', async () => {
    const account = await chained(12);
    const seen: number[] = [];
    let cursor = '';
    do {
      const page = await kit.call('GET', `/v1/audit?limit=5${cursor}`, { auth: account.apiKey });
      seen.push(...page.json.entries.map(({ seq }: { seq: number }) => seq));
      cursor = page.json.next_cursor === null ? '' : `&cursor=${page.json.next_cursor}`;
      const now = await kit.call('GET', '/v1/audit?cursor=nonsense', { auth: account.apiKey });
      expect(now.status).toBe(400);
    } while (cursor !== '');
    expect(seen).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  });

  test('verify: an untouched chain over several batches → holds, with its head', async () => {
    const account = await chained(2_100);
    const { json } = await verify(account);
    expect(json).toEqual({
      ok: true,
      entries: 2_100,
      head: { seq: 2_100, hash: (await rowOf(account, 2_100)).hash },
      broken: null,
    });
  });

  test.each<[string, (row: AuditRow) => Partial<AuditRow>]>([
    ['who', () => ({ actor: 'somebody else' })],
    ['what', () => ({ action: 'nothing.happened' })],
    ['when', (row) => ({ at_ms: row.at_ms + 1 })],
    ['to whom', () => ({ subject: 'other' })],
    ['from where', () => ({ from: '10.0.0.1' })],
    ['how it went', () => ({ outcome: 'refused' })],
    ['a detail deep inside', () => ({ detail: { z: 1, a: { y: [3, 0], b: 'ü' } } })],
    ['its hash', () => ({ hash: 'A'.repeat(43) })],
    ['the hash before', () => ({ prev_hash: 'A'.repeat(43) })],
  ])('verify: %s of one entry altered → broken at that entry', async (_what, change) => {
    const account = await chained(6);
    const row = await rowOf(account, 4);
    await kit.server.deps.store.commit([{ kind: 'put', table: 'audit', row: { ...row, ...change(row) } }]);
    const { json } = await verify(account);
    expect(json).toMatchObject({ ok: false, entries: 3, broken: { seq: 4 } });
  });

  test('verify: an entry taken out of the middle → broken where the gap is; off the end → found by a noted head', async () => {
    const account = await chained(6);
    const { head } = (await verify(account)).json;
    const noted = `?seq=${head.seq}&hash=${head.hash}`;
    expect((await verify(account, noted)).json.ok).toBe(true);
    await kit.server.deps.store.commit([{ kind: 'delete', table: 'audit', key: `${account.accountId}/6` }]);
    expect((await verify(account)).json.ok).toBe(true);
    expect((await verify(account, noted)).json).toMatchObject({ ok: false, broken: { seq: 6 } });
    await kit.server.deps.store.commit([{ kind: 'delete', table: 'audit', key: `${account.accountId}/3` }]);
    expect((await verify(account)).json).toMatchObject({ ok: false, entries: 2, broken: { seq: 4 } });
  });

  test.each(['?seq=1', '?hash=x', '?seq=0&hash=x', '?seq=one&hash=two', '?other=1'])(
    'verify: %s → 400',
    async (query) => {
      const account = await chained(1);
      expect((await verify(account, query)).status).toBe(400);
    },
  );

  test('refused: what a caller may not do → one entry, with who, what and from where; a loop of it → ten an hour', async () => {
    const account = await kit.account();
    for (let i = 0; i < 15; i++) {
      const answer = await kit.call('POST', '/v1/keys', { auth: account.apiKey, json: { name: 'x' } });
      expect(answer.json.code).toBe('management_required');
    }
    const { json } = await kit.call('GET', '/v1/audit', { auth: account.apiKey });
    const refused = json.entries.filter(({ outcome }: { outcome: string }) => outcome === 'refused');
    expect(refused).toHaveLength(10);
    expect(refused[0]).toMatchObject({
      actor: `key:${account.row.id}`,
      action: 'refused.management_required',
      subject: 'createKey',
      from: '127.0.0.1',
    });
  });

  test('revoked: a key used after it was revoked → one entry an hour, however often', async () => {
    const account = await kit.account();
    const { token } = await account.signIn();
    const made = await kit.call('POST', '/v1/keys', { auth: token, json: { name: 'lost' } });
    await kit.call('DELETE', `/v1/keys/${made.json.id}`, { auth: token });
    for (let i = 0; i < 3; i++) await kit.call('GET', '/v1/keys', { auth: made.json.key });
    kit.advance(3_600_000);
    await kit.call('GET', '/v1/keys', { auth: made.json.key });
    const { json } = await kit.call('GET', '/v1/audit', { auth: account.apiKey });
    const uses = json.entries.filter(({ action }: { action: string }) => action === 'key.used_after_revocation');
    expect(uses).toHaveLength(2);
  });
});

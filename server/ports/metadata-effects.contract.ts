import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canonicalAuditText } from '../domain/audit-chain.ts';
import type { DeviceId } from '../domain/ids.ts';
import { auditEntry, deviceRow, factRow, keyRow } from './metadata-rows.contract.ts';
import type { CommitOutcome, MetadataStore, Write } from './metadata-store.ts';
import type { AuditRow, Tables } from './tables.ts';

/** Windows, audit chains and touches of every metadata store; part of `metadataStoreContract`, which opens the store. */
export function metadataEffectsContract(store: () => MetadataStore): void {
  const commits = (...writes: Write[]) => store().commit(writes);
  const device = (number: number) => store().get('devices', { id: `device-${number}` as DeviceId });

  describe('take', () => {
    const take = (atMs: number, max = 3, id = 'w'): Promise<CommitOutcome> =>
      commits({ kind: 'take', id, atMs, windowMs: 60_000, max });
    const full = { ok: false, index: 0, reason: 'window-full' };

    it('up to max within a window → ok; then window-full until the oldest has left', async () => {
      expect(await take(1_000)).toEqual({ ok: true });
      expect(await take(2_000)).toEqual({ ok: true });
      expect(await take(3_000)).toEqual({ ok: true });
      expect(await take(60_999)).toEqual(full);
      expect(await take(61_000)).toEqual({ ok: true });
      expect(await take(61_999)).toEqual(full);
      expect(await take(62_000)).toEqual({ ok: true });
    });

    it('another id → its own window', async () => {
      await take(1_000, 1);
      expect(await take(1_000, 1)).toEqual(full);
      expect(await take(1_000, 1, 'v')).toEqual({ ok: true });
    });

    it('200 at once with room for 60 → exactly 60', async () => {
      const outcomes = await Promise.all(Array.from({ length: 200 }, () => take(5_000, 60)));
      expect(outcomes.filter(({ ok }) => ok)).toHaveLength(60);
      expect((await store().get('windows', { id: 'w' }))?.hits).toHaveLength(60);
    });

    it('two in one batch with room for one → window-full, and none is counted', async () => {
      const one: Write = { kind: 'take', id: 'w', atMs: 1, windowMs: 60_000, max: 1 };
      expect(await commits(one, one)).toEqual({ ok: false, index: 1, reason: 'window-full' });
      expect(await take(1, 1)).toEqual({ ok: true });
    });
  });

  describe('audit', () => {
    it('100 appended at once, several to a batch, to two chains → each chain is whole, in order and without a fork', async () => {
      await Promise.all(
        Array.from({ length: 50 }, (_, at) =>
          commits(
            { kind: 'audit', entry: auditEntry({ at_ms: at }) },
            { kind: 'audit', entry: auditEntry({ at_ms: at, action: 'second', detail: { b: 'é😀', a: 1 } }) },
            { kind: 'audit', entry: auditEntry({ chain: 'account-2', at_ms: at }) },
          ),
        ),
      );
      expectWhole(await chainOf(store()), 100);
      expectWhole(await chainOf(store(), 'account-2'), 50);
    });

    it('a chain → continues where it ended, and is found by id', async () => {
      await commits({ kind: 'audit', entry: auditEntry() });
      await commits({ kind: 'audit', entry: auditEntry({ at_ms: 2_000 }) });
      expectWhole(await chainOf(store()), 2);
      expect((await store().get('audit', { id: 'account-1/2' }))?.at_ms).toBe(2_000);
    });
  });

  describe('touch', () => {
    /** Resolves once the device's touch is written, which may be a moment after the commit it shares. */
    const seen = (value: number, number = 1) =>
      expect.poll(async () => (await device(number))?.last_seen_at_ms, { timeout: 5_000, interval: 5 }).toBe(value);

    it('raised, with the next commit → there, without a new version; lower or equal → unchanged', async () => {
      await commits({ kind: 'insert', table: 'devices', row: deviceRow(1) });
      await commits({ kind: 'insert', table: 'devices', row: deviceRow(2) });
      store().touch('devices', 'device-1', 'last_seen_at_ms', 500);
      store().touch('devices', 'device-1', 'last_seen_at_ms', 400);
      await commits({ kind: 'put', table: 'facts', row: factRow('a', 'x') });
      await seen(500);
      expect(await device(1)).toEqual(deviceRow(1, { last_seen_at_ms: 500 }));
      store().touch('devices', 'device-1', 'last_seen_at_ms', 300);
      store().touch('devices', 'device-2', 'last_seen_at_ms', 7);
      await seen(7, 2);
      expect((await device(1))?.last_seen_at_ms).toBe(500);
    });

    it('no commit follows → there within about a second', async () => {
      await commits({ kind: 'insert', table: 'api_keys', row: keyRow(1) });
      store().touch('api_keys', 'key-1', 'last_used_at_ms', 7);
      await expect
        .poll(async () => (await store().get('api_keys', { hash: 'hash-1' }))?.last_used_at_ms, { timeout: 5_000 })
        .toBe(7);
    });

    it('a row loaded before a touch and stored after it → keeps the touch', async () => {
      await commits({ kind: 'insert', table: 'devices', row: deviceRow(1) });
      const loaded = await device(1);
      store().touch('devices', 'device-1', 'last_seen_at_ms', 500);
      await commits({ kind: 'put', table: 'facts', row: factRow('a', 'x') });
      await seen(500);
      const row = { ...(loaded as Tables['devices']), profile: 'new', version: 2 };
      await commits({ kind: 'update', table: 'devices', row, expectVersion: 1 });
      expect(await device(1)).toEqual({ ...row, last_seen_at_ms: 500 });
      await commits({ kind: 'put', table: 'devices', row: { ...row, version: 3 } });
      expect((await device(1))?.last_seen_at_ms).toBe(500);
      await commits({ kind: 'put', table: 'devices', row: { ...row, last_seen_at_ms: 600, version: 4 } });
      expect((await device(1))?.last_seen_at_ms).toBe(600);
    });

    it('a row that is not there → nothing happens, and commits go on', async () => {
      store().touch('devices', 'nobody', 'last_seen_at_ms', 1);
      expect(await commits({ kind: 'put', table: 'facts', row: factRow('a', 'x') })).toEqual({ ok: true });
      expect(await device(1)).toBeNull();
    });

    it('a column that does not rise → throws', () => {
      expect(() => store().touch('devices', 'device-1', 'created_at_ms', 1)).toThrow(/expected/);
    });
  });
}

/** All entries of a chain, oldest first. */
export function chainOf(store: MetadataStore, chain = 'account-1'): Promise<AuditRow[]> {
  return store.list('audit', { where: [['chain', '=', chain]], orderBy: [['seq', 'asc']], limit: 10_000 });
}

/** Checks a chain from its first entry to its last: sequence, links and hashes. */
export function expectWhole(rows: AuditRow[], count: number): void {
  expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: count }, (_, at) => at + 1));
  let prevHash = '';
  for (const row of rows) {
    expect(row.prev_hash).toBe(prevHash);
    expect(row.hash).toBe(createHash('sha256').update(canonicalAuditText(row)).digest('base64url'));
    prevHash = row.hash;
  }
}

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeviceId } from '../domain/ids.ts';
import { StorageUnavailableError } from './faults.ts';
import { chainOf, expectWhole, metadataEffectsContract } from './metadata-effects.contract.ts';
import { metadataQueriesContract } from './metadata-queries.contract.ts';
import { auditEntry, bodyRow, deviceRow, factRow, transferRow } from './metadata-rows.contract.ts';
import type { MetadataStore, Write } from './metadata-store.ts';
import type { TableName, Tables } from './tables.ts';

/** One adapter under test, with nothing in it yet. */
export interface MetadataStoreSubject {
  /** Opens the data, anew or next to one that is open; for a store that ends with its process always the same one. */
  open(): Promise<MetadataStore>;
  /** Whether what was committed is there after `close` and `open`. */
  durable: boolean;
  /** Removes everything. Stores that were opened are closed before. */
  dispose(): Promise<void>;
}

/** What every metadata store must do. `setUp` makes an empty one for each test. */
export function metadataStoreContract(title: string, setUp: () => Promise<MetadataStoreSubject>): void {
  describe(title, () => {
    let subject: MetadataStoreSubject;
    let store: MetadataStore;
    const opened: MetadataStore[] = [];
    const open = async () => {
      const another = await subject.open();
      opened.push(another);
      return another;
    };

    beforeEach(async () => {
      subject = await setUp();
      store = await open();
    });
    afterEach(async () => {
      for (const each of opened.splice(0)) await each.close();
      await subject.dispose();
    });

    const commits = (...writes: Write[]) => store.commit(writes);
    const device = (number: number) => store.get('devices', { id: `device-${number}` as DeviceId });

    describe('rows', () => {
      it('insert and get: every kind of column → comes back as it was stored', async () => {
        const full = transferRow(1, {
          idempotency_salt: new Uint8Array([1, 2, 3]),
          idempotency_hash: 'h',
          delivered: [
            [0, 5],
            [7, Number.MAX_SAFE_INTEGER],
          ],
          held: true,
          size: Number.MAX_SAFE_INTEGER,
          recipient_index: '',
        });
        expect(await commits({ kind: 'insert', table: 'transfers', row: full })).toEqual({ ok: true });
        expect(await store.get('transfers', { id: full.id })).toEqual(full);
        expect(await store.get('transfers', { idempotency_hash: 'h' })).toEqual(full);
      });

      it('text: quotes, emoji, bidi, combining marks, very long → comes back unchanged, also as a unique look-up', async () => {
        const texts = [
          "'; DROP TABLE x --",
          'é😀\u{10ffff}\uffff',
          '\u202eabc',
          'a\u0301',
          '',
          ' ',
          '%_\\"',
          'x'.repeat(100_000),
        ];
        for (const [at, name] of texts.entries()) {
          const row = deviceRow(at, { name });
          expect(await commits({ kind: 'insert', table: 'devices', row })).toEqual({ ok: true });
          expect(await store.get('devices', { account_id: row.account_id, name })).toEqual(row);
        }
      });

      it('json: nested, unicode, NUL, lone surrogates, odd keys → comes back unchanged', async () => {
        const settings = { a: [1, 'é😀', null, { '': true }], 'nul \u0000': '\ud800', e: 1e-7 } as object;
        const row = { id: 'a', email: 'e', created_at_ms: 1, settings, version: 1 } as unknown as Tables['accounts'];
        await commits({ kind: 'insert', table: 'accounts', row });
        expect(await store.get('accounts', { email: 'e' })).toEqual(row);
      });

      it.each([0, 1, 65_564, 3_000_001])(
        'bytes: %i of them → come back unchanged and as a bare Uint8Array',
        async (count) => {
          const bytes = new Uint8Array(count).map((_, at) => (at * 31 + (at >> 8)) & 0xff);
          await commits({ kind: 'put', table: 'bodies', row: bodyRow(1, bytes) });
          const found = await store.get('bodies', { transfer_id: bodyRow(1, bytes).transfer_id });
          expect(Buffer.compare(found?.bytes ?? new Uint8Array(1), bytes)).toBe(0);
          expect(Object.getPrototypeOf(found?.bytes)).toBe(Uint8Array.prototype);
        },
      );

      it('get: nothing there → null', async () => {
        expect(await device(1)).toBeNull();
        expect(await store.get('devices', { account_id: deviceRow(1).account_id, name: 'none' })).toBeNull();
      });

      it('rows given and taken: changed by the caller afterwards → the store keeps what was committed', async () => {
        const row = deviceRow(1, { tags: ['a'] });
        await commits({ kind: 'insert', table: 'devices', row });
        row.tags.push('b');
        const found = await device(1);
        found?.tags.push('c');
        expect((await device(1))?.tags).toEqual(['a']);
      });

      const malformed: [string, Write][] = [
        ['a missing column', { kind: 'insert', table: 'facts', row: { id: 'a', version: 1 } as Tables['facts'] }],
        [
          'null where there must be a value',
          { kind: 'put', table: 'facts', row: factRow('a', null as unknown as string) },
        ],
        ['a fraction for an int', { kind: 'insert', table: 'devices', row: deviceRow(1, { created_at_ms: 1.5 }) }],
        [
          'an int too large to be exact',
          { kind: 'insert', table: 'devices', row: deviceRow(1, { created_at_ms: 2 ** 53 }) },
        ],
        ['NUL in text', { kind: 'put', table: 'facts', row: factRow('a', 'x\0y') }],
        ['a lone surrogate in text', { kind: 'put', table: 'facts', row: factRow('a', '\ud800') }],
        ['a version that skips', { kind: 'update', table: 'facts', row: factRow('a', 'x', 3), expectVersion: 1 }],
        ['a version of zero', { kind: 'insert', table: 'facts', row: factRow('a', 'x', 0) }],
        ['no such table', { kind: 'delete', table: 'nowhere' as TableName, key: 'a' }],
      ];
      it.each(malformed)('commit: %s → rejects, and nothing of its batch is there', async (_, write) => {
        await expect(commits({ kind: 'put', table: 'facts', row: factRow('before', 'x') }, write)).rejects.toThrow(
          /expected/,
        );
        expect(await store.get('facts', { id: 'before' })).toBeNull();
      });
    });

    describe('commit', () => {
      it('no writes → ok', async () => {
        expect(await store.commit([])).toEqual({ ok: true });
      });

      it('insert: the key is taken → exists, and the first row stays', async () => {
        await commits({ kind: 'insert', table: 'facts', row: factRow('a', 'first') });
        const again = await commits({ kind: 'insert', table: 'facts', row: factRow('a', 'second') });
        expect(again).toEqual({ ok: false, index: 0, reason: 'exists' });
        expect((await store.get('facts', { id: 'a' }))?.value).toBe('first');
      });

      const takers: [string, Write][] = [
        ['insert', { kind: 'insert', table: 'devices', row: deviceRow(2, { name: 'sensor 1' }) }],
        ['put', { kind: 'put', table: 'devices', row: deviceRow(2, { name: 'sensor 1' }) }],
        ['put over a row', { kind: 'put', table: 'devices', row: deviceRow(3, { name: 'sensor 1', version: 7 }) }],
        [
          'update',
          { kind: 'update', table: 'devices', row: deviceRow(3, { name: 'sensor 1', version: 2 }), expectVersion: 1 },
        ],
      ];
      it.each(takers)('%s: a unique index is taken by another row → exists, and nothing changed', async (_, write) => {
        await commits({ kind: 'insert', table: 'devices', row: deviceRow(1) });
        await commits({ kind: 'insert', table: 'devices', row: deviceRow(3) });
        expect(await commits(write)).toEqual({ ok: false, index: 0, reason: 'exists' });
        expect(await device(2)).toBeNull();
        expect(await device(3)).toEqual(deviceRow(3));
      });

      it('unique index: null in it → exempt', async () => {
        await commits({ kind: 'insert', table: 'transfers', row: transferRow(1, { idempotency_hash: null }) });
        expect(await commits({ kind: 'insert', table: 'transfers', row: transferRow(2) })).toEqual({ ok: true });
      });

      it('unique index: freed and taken within one batch → ok', async () => {
        await commits({ kind: 'insert', table: 'devices', row: deviceRow(1) });
        const outcome = await commits(
          { kind: 'update', table: 'devices', row: deviceRow(1, { name: 'elsewhere', version: 2 }), expectVersion: 1 },
          { kind: 'insert', table: 'devices', row: deviceRow(2, { name: 'sensor 1' }) },
        );
        expect(outcome).toEqual({ ok: true });
        expect((await store.get('devices', { account_id: deviceRow(1).account_id, name: 'sensor 1' }))?.id).toBe(
          'device-2',
        );
      });

      it('update: version as expected → replaced; moved on or no row → conflict', async () => {
        await commits({ kind: 'insert', table: 'devices', row: deviceRow(1) });
        const update: Write = {
          kind: 'update',
          table: 'devices',
          row: deviceRow(1, { profile: 'espruino', tags: [], version: 2 }),
          expectVersion: 1,
        };
        expect(await commits(update)).toEqual({ ok: true });
        expect(await device(1)).toEqual(update.row);
        expect(await commits(update)).toEqual({ ok: false, index: 0, reason: 'conflict' });
        const nobody: Write = { ...update, row: deviceRow(9, { version: 2 }) };
        expect(await commits(nobody)).toEqual({ ok: false, index: 0, reason: 'conflict' });
      });

      it('put: no row, then a row of any version → stored as given', async () => {
        await commits({ kind: 'put', table: 'facts', row: factRow('a', 'one', 5) });
        await commits({ kind: 'put', table: 'facts', row: factRow('a', 'two', 2) });
        expect(await store.get('facts', { id: 'a' })).toEqual(factRow('a', 'two', 2));
      });

      it('delete: with and without a version → conflict only where the version is another', async () => {
        await commits({ kind: 'insert', table: 'devices', row: deviceRow(1) });
        const expecting = (expectVersion: number): Write => ({
          kind: 'delete',
          table: 'devices',
          key: 'device-1',
          expectVersion,
        });
        expect(await commits(expecting(2))).toEqual({ ok: false, index: 0, reason: 'conflict' });
        expect(await device(1)).not.toBeNull();
        expect(await commits(expecting(1))).toEqual({ ok: true });
        expect(await device(1)).toBeNull();
        expect(await commits(expecting(1))).toEqual({ ok: false, index: 0, reason: 'conflict' });
        expect(await commits({ kind: 'delete', table: 'devices', key: 'device-1' })).toEqual({ ok: true });
        expect(await commits({ kind: 'insert', table: 'devices', row: deviceRow(1) })).toEqual({ ok: true });
      });

      it('expect: the version now, or 0 for no row → holds; anything else → conflict', async () => {
        await commits({ kind: 'insert', table: 'facts', row: factRow('a', 'x', 4) });
        const expecting = (key: string, version: number): Write => ({ kind: 'expect', table: 'facts', key, version });
        expect(await commits(expecting('a', 4), expecting('b', 0))).toEqual({ ok: true });
        expect(await commits(expecting('a', 4), expecting('a', 3))).toEqual({
          ok: false,
          index: 1,
          reason: 'conflict',
        });
        expect(await commits(expecting('a', 0))).toEqual({ ok: false, index: 0, reason: 'conflict' });
        expect(await commits(expecting('b', 1))).toEqual({ ok: false, index: 0, reason: 'conflict' });
      });

      it('a batch: later writes see earlier ones → ok', async () => {
        const outcome = await commits(
          { kind: 'insert', table: 'facts', row: factRow('a', 'x') },
          { kind: 'expect', table: 'facts', key: 'a', version: 1 },
          { kind: 'update', table: 'facts', row: factRow('a', 'y', 2), expectVersion: 1 },
          { kind: 'delete', table: 'facts', key: 'a', expectVersion: 2 },
          { kind: 'insert', table: 'facts', row: factRow('a', 'z') },
        );
        expect(outcome).toEqual({ ok: true });
        expect(await store.get('facts', { id: 'a' })).toEqual(factRow('a', 'z'));
      });

      it('a batch: its last write does not hold → nothing of any kind of write remains', async () => {
        await commits({ kind: 'insert', table: 'devices', row: deviceRow(1) });
        await commits({ kind: 'insert', table: 'devices', row: deviceRow(2) });
        await commits({ kind: 'take', id: 'w', atMs: 1, windowMs: 10, max: 5 });
        const outcome = await commits(
          { kind: 'insert', table: 'devices', row: deviceRow(3) },
          { kind: 'update', table: 'devices', row: deviceRow(1, { name: 'new', version: 2 }), expectVersion: 1 },
          { kind: 'put', table: 'facts', row: factRow('a', 'x') },
          { kind: 'delete', table: 'devices', key: 'device-2' },
          { kind: 'take', id: 'w', atMs: 2, windowMs: 10, max: 5 },
          { kind: 'audit', entry: auditEntry() },
          { kind: 'insert', table: 'devices', row: deviceRow(1) },
        );
        expect(outcome).toEqual({ ok: false, index: 6, reason: 'exists' });
        expect(await device(1)).toEqual(deviceRow(1));
        expect(await device(2)).toEqual(deviceRow(2));
        expect(await device(3)).toBeNull();
        expect(await store.get('facts', { id: 'a' })).toBeNull();
        expect((await store.get('windows', { id: 'w' }))?.hits).toEqual([1]);
        expect(await chainOf(store)).toEqual([]);
      });

      it('many at once, some refused, some malformed → each stands alone', async () => {
        const outcomes = await Promise.allSettled(
          Array.from({ length: 120 }, (_, at) => {
            const first: Write = { kind: 'insert', table: 'devices', row: deviceRow(at) };
            if (at % 3 === 1) return commits(first, { kind: 'expect', table: 'facts', key: 'none', version: 1 });
            if (at % 3 === 2) return commits(first, { kind: 'put', table: 'facts', row: factRow('x', '\0') });
            return commits(first, { kind: 'audit', entry: auditEntry({ at_ms: at }) });
          }),
        );
        for (const [at, outcome] of outcomes.entries()) {
          if (at % 3 === 2) expect(outcome.status).toBe('rejected');
          else {
            const expected = at % 3 === 1 ? { ok: false, index: 1, reason: 'conflict' } : { ok: true };
            expect(outcome).toEqual({ status: 'fulfilled', value: expected });
          }
          expect((await device(at)) !== null).toBe(at % 3 === 0);
        }
        expect(await chainOf(store)).toHaveLength(40);
      });

      it('64 racers for one row, by version and by unique index → exactly one wins each', async () => {
        await commits({ kind: 'insert', table: 'devices', row: deviceRow(1) });
        const claims = await Promise.all(
          Array.from({ length: 64 }, (_, at) =>
            commits({
              kind: 'update',
              table: 'devices',
              row: deviceRow(1, { profile: `p${at}`, version: 2 }),
              expectVersion: 1,
            }),
          ),
        );
        expect(claims.filter(({ ok }) => ok)).toHaveLength(1);
        const names = await Promise.all(
          Array.from({ length: 64 }, (_, at) =>
            commits({ kind: 'insert', table: 'devices', row: deviceRow(100 + at, { name: 'the one' }) }),
          ),
        );
        expect(names.filter(({ ok }) => ok)).toHaveLength(1);
      });
    });

    metadataEffectsContract(() => store);
    metadataQueriesContract(() => store);

    describe('check and close', () => {
      it('check: a store that works → resolves, and again', async () => {
        await store.check();
        await store.check();
      });

      it('close: commits and touches on their way → done; afterwards everything rejects; twice is fine', async () => {
        const last = commits({ kind: 'put', table: 'facts', row: factRow('a', 'x') });
        await store.close();
        expect(await last).toEqual({ ok: true });
        await expect(store.get('facts', { id: 'a' })).rejects.toBeInstanceOf(StorageUnavailableError);
        await expect(commits({ kind: 'delete', table: 'facts', key: 'a' })).rejects.toBeInstanceOf(
          StorageUnavailableError,
        );
        await expect(store.check()).rejects.toBeInstanceOf(StorageUnavailableError);
        await store.close();
      });

      it('reopened after close → all that was committed or touched is there', async () => {
        if (!subject.durable) return;
        await commits({ kind: 'insert', table: 'devices', row: deviceRow(1) });
        await commits({ kind: 'audit', entry: auditEntry() });
        store.touch('devices', 'device-1', 'last_seen_at_ms', 500);
        await store.close();
        store = await open();
        expect(await device(1)).toEqual(deviceRow(1, { last_seen_at_ms: 500 }));
        await commits({ kind: 'audit', entry: auditEntry({ at_ms: 2_000 }) });
        expectWhole(await chainOf(store), 2);
      });

      it('opened twice: each sees the other, versions, windows and chains are one', async () => {
        if (!subject.durable) return;
        const other = await open();
        await commits({ kind: 'insert', table: 'facts', row: factRow('a', 'x') });
        expect((await other.get('facts', { id: 'a' }))?.value).toBe('x');
        const both = [store, other];
        const outcomes = await Promise.all(
          Array.from({ length: 100 }, (_, at) =>
            (both[at % 2] as MetadataStore).commit([
              { kind: 'audit', entry: auditEntry({ at_ms: at }) },
              { kind: 'take', id: 'w', atMs: 1, windowMs: 60_000, max: 60 },
            ]),
          ),
        );
        expect(outcomes.filter(({ ok }) => ok)).toHaveLength(60);
        expectWhole(await chainOf(store), 60);
      });
    });
  });
}

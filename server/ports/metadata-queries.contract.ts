import { beforeEach, describe, expect, it } from 'vitest';
import type { AccountId } from '../domain/ids.ts';
import { deviceRow, factRow, keyRow, transferRow } from './metadata-rows.contract.ts';
import type { MetadataStore, Query } from './metadata-store.ts';
import type { DeviceRow, TransferRow as Transfer, TransferRow } from './tables.ts';

/** `list` and `count` of every metadata store; part of `metadataStoreContract`, which opens the store. */
export function metadataQueriesContract(store: () => MetadataStore): void {
  const account = 'account-1' as AccountId;

  describe('getBeside', () => {
    const beside = { table: 'windows', prefix: 'uploads ', columns: ['device_id', 'id'] } as const;
    const get = (hash: string) => store().getBeside<'api_keys', 'windows'>('api_keys', { hash }, beside);

    it('a key of a device, one of none, one with nothing beside, one that is not there → each what it should', async () => {
      const ofDevice = keyRow(1, { sealed_device_secret: new Uint8Array([0, 255]) });
      const ofNone = keyRow(2, { kind: 'account', device_id: null });
      const alone = keyRow(3);
      for (const row of [ofDevice, ofNone, alone]) await store().commit([{ kind: 'insert', table: 'api_keys', row }]);
      const windows = [
        { id: 'uploads device-1', hits: [1, 2], version: 1 },
        { id: 'uploads key-1', hits: [9], version: 1 },
        { id: 'uploads key-2', hits: [3], version: 4 },
        { id: 'status device-3', hits: [5], version: 1 },
      ];
      for (const row of windows) await store().commit([{ kind: 'put', table: 'windows', row }]);
      expect(await get('hash-1')).toEqual({ row: ofDevice, beside: windows[0] });
      expect(await get('hash-2')).toEqual({ row: ofNone, beside: windows[2] });
      expect(await get('hash-3')).toEqual({ row: alone, beside: null });
      expect(await get('hash-4')).toBe(null);
    });

    it('a row that is changed → seen with the next call, on either side', async () => {
      const row = keyRow(1);
      await store().commit([{ kind: 'insert', table: 'api_keys', row }]);
      expect((await get('hash-1'))?.row.state).toBe('active');
      const revoked = { ...row, state: 'revoked' as const, version: 2 };
      await store().commit([
        { kind: 'update', table: 'api_keys', row: revoked, expectVersion: 1 },
        { kind: 'take', id: 'uploads device-1', atMs: 7, windowMs: 1_000, max: 5 },
      ]);
      expect(await get('hash-1')).toEqual({
        row: revoked,
        beside: { id: 'uploads device-1', hits: [7], version: 1 },
      });
    });

    it('a column that is no text, or none at all → refused', async () => {
      for (const columns of [['created_at_ms'], []] as const) {
        const call = store().getBeside('api_keys', { hash: 'x' }, { table: 'windows', prefix: '', columns });
        await expect(call).rejects.toThrow(TypeError);
      }
    });
  });

  describe('list', () => {
    beforeEach(async () => {
      // 30 transfers: three states in turn, times in pairs, a deadline for every fifth, a stranger's every tenth.
      for (let number = 0; number < 30; number++) {
        const row = transferRow(number, {
          state: (['ready', 'claimed', 'burned'] as const)[number % 3] as Transfer['state'],
          created_at_ms: 1_000 + Math.floor(number / 2),
          upload_deadline_ms: number % 5 === 0 ? 5_000 - number : null,
          account_id: (number % 10 === 9 ? 'account-2' : account) as AccountId,
          end_to_end: number % 2 === 0,
        });
        await store().commit([{ kind: 'insert', table: 'transfers', row }]);
      }
    });

    const numbers = async (query: Query<TransferRow>) =>
      (await store().list('transfers', query)).map(({ id }) => Number(id.slice('transfer-'.length)));

    it('newest first with a limit → exactly those, whole', async () => {
      const query: Query<TransferRow> = {
        where: [['account_id', '=', account]],
        orderBy: [
          ['created_at_ms', 'desc'],
          ['id', 'desc'],
        ],
        limit: 3,
      };
      expect(await numbers(query)).toEqual([28, 27, 26]);
      expect((await store().list('transfers', { ...query, limit: 1 }))[0]?.sealed_meta).toEqual(
        new Uint8Array([28, 0, 255]),
      );
      expect(await numbers({ ...query, limit: 0 })).toEqual([]);
    });

    it.each(['asc', 'desc'] as const)(
      'pages %s, rows with equal times → each row once, in order',
      async (direction) => {
        const seen: number[] = [];
        let after: [number, string] | undefined;
        for (;;) {
          const page = await store().list('transfers', {
            where: [['account_id', '=', account]],
            orderBy: [
              ['created_at_ms', direction],
              ['id', direction],
            ],
            ...(after === undefined ? {} : { after }),
            limit: 4,
          });
          seen.push(...page.map(({ id }) => Number(id.slice('transfer-'.length))));
          const last = page.at(-1);
          if (last === undefined) break;
          after = [last.created_at_ms, last.id];
        }
        const expected = Array.from({ length: 30 }, (_, at) => at).filter((at) => at % 10 !== 9);
        expect(seen).toEqual(direction === 'asc' ? expected : expected.reverse());
      },
    );

    it('paging while rows come and go → no row that stayed is missed or repeated', async () => {
      const order = {
        where: [['account_id', '=', account]],
        orderBy: [
          ['created_at_ms', 'asc'],
          ['id', 'asc'],
        ],
      } as const;
      const first = await store().list('transfers', { ...order, limit: 10 });
      const last = first.at(-1) as TransferRow;
      await store().commit([
        { kind: 'delete', table: 'transfers', key: last.id },
        { kind: 'insert', table: 'transfers', row: transferRow(99, { created_at_ms: 1 }) },
      ]);
      const second = await numbers({ ...order, after: [last.created_at_ms, last.id], limit: 3 });
      expect(second).toEqual([11, 12, 13]);
    });

    const filters: [string, Query<TransferRow>['where'], number[]][] = [
      [
        '=',
        [
          ['state', '=', 'burned'],
          ['account_id', '=', account],
        ],
        [2, 5, 8, 11, 14, 17, 20, 23, 26],
      ],
      [
        'in',
        [
          ['state', 'in', ['claimed', 'burned']],
          ['expires_at_ms', '<', 9_006],
        ],
        [1, 2, 4, 5],
      ],
      ['in with nothing', [['state', 'in', []]], []],
      [
        'in with a stranger among it',
        [
          ['state', 'in', ['revoked', 'burned']],
          ['expires_at_ms', '<=', 9_005],
        ],
        [2, 5],
      ],
      [
        '< and >',
        [
          ['state', '=', 'ready'],
          ['expires_at_ms', '>', 9_003],
          ['expires_at_ms', '<', 9_012],
        ],
        [6, 9],
      ],
      [
        '<= and >=',
        [
          ['state', '=', 'ready'],
          ['expires_at_ms', '>=', 9_003],
          ['expires_at_ms', '<=', 9_012],
        ],
        [3, 6, 9, 12],
      ],
      [
        '< on a column that may be null',
        [
          ['state', '=', 'ready'],
          ['upload_deadline_ms', '<', 4_986],
        ],
        [15],
      ],
      [
        'is-null',
        [
          ['state', '=', 'ready'],
          ['upload_deadline_ms', 'is-null'],
        ],
        [3, 6, 9, 12, 18, 21, 24, 27],
      ],
      [
        'not-null',
        [
          ['state', '=', 'ready'],
          ['upload_deadline_ms', 'not-null'],
        ],
        [0, 15],
      ],
      [
        'a boolean',
        [
          ['account_id', '=', 'account-2' as AccountId],
          ['end_to_end', '=', false],
        ],
        [9, 19, 29],
      ],
    ];
    it.each(filters)('filter %s → those rows', async (_, where, expected) => {
      const found = await numbers({
        where,
        orderBy: [
          ['created_at_ms', 'asc'],
          ['id', 'asc'],
        ],
        limit: 100,
      });
      expect(found).toEqual(expected);
      expect((await numbers({ where, limit: 100 })).sort((a, b) => a - b)).toEqual(expected);
      expect(await store().count('transfers', { where })).toEqual({ rows: expected.length, sum: 0 });
    });

    it('ordered by the column of a range, mixed directions → in that order', async () => {
      const ready: Query<TransferRow>['where'] = [
        ['state', '=', 'ready'],
        ['upload_deadline_ms', '<=', 5_000],
      ];
      expect(await numbers({ where: ready, orderBy: [['upload_deadline_ms', 'asc']], limit: 10 })).toEqual([15, 0]);
      expect(await numbers({ where: ready, orderBy: [['upload_deadline_ms', 'desc']], limit: 10 })).toEqual([0, 15]);
      const mixed = await numbers({
        where: [['account_id', '=', account]],
        orderBy: [
          ['created_at_ms', 'desc'],
          ['id', 'asc'],
        ],
        limit: 4,
      });
      expect(mixed).toEqual([28, 26, 27, 24]);
    });

    it('all rows of a table, by its key → every one', async () => {
      expect(await numbers({ where: [], limit: 100 })).toHaveLength(30);
      expect(await numbers({ where: [], orderBy: [['id', 'desc']], limit: 2 })).toEqual([29, 28]);
      expect(await numbers({ where: [], orderBy: [['id', 'asc']], after: ['transfer-00027'], limit: 9 })).toEqual([
        28, 29,
      ]);
    });

    it('text order: by code point, whatever the platform orders by → the same in every store', async () => {
      const names = ['', 'A', 'Z', 'a', 'z', 'ä', '\u{e000}', '\uffff', '\u{10000}', '😀'];
      for (const [at, name] of [...names].reverse().entries()) {
        await store().commit([{ kind: 'insert', table: 'devices', row: deviceRow(at, { name }) }]);
      }
      const query: Query<DeviceRow> = { where: [['account_id', '=', account]], orderBy: [['name', 'asc']], limit: 100 };
      expect((await store().list('devices', query)).map(({ name }) => name)).toEqual(names);
      const behind = await store().list('devices', { ...query, after: ['\uffff'] });
      expect(behind.map(({ name }) => name)).toEqual(['\u{10000}', '😀']);
    });

    it('count with a sum → rows and sum; of nothing → zeros', async () => {
      const where: Query<TransferRow>['where'] = [['account_id', '=', 'account-2' as AccountId]];
      expect(await store().count('transfers', { where, sum: 'size' })).toEqual({ rows: 3, sum: 57 });
      expect(await store().count('transfers', { where: [['state', '=', 'revoked']], sum: 'size' })).toEqual({
        rows: 0,
        sum: 0,
      });
      expect(await store().count('transfers', { where: [] })).toEqual({ rows: 30, sum: 0 });
    });

    it('sum over nulls and past 32 bits → nulls count nothing, sums stay exact', async () => {
      const row = (number: number, size: number | null) =>
        transferRow(number, { size, account_id: 'big' as AccountId });
      await store().commit([
        { kind: 'insert', table: 'transfers', row: row(100, null) },
        { kind: 'insert', table: 'transfers', row: row(101, 5_368_709_120) },
        { kind: 'insert', table: 'transfers', row: row(102, 2 ** 52) },
      ]);
      const where: Query<TransferRow>['where'] = [['account_id', '=', 'big' as AccountId]];
      expect(await store().count('transfers', { where, sum: 'size' })).toEqual({
        rows: 3,
        sum: 2 ** 52 + 5_368_709_120,
      });
    });
  });

  describe('queries that no store may answer by luck', () => {
    const list = (query: unknown) => store().list('transfers', query as Query<TransferRow>);
    const refused: [string, unknown][] = [
      ['an unknown column', { where: [['nothing', '=', 1]], limit: 1 }],
      ['an unknown operator', { where: [['state', 'like', 'r%']], limit: 1 }],
      ['a comparison with null', { where: [['device_id', '=', null]], limit: 1 }],
      ['a value of the wrong kind', { where: [['created_at_ms', '<', '5']], limit: 1 }],
      ['a filter no index leads with', { where: [['burn', '=', 'on-delivery']], limit: 1 }],
      ['an order no index leads with', { where: [], orderBy: [['attempts', 'asc']], limit: 1 }],
      [
        'an order by what may be null',
        { where: [['state', '=', 'ready']], orderBy: [['upload_deadline_ms', 'asc']], limit: 1 },
      ],
      [
        'a page with mixed directions',
        {
          where: [],
          orderBy: [
            ['id', 'asc'],
            ['state', 'desc'],
          ],
          after: ['a', 'b'],
          limit: 1,
        },
      ],
      ['a page without an order', { where: [], after: [1], limit: 1 }],
      ['a negative limit', { where: [], limit: -1 }],
      ['no limit', { where: [] }],
    ];
    it.each(refused)('list with %s → rejects and says what was expected', async (_, query) => {
      await expect(list(query)).rejects.toThrow(/expected/);
    });

    it('get by what is neither key nor unique, by nothing, by null → rejects', async () => {
      await store().commit([{ kind: 'put', table: 'facts', row: factRow('a', 'x') }]);
      await expect(store().get('facts', { value: 'x' })).rejects.toThrow(/expected/);
      await expect(store().get('facts', {})).rejects.toThrow(/expected/);
      await expect(store().get('transfers', { upload_id: null })).rejects.toThrow(/expected/);
    });

    it('count with a sum of text → rejects', async () => {
      await expect(store().count('transfers', { where: [], sum: 'id' })).rejects.toThrow(/expected/);
    });
  });
}

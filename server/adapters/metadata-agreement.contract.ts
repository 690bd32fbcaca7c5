import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { AccountId, DeviceId } from '../domain/ids.ts';
import { auditEntry, deviceRow, factRow } from '../ports/metadata-rows.contract.ts';
import type { Condition, MetadataStore, Query, Write } from '../ports/metadata-store.ts';
import type { DeviceRow, TableName } from '../ports/tables.ts';
import { createMemoryStore } from './memory/metadata-store.ts';

/** Few keys, names and versions, so that random batches meet each other in every way. */
const key = fc.integer({ min: 0, max: 4 });
const version = fc.integer({ min: 1, max: 4 });
const name = fc.constantFrom('a', 'b', 'é', '\uffff', '😀');
const account = fc.constantFrom('one', 'two') as fc.Arbitrary<AccountId>;
const seenAt = fc.option(fc.integer({ min: 0, max: 50 }));

const device: fc.Arbitrary<DeviceRow> = fc
  .record({
    key,
    version,
    name,
    account_id: account,
    created_at_ms: fc.integer({ min: 0, max: 3 }),
    last_seen_at_ms: seenAt,
  })
  .map(({ key: number, ...rest }) => deviceRow(number, { tags: [rest.name], ...rest }));

const deviceKey = key.map((number) => `device-${number}`);

const write: fc.Arbitrary<Write> = fc.oneof(
  {
    weight: 4,
    arbitrary: device.map((row): Write => ({ kind: 'insert', table: 'devices', row: { ...row, version: 1 } })),
  },
  {
    weight: 4,
    arbitrary: device.map((row): Write => {
      return {
        kind: 'update',
        table: 'devices',
        row: { ...row, version: row.version + 1 },
        expectVersion: row.version,
      };
    }),
  },
  { weight: 2, arbitrary: device.map((row): Write => ({ kind: 'put', table: 'devices', row })) },
  { weight: 1, arbitrary: deviceKey.map((id): Write => ({ kind: 'delete', table: 'devices', key: id })) },
  {
    weight: 1,
    arbitrary: fc
      .record({ id: deviceKey, expectVersion: version })
      .map(({ id, expectVersion }): Write => ({ kind: 'delete', table: 'devices', key: id, expectVersion })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ id: deviceKey, version: fc.integer({ min: 0, max: 3 }) })
      .map(({ id, version: now }): Write => ({ kind: 'expect', table: 'devices', key: id, version: now })),
  },
  {
    weight: 1,
    arbitrary: key.map((number): Write => ({ kind: 'put', table: 'facts', row: factRow(`fact-${number}`, 'x') })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({
        id: fc.constantFrom('w', 'v'),
        atMs: fc.integer({ min: 0, max: 60 }),
        max: fc.integer({ min: 0, max: 4 }),
      })
      .map(({ id, atMs, max }): Write => ({ kind: 'take', id, atMs, windowMs: 20, max })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ chain: account, at_ms: key, detail: fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }) })
      .map(({ chain, at_ms, detail }): Write => ({ kind: 'audit', entry: auditEntry({ chain, at_ms, detail }) })),
  },
);

const condition: fc.Arbitrary<Condition<DeviceRow>> = fc.oneof(
  account.map((value) => ['account_id', '=', value] as const),
  fc.array(account, { maxLength: 3 }).map((values) => ['account_id', 'in', values] as const),
  fc
    .record({ operator: fc.constantFrom('<', '<=', '>', '>='), value: name })
    .map(({ operator, value }) => ['name', operator, value] as const),
  fc
    .record({ operator: fc.constantFrom('=', '<', '<=', '>', '>='), value: fc.integer({ min: 0, max: 50 }) })
    .map(({ operator, value }) => ['last_seen_at_ms', operator, value] as const),
  fc.constantFrom(['last_seen_at_ms', 'is-null'] as const, ['last_seen_at_ms', 'not-null'] as const),
  key.map((number) => ['id', '>=', `device-${number}` as DeviceId] as const),
) as fc.Arbitrary<Condition<DeviceRow>>;

const query: fc.Arbitrary<Query<DeviceRow>> = fc
  .record({
    where: fc.array(condition, { maxLength: 3 }),
    columns: fc.constantFrom(['id'], ['created_at_ms', 'id'], ['name', 'id'], ['account_id', 'created_at_ms', 'id']),
    direction: fc.constantFrom('asc' as const, 'desc' as const),
    after: fc.option(device),
    limit: fc.integer({ min: 0, max: 4 }),
  })
  .map(({ where, columns, direction, after, limit }) => {
    // An index must lead: the key does.
    const all: Condition<DeviceRow>[] = [...where, ['id', '>=', 'device-' as DeviceId]];
    const orderBy = columns.map((column) => [column as keyof DeviceRow & string, direction] as const);
    const position =
      after === null ? {} : { after: columns.map((column) => after[column as 'id' | 'name' | 'created_at_ms']) };
    return { where: all, orderBy, limit, ...position };
  });

/** A store does to any sequence of batches what the store in memory does: same outcomes, same rows, same answers. */
export function metadataAgreementContract(
  title: string,
  options: { runs: number; open: () => Promise<{ store: MetadataStore; dispose(): Promise<void> }> },
): void {
  it(`${title}: random batches and queries → the same outcomes, rows and pages as in memory`, async () => {
    const batches = fc.array(fc.array(write, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(batches, fc.array(query, { maxLength: 10 }), async (all, queries) => {
        const model = createMemoryStore();
        const { store, dispose } = await options.open();
        try {
          for (const batch of all) {
            const [expected, outcome] = [await model.commit(batch), await store.commit(batch)];
            // Which of several writes that do not hold is named first is a store's own affair.
            expect(outcome.ok).toBe(expected.ok);
          }
          for (const table of ['devices', 'windows', 'audit'] as const) {
            expect(await everything(store, table)).toEqual(await everything(model, table));
          }
          for (const each of queries) {
            expect(await store.list('devices', each)).toEqual(await model.list('devices', each));
            const { where } = each;
            const counted = { where, sum: 'created_at_ms' } as const;
            expect(await store.count('devices', counted)).toEqual(await model.count('devices', counted));
          }
        } finally {
          await store.close();
          await dispose();
        }
      }),
      { numRuns: options.runs },
    );
  });
}

function everything(store: MetadataStore, table: TableName): Promise<unknown[]> {
  return store.list(table, { where: [], orderBy: [['id' as 'version', 'asc']], limit: 10_000 });
}

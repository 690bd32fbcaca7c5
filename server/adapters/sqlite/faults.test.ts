import { chmod, mkdir, mkdtemp, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StorageFullError, StorageUnavailableError } from '../../ports/faults.ts';
import { bodyRow, deviceRow, factRow } from '../../ports/metadata-rows.contract.ts';
import type { MetadataStore, Write } from '../../ports/metadata-store.ts';
import { mountSmallDisk, withoutRootRights } from '../testing/small-disk.ts';
import { loadSqlite } from './driver.ts';
import { openSqliteStore } from './metadata-store.ts';

let folder: string;
const stores: MetadataStore[] = [];
const opened = async (options: { path: string; bytesMax?: number }) => {
  const store = await openSqliteStore(options);
  stores.push(store);
  return store;
};
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-sqlite-'));
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  await rm(folder, { recursive: true, force: true });
});

const body = (number: number, bytes = 64 * 1024): Write => ({
  kind: 'insert',
  table: 'bodies',
  row: bodyRow(number, new Uint8Array(bytes).fill(number & 0xff)),
});

/** Commits bodies one by one until the store has no room; how many went in. */
async function fill(store: MetadataStore): Promise<number> {
  for (let number = 0; ; number++) {
    try {
      await store.commit([body(number)]);
    } catch (error) {
      expect(error).toBeInstanceOf(StorageFullError);
      return number;
    }
  }
}

describe('sqlite metadata, no room', () => {
  it('the size allowed is used up → StorageFullError, what is there is read, deleting makes room again', async () => {
    const store = await opened({ path: join(folder, 'm.db'), bytesMax: 2 * 1024 * 1024 });
    const count = await fill(store);
    expect(count).toBeGreaterThan(10);
    expect(await store.get('bodies', { transfer_id: bodyRow(count, new Uint8Array()).transfer_id })).toBeNull();
    expect((await store.count('bodies', { where: [] })).rows).toBe(count);
    expect(
      await store.commit([{ kind: 'delete', table: 'bodies', key: bodyRow(0, new Uint8Array()).transfer_id }]),
    ).toEqual({
      ok: true,
    });
    expect(await store.commit([body(count)])).toEqual({ ok: true });
  });

  it('a batch too large among small ones at once → it alone is refused, with nothing of it left', async () => {
    const store = await opened({ path: join(folder, 'm.db'), bytesMax: 1024 * 1024 });
    const small = (number: number) => store.commit([{ kind: 'insert', table: 'devices', row: deviceRow(number) }]);
    const large = store.commit([{ kind: 'put', table: 'facts', row: factRow('large', 'x') }, body(1, 2 * 1024 * 1024)]);
    const outcomes = await Promise.allSettled([small(1), small(2), large, small(3)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    await expect(large).rejects.toBeInstanceOf(StorageFullError);
    expect(await store.get('facts', { id: 'large' })).toBeNull();
    expect((await store.count('devices', { where: [] })).rows).toBe(3);
  });

  it('a real disk fills up → StorageFullError for commit and check; works again when there is room', async (context) => {
    const disk = await mountSmallDisk(3 * 1024 * 1024);
    if (disk === null) return context.skip('this user may not mount a file system');
    try {
      const store = await opened({ path: join(disk.folder, 'm.db') });
      const ballast = join(disk.folder, 'ballast');
      await writeFile(ballast, new Uint8Array(1024 * 1024));
      const count = await fill(store);
      await expect(store.commit([body(count)])).rejects.toThrow(/no room/);
      expect((await store.count('bodies', { where: [] })).rows).toBe(count);
      await rm(ballast);
      await store.check();
      expect(await store.commit([body(count)])).toEqual({ ok: true });
      await store.close();
      const again = await opened({ path: join(disk.folder, 'm.db') });
      expect((await again.count('bodies', { where: [] })).rows).toBe(count + 1);
    } finally {
      for (const store of stores.splice(0)) await store.close();
      await disk.unmount();
    }
  });
});

describe('sqlite metadata, out of reach', () => {
  it('the folder may not be written → StorageUnavailableError that names no path; works once it may', async () => {
    const parent = join(folder, 'locked');
    await mkdir(parent, { mode: 0o700 });
    await chmod(folder, 0o755);
    const path = join(parent, 'data', 'm.db');
    const refused = withoutRootRights(async () => {
      if (process.getuid?.() !== 0) await chmod(parent, 0o500);
      return openSqliteStore({ path });
    });
    await expect(refused).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(refused).rejects.not.toThrow(folder);
    await chmod(parent, 0o700);
    await (await opened({ path })).check();
  });

  it('the file is moved away → check rejects; moved back → works, with all that was committed', async () => {
    const path = join(folder, 'm.db');
    const store = await opened({ path });
    await store.commit([{ kind: 'put', table: 'facts', row: factRow('a', 'x') }]);
    await rename(path, `${path}.away`);
    await expect(store.check()).rejects.toBeInstanceOf(StorageUnavailableError);
    await rename(`${path}.away`, path);
    await store.check();
    expect((await store.get('facts', { id: 'a' }))?.value).toBe('x');
  });

  it('the file is replaced by another → check rejects, and nothing is written to the other', async () => {
    const path = join(folder, 'm.db');
    const store = await opened({ path });
    await rename(path, `${path}.away`);
    await writeFile(path, 'a stranger');
    await expect(store.check()).rejects.toThrow(/replaced/);
    await expect(store.commit([{ kind: 'put', table: 'facts', row: factRow('a', 'x') }])).rejects.toThrow(/replaced/);
    expect(await readFile(path, 'utf8')).toBe('a stranger');
  });

  it('not a database → rejects, and the file is left as it was', async () => {
    const path = join(folder, 'm.db');
    await writeFile(path, 'these are not the pages you are looking for'.repeat(100));
    await expect(openSqliteStore({ path })).rejects.toBeInstanceOf(StorageUnavailableError);
    expect((await readFile(path, 'utf8')).startsWith('these are not')).toBe(true);
  });

  it('pages are damaged while open → StorageUnavailableError; repaired → works again without a restart', async () => {
    const path = join(folder, 'm.db');
    const store = await opened({ path });
    for (let number = 0; number < 400; number++) await store.commit([body(number, 8_000)]);
    await store.close();
    const reader = await opened({ path });
    const good = await readFile(path);
    const file = await open(path, 'r+');
    await file.write(new Uint8Array(good.byteLength - 4096).fill(0xa5), 0, good.byteLength - 4096, 4096);
    await expect(reader.count('bodies', { where: [], sum: 'version' })).rejects.toBeInstanceOf(StorageUnavailableError);
    await file.write(good, 0, good.byteLength, 0);
    await file.close();
    expect(await reader.count('bodies', { where: [], sum: 'version' })).toEqual({ rows: 400, sum: 400 });
    expect(await reader.commit([body(1_000)])).toEqual({ ok: true });
  });

  it('another process holds the write lock → reads go on, the commit waits and is done when it lets go', async () => {
    const path = join(folder, 'm.db');
    const store = await opened({ path });
    const Database = await loadSqlite();
    const other = new Database(path);
    other.exec('BEGIN IMMEDIATE');
    let done = false;
    const commit = store.commit([{ kind: 'put', table: 'facts', row: factRow('a', 'x') }]).then((outcome) => {
      done = true;
      return outcome;
    });
    const later = store.commit([{ kind: 'put', table: 'facts', row: factRow('b', 'x') }]);
    for (let turn = 0; turn < 3; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(await store.get('facts', { id: 'a' })).toBeNull();
    }
    expect(done).toBe(false);
    other.exec('COMMIT');
    other.close();
    expect([await commit, await later]).toEqual([{ ok: true }, { ok: true }]);
  });
});

it('sqlite metadata: files → 0600 in a folder of 0700', async () => {
  const path = join(folder, 'data', 'm.db');
  const store = await opened({ path });
  await store.check();
  for (const name of ['', '-wal', '-shm']) expect(((await stat(path + name)).mode & 0o777).toString(8)).toBe('600');
  expect(((await stat(join(folder, 'data'))).mode & 0o777).toString(8)).toBe('700');
});

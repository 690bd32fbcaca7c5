import { chmod, mkdir, mkdtemp, open, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pattern, readAll, writeBlob } from '../../ports/blob-bytes.contract.ts';
import { blobStoreContract } from '../../ports/blob-store.contract.ts';
import { BlobMissingError, StorageFullError, StorageUnavailableError } from '../../ports/faults.ts';
import { mountSmallDisk, withoutRootRights } from '../testing/small-disk.ts';
import { type OpenFile, openDiskBlobs } from './blob-store.ts';

blobStoreContract('disk blobs', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-blobs-'));
  return {
    open: () => openDiskBlobs({ folder: join(folder, 'blobs') }),
    durable: true,
    histories: 40,
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-blobs-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const listed = async (list: AsyncIterable<string>) => {
  const ids: string[] = [];
  for await (const id of list) ids.push(id);
  return ids.sort();
};

describe('disk blobs, files', () => {
  it('layout and modes → <c>/<d>/<id>, folders 0700, files 0600', async () => {
    const store = await openDiskBlobs({ folder: join(folder, 'blobs') });
    await writeBlob(store, 'xyz', pattern(10));
    const mode = async (...path: string[]) => ((await stat(join(folder, ...path))).mode & 0o777).toString(8);
    expect(await mode('blobs', 'x', 'y', 'xyz')).toBe('600');
    expect([await mode('blobs'), await mode('blobs', 'x'), await mode('blobs', 'x', 'y')]).toEqual([
      '700',
      '700',
      '700',
    ]);
  });

  it('strangers’ files, folders and links in the way → not listed, not harmed', async () => {
    const store = await openDiskBlobs({ folder });
    await writeBlob(store, 'xyz', pattern(10));
    await mkdir(join(folder, 'lost+found'));
    await mkdir(join(folder, 'q', 'r', 'qrfolder'), { recursive: true });
    await writeFile(join(folder, 'README'), '');
    await writeFile(join(folder, 'x', 'note'), '');
    await writeFile(join(folder, 'x', 'y', 'not.ours'), '');
    await writeFile(join(folder, 'x', 'y', 'other'), '');
    await symlink('/etc/hostname', join(folder, 'x', 'y', 'xylink'));
    expect(await listed(store.list())).toEqual(['xyz']);
    expect((await readdir(join(folder, 'x', 'y'))).sort()).toEqual(['not.ours', 'other', 'xylink', 'xyz']);
  });

  it('a file cut short under us → BlobMissingError, also when it happens while it is read', async () => {
    const store = await openDiskBlobs({ folder });
    await writeBlob(store, 'xyz', pattern(5_000_000));
    const reading = store.read('xyz', { offset: 0, length: 5_000_000 })[Symbol.asyncIterator]();
    await reading.next();
    const file = await open(join(folder, 'x', 'y', 'xyz'), 'r+');
    await file.truncate(2_500_000);
    await file.close();
    const rest = async () => {
      while (!(await reading.next()).done);
    };
    await expect(rest()).rejects.toBeInstanceOf(BlobMissingError);
    await expect(readAll(store, 'xyz', { offset: 0, length: 5_000_000 })).rejects.toBeInstanceOf(BlobMissingError);
  });
});

describe('disk blobs, faults', () => {
  it('a real disk fills up → StorageFullError; after deletion of the rest it works again', async (context) => {
    const disk = await mountSmallDisk(8 * 1024 * 1024);
    if (disk === null) return context.skip('this user may not mount a file system');
    try {
      const store = await openDiskBlobs({ folder: disk.folder });
      await writeBlob(store, 'kept', pattern(1_000_000));
      const writer = await store.openWriter('large', { offset: 0 });
      const writing = async () => {
        for (let piece = 0; piece < 30; piece++) await writer.write(pattern(1_000_000, piece));
        await writer.finish();
      };
      await expect(writing()).rejects.toBeInstanceOf(StorageFullError);
      await expect(writer.sync()).rejects.toBeInstanceOf(StorageFullError);
      await writer.abandon();
      await expect(store.check()).rejects.toBeInstanceOf(StorageFullError);
      await store.delete('large');
      await store.check();
      await writeBlob(store, 'next', pattern(5_000_000));
      expect(await readAll(store, 'kept', { offset: 0, length: 1_000_000 })).toEqual(pattern(1_000_000));
    } finally {
      await disk.unmount();
    }
  });

  it('permission lost → StorageUnavailableError that names no path; given back → works', async () => {
    await chmod(folder, 0o755);
    const parent = join(folder, 'blobs');
    await mkdir(parent, { mode: 0o755 });
    const store = await openDiskBlobs({ folder: parent });
    await writeBlob(store, 'xyz', pattern(10));
    if (process.getuid?.() !== 0) await chmod(parent, 0o500);
    const attempts = await withoutRootRights(() =>
      Promise.allSettled([
        store.check(),
        store.openWriter('abc', { offset: 0 }),
        store.openWriter('abc', { offset: 0 }),
      ]),
    );
    for (const attempt of attempts) {
      if (attempt.status === 'fulfilled') throw new Error('expected a fault');
      expect(attempt.reason).toBeInstanceOf(StorageUnavailableError);
      expect(String(attempt.reason)).not.toContain(folder);
    }
    await chmod(parent, 0o700);
    await store.check();
    await writeBlob(store, 'abc', pattern(10));
  });

  it('the folder is gone (a disk not mounted) → StorageUnavailableError, and it is not made anew; back again → works', async () => {
    const parent = join(folder, 'blobs');
    const store = await openDiskBlobs({ folder: parent });
    await writeBlob(store, 'xyz', pattern(10));
    await rename(parent, `${parent}-away`);
    await expect(store.openWriter('abc', { offset: 0 })).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(store.check()).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(store.size('xyz')).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(store.delete('xyz')).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(listed(store.list())).rejects.toBeInstanceOf(StorageUnavailableError);
    expect(await readdir(folder)).toEqual(['blobs-away']);
    await rename(`${parent}-away`, parent);
    expect(await readAll(store, 'xyz', { offset: 0, length: 10 })).toEqual(pattern(10));
  });

  const errors = [
    ['ENOSPC', StorageFullError],
    ['EDQUOT', StorageFullError],
    ['EIO', StorageUnavailableError],
    ['EROFS', StorageUnavailableError],
  ] as const;
  it.each(errors)(
    '%s while writing and while flushing → its fault, the writer stays broken, the synced bytes are safe',
    async (code, Fault) => {
      for (const method of ['writev', 'datasync'] as const) {
        const faults = { code: '' };
        const store = await openDiskBlobs({ folder, open: failing(method, faults) });
        const writer = await store.openWriter('xyz', { offset: 0 });
        await writer.write(pattern(100));
        await writer.sync();
        faults.code = code;
        await writer.write(pattern(2_000_000, 2));
        await expect(writer.sync()).rejects.toBeInstanceOf(Fault);
        faults.code = '';
        await expect(writer.sync()).rejects.toBeInstanceOf(Fault);
        await expect(writer.finish()).rejects.toBeInstanceOf(Fault);
        const again = await store.openWriter('xyz', { offset: 100 });
        await again.write(pattern(50, 3));
        await again.finish();
        const expected = [...pattern(100), ...pattern(50, 3)];
        expect([...(await readAll(store, 'xyz', { offset: 0, length: 150 }))]).toEqual(expected);
      }
    },
  );

  it('the disk takes a part of each write → the rest follows', async () => {
    const store = await openDiskBlobs({ folder, open: short });
    const bytes = pattern(300_000);
    const writer = await store.openWriter('xyz', { offset: 0 });
    for (let at = 0; at < bytes.byteLength; at += 30_000) await writer.write(bytes.slice(at, at + 30_000));
    await writer.finish();
    expect(Buffer.compare(await readAll(store, 'xyz', { offset: 0, length: 300_000 }), bytes)).toBe(0);
  });
});

/** Opens real files whose `method` fails with the code while there is one. */
function failing(method: 'writev' | 'datasync', faults: { code: string }): OpenFile {
  return async (path, flags, mode) => {
    const file = await open(path, flags, mode);
    const real = file[method].bind(file) as (...values: unknown[]) => Promise<unknown>;
    const instead = async (...values: unknown[]) => {
      if (faults.code !== '') throw Object.assign(new Error(faults.code), { code: faults.code });
      return real(...values);
    };
    return Object.assign(file, { [method]: instead });
  };
}

/** Opens real files that write at most 7,001 bytes of the first piece at a time. */
const short: OpenFile = async (path, flags, mode) => {
  const file = await open(path, flags, mode);
  const real = file.writev.bind(file);
  const writev = (pieces: readonly Uint8Array[], position?: number) =>
    real([(pieces[0] as Uint8Array).subarray(0, 7_001)], position);
  return Object.assign(file, { writev: writev as typeof file.writev });
};

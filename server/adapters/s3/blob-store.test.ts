import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pattern, readAll, writeBlob } from '../../ports/blob-bytes.contract.ts';
import { blobStoreContract } from '../../ports/blob-store.contract.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import { StorageFullError, StorageUnavailableError } from '../../ports/faults.ts';
import { openS3Blobs, type S3Options } from './blob-store.ts';
import { S3Objects } from './objects.ts';
import {
  type FaultProxy,
  findS3Server,
  optionsFor,
  type S3Server,
  startFaultProxy,
  startS3Server,
  type Treatment,
} from './testing.ts';

const S3rver = findS3Server();
if (S3rver === null) {
  it.skip('s3 blobs: no S3 server to test against (npm package s3rver) → skipped', () => undefined);
} else {
  let server: S3Server;
  let tests = 0;
  beforeAll(async () => {
    server = await startS3Server(S3rver);
  });
  afterAll(() => server.close());
  const freshOptions = (): S3Options => ({ ...server.options, prefix: `test-${tests++}/` });

  blobStoreContract('s3 blobs', async () => {
    const options = freshOptions();
    return { open: async () => openS3Blobs(options), durable: true, histories: 4, dispose: async () => undefined };
  });

  const listed = async (list: AsyncIterable<string>) => {
    const ids: string[] = [];
    for await (const id of list) ids.push(id);
    return ids.sort();
  };

  describe('s3 blobs, several nodes', () => {
    it('a writer of another node that was replaced while it was paused → writes on, and harms nothing', async () => {
      const options = freshOptions();
      const [paused, other] = [openS3Blobs(options), openS3Blobs(options)];
      const older = await paused.openWriter('blob-1', { offset: 0 });
      await older.write(pattern(5_300_000));
      await older.sync();
      const newer = await other.openWriter('blob-1', { offset: 5_300_000 });
      await newer.write(pattern(100, 2));
      await older.write(pattern(6_000_000, 77));
      await older.sync();
      await newer.sync();
      await older.write(pattern(50, 78));
      const third = await openS3Blobs(options).openWriter('blob-1', { offset: 5_300_100 });
      await third.write(pattern(5, 3));
      await third.finish();
      await older.finish().catch(() => undefined);
      for (const store of [paused, other]) {
        expect(await store.size('blob-1')).toBe(5_300_105);
        const tail = await readAll(store, 'blob-1', { offset: 5_299_999, length: 106 });
        expect([...tail]).toEqual([...pattern(5_300_000).subarray(5_299_999), ...pattern(100, 2), ...pattern(5, 3)]);
      }
      await other.delete('blob-1');
      expect(await listed(other.list())).toEqual([]);
      await Promise.all([paused.close(), other.close()]);
    });

    it('a writer whose node died, nothing synced → listed, so that a sweep finds it, and deleted with its parts', async () => {
      const options = freshOptions();
      const store = openS3Blobs(options);
      const writer = await store.openWriter('blob-1', { offset: 0 });
      await writer.write(pattern(11_000_000));
      expect(await listed(openS3Blobs(options).list())).toEqual(['blob-1']);
      await openS3Blobs(options).delete('blob-1');
      expect(await listed(store.list())).toEqual([]);
      await store.close();
    });

    it('opened 40 times → the manifests of long replaced writers are gone, the bytes are there', async () => {
      const options = freshOptions();
      const store = openS3Blobs(options);
      const bytes = pattern(40 * 10);
      for (let at = 0; at < bytes.byteLength; at += 10) {
        const writer = await store.openWriter('blob-1', { offset: at });
        await writer.write(bytes.slice(at, at + 10));
        await writer.sync();
        await writer.abandon();
      }
      expect(await readAll(store, 'blob-1', { offset: 0, length: 400 })).toEqual(bytes);
      const keys = await listed(new S3Objects(options).list('blob-1/m-'));
      expect(keys.length).toBeLessThan(20);
      await store.close();
    });
  });

  describe('s3 blobs, faults on the way', () => {
    let proxy: FaultProxy;
    let store: BlobStore;
    beforeEach(async () => {
      proxy = await startFaultProxy(server.options.endpoint);
      store = openS3Blobs({ ...freshOptions(), endpoint: optionsFor(proxy.port).endpoint, requestTimeoutMs: 2_000 });
    });
    afterEach(async () => {
      proxy.treat = () => 'pass';
      await store.close();
      await proxy.close();
    });

    /** Treats every first request of each method and address so, and lets its repetition pass. */
    const onceEach = (treatment: Treatment) => {
      const before = new Set<string>();
      proxy.treat = ({ method, url }) => {
        const name = `${method} ${url}`;
        if (before.has(name)) return 'pass';
        before.add(name);
        return treatment;
      };
    };

    const treatments: [string, Treatment][] = [
      ['is answered 503', { status: 503, code: 'SlowDown' }],
      ['is answered 500', { status: 500, code: 'InternalError' }],
      ['has its answer lost after it was done', 'lose'],
      ['has its answer cut in half', 'half'],
    ];
    it.each(treatments)(
      'every request once %s → written, resumed, read and deleted all the same',
      async (_, treatment) => {
        onceEach(treatment);
        const bytes = pattern(12_000_000);
        const writer = await store.openWriter('blob-1', { offset: 0 });
        await writer.write(bytes.slice(0, 11_000_000));
        await writer.sync();
        await writer.abandon();
        const again = await store.openWriter('blob-1', { offset: 11_000_000 });
        await again.write(bytes.slice(11_000_000));
        await again.finish();
        expect(Buffer.compare(await readAll(store, 'blob-1', { offset: 0, length: 12_000_000 }), bytes)).toBe(0);
        await store.check();
        await store.delete('blob-1');
        expect(await listed(store.list())).toEqual([]);
      },
    );

    it('the store hangs once → given up after the limit and repeated', async () => {
      await store.close();
      store = openS3Blobs({ ...freshOptions(), endpoint: optionsFor(proxy.port).endpoint, requestTimeoutMs: 200 });
      onceEach('hang');
      await writeBlob(store, 'blob-1', pattern(100));
      expect(await readAll(store, 'blob-1', { offset: 0, length: 100 })).toEqual(pattern(100));
    });

    const refusals: [string, { status: number; code: string }, new (...all: never[]) => Error, RegExp][] = [
      ['no room', { status: 507, code: 'XMinioStorageFull' }, StorageFullError, /no room/],
      ['a quota', { status: 400, code: 'QuotaExceeded' }, StorageFullError, /no room/],
      ['access denied', { status: 403, code: 'AccessDenied' }, StorageUnavailableError, /refuses access/],
      ['wrong credentials', { status: 403, code: 'SignatureDoesNotMatch' }, StorageUnavailableError, /credentials/],
      ['no such bucket', { status: 404, code: 'NoSuchBucket' }, StorageUnavailableError, /bucket does not exist/],
      ['503 for good', { status: 503, code: 'ServiceUnavailable' }, StorageUnavailableError, /503/],
    ];
    it.each(refusals)(
      '%s → its fault with a reason, nothing secret in it; works again afterwards',
      async (_, answer, Fault, reason) => {
        const writer = await store.openWriter('blob-1', { offset: 0 });
        await writer.write(pattern(100));
        await writer.sync();
        proxy.treat = () => answer;
        const attempts = await Promise.allSettled([
          store.check(),
          writer.write(pattern(6_000_000)).then(() => writer.sync()),
          store.openWriter('blob-2', { offset: 0 }),
          readAll(store, 'blob-1', { offset: 0, length: 100 }),
          store.size('blob-1'),
          store.delete('blob-3'),
          listed(store.list()),
        ]);
        for (const attempt of attempts) {
          if (attempt.status === 'fulfilled') throw new Error('expected a fault');
          expect(attempt.reason).toBeInstanceOf(Fault);
          expect(String(attempt.reason)).toMatch(reason);
          const everything = `${attempt.reason.stack}${JSON.stringify(attempt.reason)}${String(attempt.reason.cause)}`;
          expect(everything).not.toMatch(/S3RVER|AKIA|127\.0\.0\.1/);
        }
        await writer.abandon();
        proxy.treat = () => 'pass';
        const again = await store.openWriter('blob-1', { offset: 0 });
        await again.write(pattern(10, 2));
        await again.finish();
        expect(await readAll(store, 'blob-1', { offset: 0, length: 10 })).toEqual(pattern(10, 2));
      },
    );

    it('nobody listens → StorageUnavailableError with the reason', async () => {
      await proxy.close();
      await expect(store.check()).rejects.toThrow(/refuses connections/);
      await expect(store.check()).rejects.toBeInstanceOf(StorageUnavailableError);
      proxy = await startFaultProxy(server.options.endpoint);
    });

    it('large blob → sent in parts of 5 MiB, read in ranges', async () => {
      await writeBlob(store, 'blob-1', pattern(12_000_000));
      expect(proxy.seen.filter((line) => /^PUT .*partNumber=/.test(line))).toHaveLength(3);
      proxy.seen.length = 0;
      await readAll(store, 'blob-1', { offset: 6_000_000, length: 10 });
      expect(proxy.seen.filter((line) => line.includes('/p-'))).toHaveLength(1);
    });
  });
}

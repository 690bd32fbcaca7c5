import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digest, followHistory, pattern, readAll, writeBlob } from './blob-bytes.contract.ts';
import type { BlobStore, BlobWriter } from './blob-store.ts';
import { BlobMissingError, StorageUnavailableError } from './faults.ts';

/** One adapter under test, with nothing in it yet. */
export interface BlobStoreSubject {
  /** Opens the data, anew or next to one that is open; for a store that ends with its process always the same one. */
  open(): Promise<BlobStore>;
  /** Whether what was synced is there after `close` and `open`. */
  durable: boolean;
  /** Random histories to try: fewer where each step is a request. */
  histories: number;
  /** Removes everything. Stores that were opened are closed before. */
  dispose(): Promise<void>;
}

/** Large enough for several of every store's pieces and parts, and no multiple of any. */
const LARGE_BYTES = 11 * 1024 * 1024 + 3;

/** What every blob store must do. `setUp` makes an empty one for each test. */
export function blobStoreContract(title: string, setUp: () => Promise<BlobStoreSubject>): void {
  describe(title, () => {
    let subject: BlobStoreSubject;
    let store: BlobStore;
    const opened: BlobStore[] = [];
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

    const listed = async () => {
      const ids: string[] = [];
      for await (const id of store.list()) ids.push(id);
      return ids.sort();
    };

    describe('write and read', () => {
      it.each([0, 1, 65_564, LARGE_BYTES])(
        '%i bytes in one piece → the same bytes, the size, one listed id',
        async (count) => {
          const bytes = pattern(count);
          await writeBlob(store, 'blob-1', bytes);
          expect(await store.size('blob-1')).toBe(count);
          expect(digest(await readAll(store, 'blob-1', { offset: 0, length: count }))).toBe(digest(bytes));
          expect(await listed()).toEqual(['blob-1']);
        },
      );

      it('many pieces of odd sizes, empty ones among them → joined in order', async () => {
        const bytes = pattern(LARGE_BYTES);
        const writer = await store.openWriter('blob-1', { offset: 0 });
        let at = 0;
        for (let step = 0; at < bytes.byteLength; step++) {
          const next = Math.min(bytes.byteLength, at + [1, 0, 70_001, 3, 1_048_577][step % 5]!);
          await writer.write(bytes.slice(at, next));
          at = next;
        }
        await writer.finish();
        expect(digest(await readAll(store, 'blob-1', { offset: 0, length: LARGE_BYTES }))).toBe(digest(bytes));
      });

      it('2,000 single bytes → joined', async () => {
        const bytes = pattern(2_000);
        const writer = await store.openWriter('blob-1', { offset: 0 });
        for (const byte of bytes) await writer.write(new Uint8Array([byte]));
        await writer.finish();
        expect(await readAll(store, 'blob-1', { offset: 0, length: 2_000 })).toEqual(bytes);
      });

      it('writes that are not waited for → in the order they were made', async () => {
        const bytes = pattern(3_000_000);
        const writer = await store.openWriter('blob-1', { offset: 0 });
        const writes: Promise<void>[] = [];
        for (let at = 0; at < bytes.byteLength; at += 100_000) writes.push(writer.write(bytes.slice(at, at + 100_000)));
        await Promise.all([...writes, writer.finish()]);
        expect(digest(await readAll(store, 'blob-1', { offset: 0, length: bytes.byteLength }))).toBe(digest(bytes));
      });

      it('a piece of a larger buffer → only that piece', async () => {
        const buffer = pattern(1_000);
        const writer = await store.openWriter('blob-1', { offset: 0 });
        await writer.write(buffer.subarray(10, 20));
        await writer.write(buffer.subarray(20, 500));
        await writer.finish();
        expect(await readAll(store, 'blob-1', { offset: 0, length: 490 })).toEqual(buffer.slice(10, 500));
      });

      it('ranges: none, first, last, across pieces, everything → exactly those bytes', async () => {
        const bytes = pattern(LARGE_BYTES);
        await writeBlob(store, 'blob-1', bytes);
        const ranges = [
          [0, 0],
          [LARGE_BYTES, 0],
          [0, 1],
          [LARGE_BYTES - 1, 1],
          [1_048_575, 2],
          [5 * 1_048_576 - 1, 2],
          [4_000_000, 3_000_000],
          [1, LARGE_BYTES - 1],
        ] as const;
        for (const [offset, length] of ranges) {
          const found = await readAll(store, 'blob-1', { offset, length });
          expect(found.byteLength, `${offset}+${length}`).toBe(length);
          expect(digest(found)).toBe(digest(bytes.subarray(offset, offset + length)));
        }
      });

      it('pieces that were read → the caller’s own: changing one changes nothing', async () => {
        await writeBlob(store, 'blob-1', pattern(10_000));
        for await (const piece of store.read('blob-1', { offset: 0, length: 10_000 })) piece.fill(0);
        expect(await readAll(store, 'blob-1', { offset: 0, length: 10_000 })).toEqual(pattern(10_000));
      });

      it('a reader that stops early → lets go, and the blob can be deleted', async () => {
        await writeBlob(store, 'blob-1', pattern(LARGE_BYTES));
        for await (const piece of store.read('blob-1', { offset: 0, length: LARGE_BYTES })) {
          expect(piece.byteLength).toBeGreaterThan(0);
          break;
        }
        await store.delete('blob-1');
        expect(await listed()).toEqual([]);
      });

      it('several blobs at once → each its own bytes', async () => {
        const ids = ['one', 'two', 'three', 'four'];
        await Promise.all(ids.map((id, at) => writeBlob(store, id, pattern(1_500_000 + at, at + 1))));
        const found = await Promise.all(ids.map((id, at) => readAll(store, id, { offset: 0, length: 1_500_000 + at })));
        expect(found.map(digest)).toEqual(ids.map((_, at) => digest(pattern(1_500_000 + at, at + 1))));
        expect(await listed()).toEqual([...ids].sort());
      });
    });

    describe('what is not there', () => {
      it('no such blob → size null, delete fine, read and continuing reject with BlobMissingError', async () => {
        expect(await store.size('nothing')).toBeNull();
        await store.delete('nothing');
        await expect(readAll(store, 'nothing', { offset: 0, length: 1 })).rejects.toBeInstanceOf(BlobMissingError);
        await expect(store.openWriter('nothing', { offset: 1 })).rejects.toBeInstanceOf(BlobMissingError);
        expect(await listed()).toEqual([]);
      });

      it('past the end → BlobMissingError before any byte', async () => {
        await writeBlob(store, 'blob-1', pattern(100));
        for (const [offset, length] of [
          [0, 101],
          [100, 1],
          [5_000_000, 1],
        ] as const) {
          await expect(readAll(store, 'blob-1', { offset, length })).rejects.toBeInstanceOf(BlobMissingError);
        }
        await expect(store.openWriter('blob-1', { offset: 101 })).rejects.toBeInstanceOf(BlobMissingError);
        expect(await readAll(store, 'blob-1', { offset: 0, length: 100 })).toEqual(pattern(100));
      });

      it('deleted → gone from size, read and list; the id can be written again', async () => {
        await writeBlob(store, 'blob-1', pattern(LARGE_BYTES));
        await store.delete('blob-1');
        expect(await store.size('blob-1')).toBeNull();
        await expect(readAll(store, 'blob-1', { offset: 0, length: 1 })).rejects.toBeInstanceOf(BlobMissingError);
        expect(await listed()).toEqual([]);
        await writeBlob(store, 'blob-1', pattern(7, 9));
        expect(await readAll(store, 'blob-1', { offset: 0, length: 7 })).toEqual(pattern(7, 9));
      });

      it.each(['', 'a', '../../etc/passwd', 'a/b', 'a\\b', '..', 'a.b', 'x\0y', 'é1', 'x'.repeat(129)])(
        'id %j → TypeError everywhere',
        async (id) => {
          await expect(store.openWriter(id, { offset: 0 })).rejects.toBeInstanceOf(TypeError);
          await expect(readAll(store, id, { offset: 0, length: 1 })).rejects.toBeInstanceOf(TypeError);
          await expect(store.size(id)).rejects.toBeInstanceOf(TypeError);
          await expect(store.delete(id)).rejects.toBeInstanceOf(TypeError);
        },
      );

      it('offsets that are none → RangeError', async () => {
        for (const offset of [-1, 0.5, Number.NaN, 2 ** 60]) {
          await expect(store.openWriter('blob-1', { offset })).rejects.toBeInstanceOf(RangeError);
          await expect(readAll(store, 'blob-1', { offset, length: 1 })).rejects.toBeInstanceOf(RangeError);
        }
      });
    });

    describe('resuming', () => {
      it('synced, abandoned, continued at the synced offset → one whole blob', async () => {
        const bytes = pattern(LARGE_BYTES);
        const cut = 6_000_001;
        const first = await store.openWriter('blob-1', { offset: 0 });
        await first.write(bytes.slice(0, cut));
        await first.sync();
        expect(await store.size('blob-1')).toBe(cut);
        await first.write(pattern(1_000_000, 7));
        await first.abandon();
        const second = await store.openWriter('blob-1', { offset: cut });
        await second.write(bytes.slice(cut));
        await second.finish();
        expect(await store.size('blob-1')).toBe(LARGE_BYTES);
        expect(digest(await readAll(store, 'blob-1', { offset: 0, length: LARGE_BYTES }))).toBe(digest(bytes));
      });

      it('continued before the last sync → what lay beyond is discarded', async () => {
        const first = await store.openWriter('blob-1', { offset: 0 });
        await first.write(pattern(100));
        await first.sync();
        await first.write(pattern(100, 2));
        await first.sync();
        await first.abandon();
        const second = await store.openWriter('blob-1', { offset: 70 });
        await second.write(pattern(10, 3));
        await second.finish();
        expect(await store.size('blob-1')).toBe(80);
        const expected = [...pattern(70), ...pattern(10, 3)];
        expect([...(await readAll(store, 'blob-1', { offset: 0, length: 80 }))]).toEqual(expected);
        await expect(readAll(store, 'blob-1', { offset: 0, length: 81 })).rejects.toBeInstanceOf(BlobMissingError);
      });

      it('a finished blob continued in its middle, and begun anew → holds what was written last', async () => {
        await writeBlob(store, 'blob-1', pattern(LARGE_BYTES));
        const middle = 5_500_000;
        const again = await store.openWriter('blob-1', { offset: middle });
        await again.write(pattern(1_000, 2));
        await again.finish();
        expect(await store.size('blob-1')).toBe(middle + 1_000);
        const found = await readAll(store, 'blob-1', { offset: 0, length: middle + 1_000 });
        expect(digest(found)).toBe(
          digest(new Uint8Array(Buffer.concat([pattern(LARGE_BYTES).subarray(0, middle), pattern(1_000, 2)]))),
        );
        await writeBlob(store, 'blob-1', pattern(5, 3));
        expect(await store.size('blob-1')).toBe(5);
        expect(await readAll(store, 'blob-1', { offset: 0, length: 5 })).toEqual(pattern(5, 3));
      });

      it('sync twice, finish right after sync, nothing written → fine', async () => {
        const writer = await store.openWriter('blob-1', { offset: 0 });
        await writer.sync();
        expect(await store.size('blob-1')).toBe(0);
        await writer.write(pattern(3));
        await writer.sync();
        await writer.sync();
        await writer.finish();
        const again = await store.openWriter('blob-1', { offset: 3 });
        await again.finish();
        expect(await readAll(store, 'blob-1', { offset: 0, length: 3 })).toEqual(pattern(3));
      });

      it('a writer that ended → rejects writes and syncs; abandoning it again is fine', async () => {
        for (const end of ['finish', 'abandon'] as const) {
          const writer = await store.openWriter('blob-1', { offset: 0 });
          await writer.write(pattern(10));
          await writer[end]();
          await expect(writer.write(pattern(1))).rejects.toBeInstanceOf(StorageUnavailableError);
          await expect(writer.sync()).rejects.toBeInstanceOf(StorageUnavailableError);
          await writer.abandon();
        }
      });

      it('random histories of writes, syncs, abandons and resumptions → always what a plain array would hold', async () => {
        const sizes = fc.oneof(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 900_000, max: 6_000_000 }));
        const step = fc.oneof(
          fc.record({ kind: fc.constant('write' as const), bytes: sizes }),
          fc.record({ kind: fc.constant('sync' as const) }),
          fc.record({ kind: fc.constantFrom('abandon', 'replace'), back: fc.double({ min: 0, max: 1, noNaN: true }) }),
        );
        let run = 0;
        await fc.assert(
          fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
            await followHistory(store, `history-${run++}`, steps);
          }),
          { numRuns: subject.histories },
        );
      });
    });

    describe('a writer that was replaced', () => {
      const outcomes = async (writer: BlobWriter) => {
        const all = await Promise.allSettled([writer.write(pattern(3_000_000, 66)), writer.sync(), writer.finish()]);
        return all.map(({ status }) => status);
      };

      it('within one process → rejects, and the newer one’s bytes are whole', async () => {
        const older = await store.openWriter('blob-1', { offset: 0 });
        await older.write(pattern(6_000_000, 55));
        const newer = await store.openWriter('blob-1', { offset: 0 });
        await newer.write(pattern(2_000_000));
        expect(await outcomes(older)).toEqual(['rejected', 'rejected', 'rejected']);
        await older.abandon();
        await newer.write(pattern(100, 2));
        await newer.finish();
        expect(await store.size('blob-1')).toBe(2_000_100);
        const found = await readAll(store, 'blob-1', { offset: 0, length: 2_000_100 });
        expect(digest(found)).toBe(digest(new Uint8Array(Buffer.concat([pattern(2_000_000), pattern(100, 2)]))));
      });

      it('by deletion → rejects, and the blob stays gone', async () => {
        const writer = await store.openWriter('blob-1', { offset: 0 });
        await writer.write(pattern(100));
        await store.delete('blob-1');
        expect(await outcomes(writer)).toEqual(['rejected', 'rejected', 'rejected']);
        expect(await store.size('blob-1')).toBeNull();
      });
    });

    describe('check, close, reopen', () => {
      it('check → resolves and leaves nothing listed', async () => {
        await store.check();
        expect(await listed()).toEqual([]);
      });

      it('closed → everything rejects; twice is fine', async () => {
        await store.close();
        await expect(store.openWriter('blob-1', { offset: 0 })).rejects.toBeInstanceOf(StorageUnavailableError);
        await expect(store.check()).rejects.toBeInstanceOf(StorageUnavailableError);
        await store.close();
      });

      it('reopened → finished and synced bytes are there, and an unfinished blob goes on', async () => {
        if (!subject.durable) return;
        await writeBlob(store, 'blob-1', pattern(5_300_000));
        const writer = await store.openWriter('blob-2', { offset: 0 });
        await writer.write(pattern(5_400_000, 2).slice(0, 5_300_000));
        await writer.sync();
        await store.close();
        store = await open();
        expect(await listed()).toEqual(['blob-1', 'blob-2']);
        expect(digest(await readAll(store, 'blob-1', { offset: 0, length: 5_300_000 }))).toBe(
          digest(pattern(5_300_000)),
        );
        const again = await store.openWriter('blob-2', { offset: 5_300_000 });
        await again.write(pattern(5_400_000, 2).slice(5_300_000));
        await again.finish();
        expect(digest(await readAll(store, 'blob-2', { offset: 0, length: 5_400_000 }))).toBe(
          digest(pattern(5_400_000, 2)),
        );
      });
    });
  });
}

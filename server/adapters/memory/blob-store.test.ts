import { describe, expect, it } from 'vitest';
import { pattern, readAll, writeBlob } from '../../ports/blob-bytes.contract.ts';
import { blobStoreContract } from '../../ports/blob-store.contract.ts';
import { StorageFullError } from '../../ports/faults.ts';
import { createMemoryBlobs } from './blob-store.ts';

blobStoreContract('memory blobs', async () => {
  const store = createMemoryBlobs({ bytesMax: 200 * 1024 * 1024 });
  return { open: async () => store, durable: false, histories: 40, dispose: async () => undefined };
});

describe('memory blobs, cap', () => {
  it('the cap is reached → StorageFullError for write and check, what is there stays, deleting makes room', async () => {
    const store = createMemoryBlobs({ bytesMax: 1_000 });
    await writeBlob(store, 'first', pattern(600));
    const writer = await store.openWriter('second', { offset: 0 });
    await writer.write(pattern(300));
    await expect(writer.write(pattern(101))).rejects.toBeInstanceOf(StorageFullError);
    await writer.write(pattern(100));
    await expect(store.check()).rejects.toBeInstanceOf(StorageFullError);
    await store.delete('first');
    await store.check();
    await writer.write(pattern(600));
    await writer.finish();
    expect(await store.size('second')).toBe(1_000);
    expect((await readAll(store, 'second', { offset: 0, length: 300 })).slice()).toEqual(pattern(300));
  });

  it('begun anew and cut short → its old bytes count no more', async () => {
    const store = createMemoryBlobs({ bytesMax: 1_000 });
    for (let round = 0; round < 5; round++) await writeBlob(store, 'same', pattern(900, round));
    const writer = await store.openWriter('same', { offset: 100 });
    await writer.write(pattern(900));
    await writer.finish();
    expect(await store.size('same')).toBe(1_000);
  });
});

import { afterEach, describe, expect, test } from 'vitest';
import type { SpoolFault, SpoolOperation, SpoolStorage } from './index.ts';

export interface SpoolStorageSubject {
  storage: SpoolStorage;
  /** The same folder, opened again as after a restart. */
  reopen(): Promise<SpoolStorage>;
  close(): Promise<void>;
}

const run = (storage: SpoolStorage, operations: SpoolOperation[]) =>
  new Promise<SpoolFault | null>((resolve) => storage.perform(operations, resolve));
const text = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString());
const list = (storage: SpoolStorage) => {
  const files: Record<string, number> = {};
  storage.list((name, bytes) => {
    files[name] = bytes;
  });
  return files;
};
const write = (name: string, at: number, content: string): SpoolOperation => ({
  op: 'write',
  name,
  at,
  bytes: new Uint8Array(Buffer.from(content)),
});

/** What every adapter of the `SpoolStorage` port owes. */
export function spoolStorageContract(name: string, makeSubject: () => Promise<SpoolStorageSubject>): void {
  describe(`${name}: the storage contract`, () => {
    let subject: SpoolStorageSubject | null = null;
    const make = async () => {
      subject = await makeSubject();
      return subject;
    };
    afterEach(() => subject?.close());

    test('an empty folder: nothing listed, reading → null, removing what is not there → no fault', async () => {
      const { storage } = await make();
      expect(list(storage)).toEqual({});
      expect(storage.read('a', 0, 10)).toBeNull();
      expect(await run(storage, [{ op: 'remove', name: 'a' }])).toBeNull();
      expect(await run(storage, [])).toBeNull();
    });

    test('written, appended, overwritten in place → read back in any part, listed with its size, and after a restart', async () => {
      const { storage, reopen } = await make();
      const fault = await run(storage, [
        write('a', 0, 'hello'),
        write('a', 5, ' world'),
        write('a', 0, 'J'),
        { op: 'sync', name: 'a', folder: true },
        write('b', 0, ''),
        { op: 'sync', name: 'b', folder: true },
      ]);
      expect(fault).toBeNull();
      for (const each of [storage, await reopen()]) {
        expect(list(each)).toEqual({ a: 11, b: 0 });
        expect(text(each.read('a', 0, 100))).toBe('Jello world');
        expect(text(each.read('a', 6, 3))).toBe('wor');
        expect(text(each.read('a', 11, 5))).toBe('');
      }
    });

    test('operations are performed in order; the first that fails ends the list and is named', async () => {
      const { storage } = await make();
      const fault = await run(storage, [
        write('a', 0, 'x'),
        { op: 'sync', name: 'absent', folder: false },
        write('b', 0, 'y'),
      ]);
      expect(fault).toMatchObject({ kind: 'io', at: 1 });
      expect(list(storage)).toEqual({ a: 1 });
    });

    test('removed → gone from the list, null to read, and can be made again', async () => {
      const { storage } = await make();
      await run(storage, [write('a', 0, 'x'), { op: 'remove', name: 'a' }]);
      expect([list(storage), storage.read('a', 0, 1)]).toEqual([{}, null]);
      await run(storage, [write('a', 0, 'new')]);
      expect(text(storage.read('a', 0, 9))).toBe('new');
    });

    test('large writes and reads → every byte', async () => {
      const { storage } = await make();
      const bytes = new Uint8Array(300_000).map((_, i) => (i * 31 + (i >> 8)) & 255);
      await run(storage, [{ op: 'write', name: 'a', at: 0, bytes }]);
      expect(Buffer.compare(storage.read('a', 0, 300_000)!, bytes)).toBe(0);
      expect(Buffer.compare(storage.read('a', 123_456, 1000)!, bytes.subarray(123_456, 124_456))).toBe(0);
    });
  });
}

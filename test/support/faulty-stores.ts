import type { Deps } from '#server';
import type { BlobWriter } from '../../server/ports/blob-store.ts';

/** Operations of the stores that can be made to fail, in the order they happened. */
export interface FaultyStores {
  /** Operations seen since the last `arm`. */
  readonly seen: string[];
  /** From now on the operation number `at` (from 0) fails with `fault`, and those behind it while `lasting`. */
  arm(at: number, fault: Error, options?: { lasting: boolean }): void;
  heal(): void;
}

/** Puts faults between a server and both its stores: every write, flush and commit can fail, before or for good. */
export function faultyStores(deps: Deps): FaultyStores {
  const { store, blobs } = deps;
  let seen: string[] = [];
  let armed: { at: number; fault: Error; lasting: boolean } | null = null;
  async function pass<T>(name: string, act: () => Promise<T>): Promise<T> {
    const index = seen.push(name) - 1;
    if (armed !== null && (index === armed.at || (armed.lasting && index > armed.at))) throw armed.fault;
    return act();
  }
  const watched = (writer: BlobWriter): BlobWriter => ({
    write: (bytes) => pass('blob write', () => writer.write(bytes)),
    sync: () => pass('blob sync', () => writer.sync()),
    finish: () =>
      // A finish that fails has still let go of the blob.
      pass('blob finish', () => writer.finish()).catch(async (error) => {
        await writer.abandon();
        throw error;
      }),
    abandon: () => writer.abandon(),
  });
  deps.store = Object.assign(Object.create(store) as typeof store, {
    commit: (writes: Parameters<typeof store.commit>[0]) => pass('commit', () => store.commit(writes)),
  });
  for (const method of ['get', 'getBeside', 'list', 'count', 'touch', 'check', 'close'] as const) {
    Object.assign(deps.store, { [method]: (store[method] as (...values: unknown[]) => unknown).bind(store) });
  }
  deps.blobs = {
    openWriter: (id, options) => pass('blob open', async () => watched(await blobs.openWriter(id, options))),
    read: (id, options) => blobs.read(id, options),
    size: (id) => blobs.size(id),
    delete: (id) => pass('blob delete', () => blobs.delete(id)),
    list: () => blobs.list(),
    check: () => blobs.check(),
    close: () => blobs.close(),
  };
  return {
    get seen() {
      return seen;
    },
    arm(at, fault, options = { lasting: false }) {
      seen = [];
      armed = { at, fault, ...options };
    },
    heal() {
      seen = [];
      armed = null;
    },
  };
}

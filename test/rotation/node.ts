import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Caller,
  createMemoryStore,
  createRelay,
  type Deps,
  openRelayAccount,
  type RelayAnswer,
  type RelayRequest,
} from '#server';
import { openSqliteStore } from '../../server/adapters/sqlite/metadata-store.ts';
import { snapshotDatabase } from '../../server/adapters/sqlite/snapshot.ts';
import type { MetadataStore, Write } from '../../server/ports/metadata-store.ts';
import { observedStore } from '../../server/usecases/metrics/observed-stores.ts';
import { sweepOnce } from '../../server/usecases/sweep.ts';

import { chances } from './chances.ts';

export type StoreKind = 'memory' | 'sqlite';

/** The process is gone: whoever waited for it gets no answer. */
export class Crash extends Error {}

/** When the next process dies: around its commit number `at`, counted from 1. */
export interface CrashPoint {
  at: number;
  side: 'before' | 'after';
}

/** One server in virtual time on stores that outlive it. A crash ends the process; the next call meets a new one. */
export interface VirtualServer {
  /** Of the process that lives now. */
  deps(): Deps;
  /** A request as HTTP would bring it; null where the process died of it. */
  call(request: RelayRequest): Promise<RelayAnswer | null>;
  operator: Caller;
  nowMs(): number;
  advance(ms: number): void;
  /** The process will die there, once. */
  crashAt(point: CrashPoint): void;
  /** Commits since the last `crashAt`, and whether it was reached. */
  commits(): number;
  crashed(): number;
  /** What the running server does every few seconds; a crash in it starts another one. */
  sweep(): Promise<void>;
  /** Runs something on the process; null where that died of it. */
  on<T>(act: (deps: Deps) => Promise<T>): Promise<T | null>;
  /** Resolves when nothing is being served: a device that was switched off may have left something behind. */
  quiet(): Promise<void>;
  /** Copies the database as it is now (sqlite only); what it returns puts the copy in its place, in a new process. */
  backup(): Promise<() => Promise<void>>;
  /** What `/metrics` would tell. */
  metrics(): string;
  /** Tells of every commit that was done. */
  watchCommits(tell: (() => Promise<void>) | null): void;
  stop(): Promise<void>;
}

/** What these tests are about is never the limit of uploads. */
const UPLOADS_PER_WINDOW = 100_000;
const START_MS = Date.UTC(2027, 0, 1);

/**
 * `torn`: a store that does each write of a batch by itself, and so can be cut between them. The product's never does that;
 * a test that does not notice it would notice nothing.
 */
export async function startVirtualServer(
  kind: StoreKind,
  options: { torn?: boolean; seed?: number } = {},
): Promise<VirtualServer> {
  const folder = mkdtempSync(join(tmpdir(), 'fuselink-virtual-'));
  const path = join(folder, 'metadata.sqlite');
  const open = async (): Promise<MetadataStore> =>
    kind === 'memory' ? createMemoryStore() : openSqliteStore({ path });
  let nowMs = START_MS;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs - START_MS };
  let store = await open();
  let dead = false;
  let commits = 0;
  let crashes = 0;
  let deaths = 0;
  let backups = 0;
  let tellOfCommit: (() => Promise<void>) | null = null;
  let point: CrashPoint | null = null;

  const underWay = new Set<Promise<void>>();

  const living = <T>(act: () => Promise<T>): Promise<T> =>
    dead ? Promise.reject(new Crash('the process is gone')) : act();
  const die = () => {
    dead = true;
    deaths++;
    point = null;
    crashes++;
    return new Crash('the process died');
  };
  const commitOnce = async (writes: readonly Write[]) => {
    commits++;
    const hit = point?.at === commits ? point.side : null;
    if (hit === 'before') throw die();
    const outcome = await store.commit(writes);
    if (hit === 'after') throw die();
    await tellOfCommit?.();
    return outcome;
  };
  const mortal: MetadataStore = {
    get: (table, where) => living(() => store.get(table, where)),
    getBeside: (table, where, beside) => living(() => store.getBeside(table, where, beside)),
    list: (table, query) => living(() => store.list(table, query)),
    count: (table, query) => living(() => store.count(table, query)),
    commit: (writes: readonly Write[]) =>
      living(async () => {
        if (options.torn !== true) return commitOnce(writes);
        let outcome: Awaited<ReturnType<typeof commitOnce>> = { ok: true };
        for (const write of writes) if (outcome.ok) outcome = await commitOnce([write]);
        return outcome;
      }),
    touch: (table, key, column, value) => {
      if (!dead) store.touch(table, key, column, value);
    },
    check: () => living(() => store.check()),
    close: async () => {},
  };
  const chance = chances(options.seed ?? 1);
  // Ids decide in which order devices are looked at: a seed has to repeat them.
  const random = { bytes: (count: number) => Uint8Array.from({ length: count }, () => Math.floor(chance() * 256)) };
  const relay = createRelay({ clock, random, secret: random.bytes(32), warn: () => {} });
  const { deps } = relay;
  deps.settings.uploadsPerWindow = UPLOADS_PER_WINDOW;
  deps.store = observedStore(mortal, { metrics: deps.metrics, clock, events: deps.events });
  const operator = await openRelayAccount(relay, 'operator@example.com');

  async function restart(): Promise<void> {
    if (kind === 'sqlite') {
      await store.close();
      store = await open();
    }
    dead = false;
  }
  const server: VirtualServer = {
    deps: () => deps,
    call: (request) => server.on(() => relay.call(request)),
    operator,
    nowMs: () => nowMs,
    advance(ms) {
      nowMs += ms;
    },
    crashAt(next) {
      commits = 0;
      crashes = 0;
      point = next;
    },
    commits: () => commits,
    crashed: () => crashes,
    async sweep() {
      await server.on((living) => sweepOnce(living, { atStart: false }));
    },
    async on(act) {
      if (dead) await restart();
      const before = deaths;
      let over = () => {};
      const serving = new Promise<void>((resolve) => {
        over = resolve;
      });
      underWay.add(serving);
      try {
        const answer = await act(deps);
        // A fault that the process only warned of ends it all the same; and whoever else was being served dies with it.
        return deaths === before ? answer : null;
      } catch (error) {
        if (deaths === before) throw error;
        return null;
      } finally {
        if (dead) await restart();
        underWay.delete(serving);
        over();
      }
    },
    async quiet() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
    metrics: () => deps.metrics.text(),
    watchCommits(tell) {
      tellOfCommit = tell;
    },
    async backup() {
      const copy = join(folder, `backup-${++backups}`);
      await snapshotDatabase(path, copy);
      return async () => {
        await store.close();
        for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
        copyFileSync(copy, path);
        store = await open();
      };
    },
    async stop() {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return server;
}

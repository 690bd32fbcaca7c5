import { decodeSlot, readPage, type SlotRecord, type SlotStore, type SlotWriter, writePage } from '#sdk/core';
import type { MetadataStore, RelayAnswer, Write } from '#server';
import type { DevicePlant } from '../device/device.ts';
import type { CanaryName } from './canaries.ts';

const SLOT_BYTES = 60;
const BLANK = new Uint8Array(2 * SLOT_BYTES);
/** In an even hour of a wrong clock this device waits longer. */
const HOUR_MS = 3_600_000;

/** Both slots in one blob: to write either, both are erased. */
function onePage(flash: Parameters<typeof readPage>[0]): SlotStore {
  return {
    read(slot) {
      const both = readPage(flash, 0);
      const blob = both?.slice(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES) ?? null;
      return blob !== null && decodeSlot(blob) !== null ? blob : null;
    },
    write(slot, blob) {
      const both = Uint8Array.from(readPage(flash, 0) ?? BLANK);
      both.set(blob, slot * SLOT_BYTES);
      writePage(flash, 0, both);
    },
  };
}

/** Says "staged" with the candidate in memory only. */
function fromMemory(writer: SlotWriter): SlotWriter {
  let held: SlotRecord | null = null;
  return {
    ...writer,
    pair() {
      const pair = writer.pair();
      if (held === null) return pair;
      const base = pair.findIndex((record) => record?.fingerprint === held?.base);
      if (base >= 0) pair[1 - base] = held;
      return pair;
    },
    stage(key, generation, base) {
      const before = writer.pair();
      const outcome = writer.stage(key, generation, base);
      if (outcome !== 'staged') return outcome;
      held = writer.pair().find((record) => record?.generation === generation) ?? null;
      // Taken back: what was there before is what the medium holds.
      const kept = before.find((record) => record?.fingerprint === base);
      if (kept) writer.settle(kept.fingerprint);
      return outcome;
    },
    settle(fingerprint) {
      if (held?.fingerprint === fingerprint) writer.stage(held.key, held.generation, held.base);
      held = null;
      return writer.settle(fingerprint);
    },
  };
}

/** What is planted in every device of a run. */
export function plantInDevice(canary: CanaryName | null): DevicePlant {
  switch (canary) {
    case 'one-slot':
      return { slotStore: (medium) => (medium.flash === null ? medium.slotStore() : onePage(medium.flash)) };
    case 'use-before-durable':
      return { slots: fromMemory };
    case 'drop-on-any-401':
      return {
        reads(answer, request) {
          if (answer?.status !== 401 || answer.json?.['code'] !== 'key_unknown') return answer;
          const fingerprint = answer.json['fingerprint'];
          return request.headers['authorization'] === undefined
            ? answer
            : { ...answer, json: { ...answer.json, code: 'key_revoked', fingerprint } };
        },
      };
    case 'busy-is-done':
      return {
        reads(answer, request) {
          const isBusy = answer?.status === 429 || answer?.status === 503;
          if (answer === null || !isBusy || request.path !== '/v1/upload') return answer;
          return { ...answer, status: 201, json: { id: 'nowhere', state: 'ready' } };
        },
      };
    case 'wall-clock-decides':
      return { delay: (delayMs, wallMs) => (Math.floor(wallMs / HOUR_MS) % 2 === 0 ? delayMs * 2 : delayMs) };
    case 'key-in-log':
      return { logsHeaders: true };
    default:
      return {};
  }
}

type Loose = {
  table?: string;
  kind: string;
  row?: Record<string, unknown>;
  entry?: { action: string; subject?: string };
};

/** A store whose commits pass through `change` first. */
function withCommits(
  store: MetadataStore,
  change: (writes: readonly Write[]) => Promise<readonly Write[]>,
): MetadataStore {
  return { ...store, commit: async (writes) => store.commit(await change(writes)) };
}

function revokes(write: Write): boolean {
  const { kind, table, row } = write as Loose;
  return kind === 'update' && table === 'api_keys' && row?.['state'] === 'revoked' && row['kind'] === 'device';
}

async function without(
  store: MetadataStore,
  writes: readonly Write[],
  states: readonly string[],
): Promise<readonly Write[]> {
  const kept: Write[] = [];
  for (const write of writes) {
    const id = (write as Loose).row?.['id'] as never;
    const before = revokes(write) ? await store.get('api_keys', { id }) : null;
    if (before === null || !states.includes(before.state)) kept.push(write);
  }
  return kept;
}

/** The writes by which the key that a device uses is revoked; none where it has none. */
async function revokingActive(store: MetadataStore, device: unknown): Promise<Write[]> {
  const [old] = await store.list('api_keys', {
    where: [
      ['device_id', '=', device as never],
      ['state', 'in', ['active']],
    ],
    limit: 1,
  });
  if (old === undefined) return [];
  const row = { ...old, state: 'revoked' as const, version: old.version + 1 };
  return [{ kind: 'update', table: 'api_keys', row, expectVersion: old.version }];
}

/** A key found by its hash, as it was before it was revoked. */
function revived<T>(where: object, row: T): T {
  const { state } = (row ?? {}) as { state?: string };
  return 'hash' in where && state === 'revoked' ? { ...row, state: 'retiring' } : row;
}

/** What is planted between the nodes and their store. */
export function plantInStore(canary: CanaryName | null, store: MetadataStore): MetadataStore {
  let arrows = 0;
  let files = 0;
  switch (canary) {
    case 'keep-every-key':
      return {
        ...store,
        get: async (table, where) => revived(where, await store.get(table, where)),
        getBeside: async (table, where, beside) => {
          const found = await store.getBeside(table, where, beside);
          return found === null ? null : { ...found, row: revived(where, found.row) };
        },
      };
    case 'forget-to-revoke':
      return withCommits(store, (writes) => without(store, writes, ['retiring']));
    case 'keep-rolled-back':
      return withCommits(store, async (writes) => writes.filter((write) => !revokes(write)));
    case 'two-pending':
      return withCommits(store, (writes) => without(store, writes, ['pending']));
    case 'revoke-at-mint':
      return withCommits(store, async (writes) => {
        const minted = writes.find((write) => {
          const { kind, table, row } = write as Loose;
          return kind === 'insert' && table === 'api_keys' && row?.['state'] === 'pending';
        }) as Loose | undefined;
        if (minted === undefined) return writes;
        const revoking = await revokingActive(store, minted.row?.['device_id']);
        if (revoking.length === 0) return writes;
        const rest = writes.filter((write) => write.kind !== 'expect' || (write as Loose).table !== 'api_keys');
        return [...rest, ...revoking];
      });
    case 'abort-revokes-active':
      return withCommits(store, async (writes) => {
        const aborted = writes.find((write) => (write as Loose).entry?.action === 'rotation.aborted') as
          | Loose
          | undefined;
        return aborted === undefined ? writes : [...writes, ...(await revokingActive(store, aborted.entry?.subject))];
      });
    case 'mint-while-paused': {
      const stale = withCommits(store, async (writes) =>
        writes.filter((write) => write.kind !== 'expect' || (write as Loose).table !== 'campaigns'),
      );
      return {
        ...stale,
        async get(table, where) {
          const row = await store.get(table, where);
          const held = row as { campaign?: { state: string } } | null;
          const still = table === 'campaigns' && held?.campaign?.state === 'PAUSED';
          return still ? ({ ...row, campaign: { ...held.campaign, state: 'WAVE' } } as typeof row) : row;
        },
      };
    }
    case 'loses-files':
      return withCommits(store, async (writes) =>
        writes.map((write) => {
          const { kind, table, row } = write as Loose;
          const accepts = kind === 'update' && table === 'transfers' && row?.['state'] === 'ready';
          if (!accepts || ++files % 4 !== 0) return write;
          return { ...write, row: { ...row, state: 'expired' } } as unknown as Write;
        }),
      );
    case 'forgets-repeats':
      return withCommits(store, async (writes) =>
        writes.map((write) => {
          const { kind, table, row } = write as Loose;
          if ((kind !== 'insert' && kind !== 'update') || table !== 'transfers') return write;
          return { ...write, row: { ...row, idempotency_hash: null } } as unknown as Write;
        }),
      );
    case 'burns-nothing':
      return withCommits(store, async (writes) => {
        const burns = writes.some((write) => {
          const { kind, table, row } = write as Loose;
          return kind === 'update' && table === 'transfers' && row?.['state'] === 'burned';
        });
        return burns ? [] : writes;
      });
    case 'arrow-without-entry':
      return withCommits(store, async (writes) =>
        writes.filter((write) => {
          const action = (write as Loose).entry?.action ?? '';
          return !action.startsWith('rotation.') || action.startsWith('rotation.alarm') || ++arrows % 5 !== 0;
        }),
      );
    default:
      return store;
  }
}

/** What is planted in an answer on its way out of the server. */
export function plantInAnswer(canary: CanaryName | null, answer: RelayAnswer, nth: number): RelayAnswer {
  const told = answer.headers['fuselink-rotation'];
  if (canary !== 'generation-falls' || told === undefined || nth % 7 !== 0) return answer;
  const fallen = told.replace(/wanted;gen=(\d+)/, (_, generation: string) => `wanted;gen=${Number(generation) - 1}`);
  return { ...answer, headers: { ...answer.headers, 'fuselink-rotation': fallen } };
}

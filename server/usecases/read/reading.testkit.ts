import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Caller, type Deps, readSettings, wire } from '#server';
import { concatBytes } from '../../domain/bytes.ts';
import type { UploadFields } from '../../domain/upload/upload-options.ts';
import type { TransferRow } from '../../ports/tables.ts';
import { createAccount, operatorOf } from '../account/create-account.ts';
import { receiveUpload } from '../upload/receive-upload.ts';
import { type OpenRead, type ReadRequest, readLink } from './read-link.ts';
import type { ReadEnding } from './record-ending.ts';

/** The use cases on memory stores, with a clock that only a test moves. */
export interface Bench {
  deps: Deps;
  owner: Caller;
  clock: { nowMs: number };
  /** A ready transfer; resolves to the token of its link. */
  upload(bytes: Uint8Array, fields?: UploadFields, as?: Caller): Promise<{ token: string; row: TransferRow }>;
  /** Begins a plain GET, or (with `claim`) a read under a claim. */
  begin(token: string, request?: Partial<ReadRequest> & { start?: number; stop?: number }): Promise<OpenRead>;
  /** The stored row. */
  row(id: string): Promise<TransferRow>;
  close(): Promise<void>;
}

export async function openBench(env: Record<string, string> = {}): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), 'fuselink-read-'));
  const settings = readSettings({
    FUSELINK_DATA: join(folder, 'data'),
    FUSELINK_METADATA: 'memory:',
    FUSELINK_BLOBS: 'memory:',
    FUSELINK_UPLOADS_PER_MINUTE: '1000000',
    ...env,
  });
  const warnings: unknown[] = [];
  const wired = await wire(settings, (_message, error) => void warnings.push(error));
  const clock = { nowMs: Date.UTC(2026, 0, 1) };
  const deps: Deps = { ...wired.deps, clock: { nowMs: () => clock.nowMs, monotonicMs: () => clock.nowMs } };
  // Small bodies go into the row here, too, as they do on a real server's stores.
  deps.settings.inlineBodyBytesMax = 65_536;
  const account = await createAccount(deps, { email: 'owner@example.com' });
  const owner = operatorOf(account.accountId, account.row);
  return {
    deps,
    owner,
    clock,
    async upload(bytes, fields = {}, as = owner) {
      const result = await receiveUpload(deps, as, {
        bytes: bytes.length,
        bytesHint: null,
        fieldsBefore: fields,
        body: (async function* () {
          // The writer may keep what it is given.
          yield Uint8Array.from(bytes);
        })(),
        fieldsAfter: () => fields,
        idempotencyKey: undefined,
        announcedSha256: null,
        admitted: () => {},
        patience: () => new Promise(() => {}),
      });
      return { token: result.token ?? '', row: result.row };
    },
    begin(token, { start = 0, stop, ...request } = {}) {
      return readLink(deps, token, {
        claim: null,
        readerTag: 'reader',
        from: '192.0.2.1',
        range: (row) => ({ from: start, to: stop ?? row.size ?? 0, openEnded: stop === undefined }),
        ...request,
      });
    },
    async row(id) {
      const row = await deps.store.get('transfers', { id: id as TransferRow['id'] });
      if (row === null) throw new Error('expected a transfer, found none');
      return row;
    },
    async close() {
      await wired.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Takes `bytesMax` of what is read and ends it: as the wire would, but at once. */
export async function finish(
  read: OpenRead,
  ending: ReadEnding,
  bytesMax = Number.POSITIVE_INFINITY,
): Promise<{ bytes: Uint8Array; row: TransferRow }> {
  const parts: Uint8Array[] = [];
  let left = Math.min(bytesMax, read.to - read.from);
  for await (const piece of read.body) {
    if (left <= 0) break;
    parts.push(piece.subarray(0, left));
    left -= Math.min(left, piece.length);
  }
  const bytes = concatBytes(parts);
  return { bytes, row: await read.end(ending, bytes.length) };
}

/** The code a refused call carries; `served` where it was not refused. */
export function codeOf(outcome: Promise<unknown>): Promise<string> {
  return outcome.then(
    () => 'served',
    (error: { code?: string }) => error.code ?? String(error),
  );
}

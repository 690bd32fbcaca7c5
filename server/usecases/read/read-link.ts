import { toBase64url, utf8 } from '../../domain/base64url.ts';
import { burnOnFirstByte } from '../../domain/transfer/ending.ts';
import { beginRead, endRead, renewLease } from '../../domain/transfer/reading.ts';
import type { TransferRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { readSegments } from '../sealing/segment-reader.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { deleteBlob, dropBytes } from '../upload/dispose.ts';
import { linkAudit } from './audit.ts';
import { claimHash } from './claim-link.ts';
import { type FoundLink, findLink } from './find-link.ts';
import { readRefusal } from './refusal.ts';

export interface ReadRequest {
  /** The claim of an explicit read; null for a plain GET. */
  claim: string | null;
  /** Who asks, for plain GETs: address and User-Agent. Only the same reader may add parts to a read under way. */
  readerTag: string;
  from: string;
  /** A person pressed the page's button (a form POST). */
  deliberate?: boolean;
  /** Which bytes of this file are wanted; throws for a range outside it. */
  range(row: TransferRow): { from: number; to: number };
}

/** How a request for bytes ended, as far as the connection can tell (see EndRead). */
export type ReadEnding = 'proven' | 'unproven' | 'broken';

export interface OpenRead extends FoundLink {
  from: number;
  to: number;
  /** Plaintext of `[from, to)`, each piece authenticated. */
  body: AsyncIterable<Uint8Array>;
  /** Bytes keep flowing: call it now and then, so that the lease lives. */
  alive(): void;
  /** Must be called once, with the bytes handed to the socket. Resolves to the transfer as it then stands. */
  end(ending: ReadEnding, bytesHanded: number): Promise<TransferRow>;
}

/** Begins to read a link's bytes: takes or joins the lease, and says how it must be ended. */
export async function readLink(deps: Deps, tokenText: string, request: ReadRequest): Promise<OpenRead> {
  const via = request.claim === null ? 'implicit' : 'claim';
  const leaseHash =
    request.claim === null
      ? toBase64url(deps.crypto.sha256(utf8(`reader ${request.readerTag}`)))
      : claimHash(deps, request.claim);

  const begun = await decideAndCommit(deps.store, async () => {
    const found = await findLink(deps, tokenText);
    const nowMs = deps.clock.nowMs();
    // A state that refuses every reader is told before a range that does not fit.
    const deliberate = request.deliberate === true;
    const probe = beginRead(found.row, { via, leaseHash, from: 0, deliberate, nowMs });
    const range = probe.ok || probe.code === 'transfer_leased' ? request.range(found.row) : { from: 0, to: 0 };
    const outcome = beginRead(found.row, { via, leaseHash, from: range.from, deliberate, nowMs });
    if (!outcome.ok) throw readRefusal(found.row, outcome);
    const strict = outcome.transfer.burn === 'on-first-byte';
    const row = strict ? burnOnFirstByte(outcome.transfer, nowMs) : outcome.transfer;
    const audit = strict
      ? [linkAudit(row, nowMs, { action: 'transfer.delivered', from: request.from, detail: { by: 'first-byte' } })]
      : [];
    return {
      answer: { ...found, ...range, row },
      writes: [{ kind: 'update', table: 'transfers', row, expectVersion: found.row.version }, ...audit],
    };
  });

  const context: ReadContext = { deps, id: begun.row.id, via, leaseHash, begun, reader: request.from };
  let renewing = false;
  let renewAtMs = deps.clock.monotonicMs() + (begun.row.lease_seconds * 1000) / 3;
  return {
    ...begun,
    body: bodyOf(deps, begun),
    alive() {
      if (renewing || deps.clock.monotonicMs() < renewAtMs) return;
      renewing = true;
      renewAtMs = deps.clock.monotonicMs() + (begun.row.lease_seconds * 1000) / 3;
      renew(context)
        .catch((error) => deps.warn('the lease of a read could not be renewed', error))
        .finally(() => {
          renewing = false;
        });
    },
    end: (ending, bytesHanded) => deps.endings.track(context.id, endOf(context, ending, bytesHanded)),
  };
}

interface ReadContext {
  deps: Deps;
  id: TransferRow['id'];
  via: 'claim' | 'implicit';
  leaseHash: string;
  begun: FoundLink & { from: number; to: number };
  reader: string;
}

async function* bodyOf(deps: Deps, read: FoundLink & { from: number; to: number }): AsyncGenerator<Uint8Array> {
  const { row, secrets, from, to } = read;
  const body = row.storage === 'inline' ? await deps.store.get('bodies', { transfer_id: row.id }) : null;
  if (row.storage === 'inline' && body === null)
    throw new FuselinkError('link_burned', 'This file was read meanwhile.');
  async function* inline(offset: number, length: number) {
    if (body !== null) yield body.bytes.subarray(offset, offset + length);
  }
  const stored = (offset: number, length: number) => deps.blobs.read(row.id, { offset, length });
  yield* readSegments(deps.crypto, secrets, {
    size: row.size ?? 0,
    segmentBytes: row.segment_bytes,
    from,
    to,
    read: body === null ? stored : inline,
  });
}

async function renew(context: ReadContext): Promise<void> {
  const { deps, id, leaseHash } = context;
  await decideAndCommit(deps.store, async () => {
    const row = await deps.store.get('transfers', { id });
    const next = row === null ? null : renewLease(row, { leaseHash, nowMs: deps.clock.nowMs() });
    if (row === null || next === null) return { answer: null, writes: [] };
    return { answer: null, writes: [{ kind: 'update', table: 'transfers', row: next, expectVersion: row.version }] };
  });
}

async function endOf(context: ReadContext, ending: ReadEnding, bytesHanded: number): Promise<TransferRow> {
  const { deps, id, via, leaseHash, begun, reader } = context;
  const row = await decideAndCommit(deps.store, async () => {
    const current = (await deps.store.get('transfers', { id })) ?? begun.row;
    const nowMs = deps.clock.nowMs();
    if (current.delivered_by === 'first-byte' && current.storage === 'inline') {
      const gone = dropBytes(current);
      const next = { ...gone.row, version: current.version + 1 };
      return {
        answer: next,
        writes: [{ kind: 'update', table: 'transfers', row: next, expectVersion: current.version }, ...gone.writes],
      };
    }
    const to = begun.from + bytesHanded;
    const { graceMs } = deps.settings;
    const next = endRead(current, { via, leaseHash, from: begun.from, to, outcome: ending, graceMs, nowMs });
    if (next === null) return { answer: current, writes: [] };
    const gone = next.state === 'burned' ? dropBytes(next) : { row: next, writes: [] };
    const action = next.state === 'burned' ? 'transfer.delivered' : 'transfer.read';
    return {
      answer: gone.row,
      writes: [
        { kind: 'update', table: 'transfers', row: gone.row, expectVersion: current.version },
        ...gone.writes,
        linkAudit(current, nowMs, { action, from: reader, detail: { ending, from_byte: begun.from, to_byte: to } }),
      ],
    };
  });
  if (row.state === 'burned') await deleteBlob(deps, row);
  return row;
}

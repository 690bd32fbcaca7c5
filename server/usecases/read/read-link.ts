import { toBase64url, utf8 } from '../../domain/base64url.ts';
import { burnOnFirstByte } from '../../domain/transfer/ending.ts';
import { beginRead } from '../../domain/transfer/reading.ts';
import type { TransferRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { readSegments } from '../sealing/segment-reader.ts';
import { openMeta } from '../sealing/transfer-meta.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { linkAudit } from './audit.ts';
import { claimHash } from './claim-link.ts';
import { type FoundLink, rowOf, secretsOf } from './find-link.ts';
import type { OpenReadEntry } from './open-reads.ts';
import { type ReadEnding, recordEnding, recordHanded, renew } from './record-ending.ts';
import { readRefusal } from './refusal.ts';

export interface ReadRequest {
  /** The claim of an explicit read; null for a plain GET. */
  claim: string | null;
  /** Who asks, for plain GETs: address and User-Agent. Only the same reader may add parts to a read under way. */
  readerTag: string;
  from: string;
  /** A person pressed the page's button (a form POST). */
  deliberate?: boolean;
  /** Which bytes of this file are wanted, and whether an end was named; throws for a range outside it. */
  range(row: TransferRow): { from: number; to: number; openEnded: boolean };
}

export interface OpenRead extends FoundLink {
  from: number;
  to: number;
  /** Plaintext of `[from, to)`, each piece authenticated. */
  body: AsyncIterable<Uint8Array>;
  /** Bytes moved: `handed` of them are with the socket by now. Keeps the lease alive. */
  moved(handed: number): void;
  /** How to break this read off: its reader may come back before its dead connection is noticed. */
  onCut(cut: () => void): void;
  /** The client has closed and `end` will follow within moments: others who ask wait for it. */
  closing(): void;
  /** Must be called once, with the bytes handed to the socket. Resolves to the transfer as it then stands. */
  end(ending: ReadEnding, bytesHanded: number): Promise<TransferRow>;
}

/** Begins to read a link's bytes: takes or joins the lease, and says how it must be ended. */
export async function readLink(deps: Deps, tokenText: string, request: ReadRequest): Promise<OpenRead> {
  const via = request.claim === null ? 'implicit' : 'claim';
  const leaseHash = request.claim === null ? readerHash(deps, request.readerTag) : claimHash(deps, request.claim);
  const { open } = deps.endings;
  const beganMs = deps.clock.monotonicMs();
  const secrets = secretsOf(deps, tokenText);

  const begun = await decideAndCommit(deps.store, async () => {
    let row = await rowOf(deps, secrets);
    const ask = { via, leaseHash, deliberate: request.deliberate === true, nowMs: deps.clock.nowMs() } as const;
    // A state that refuses every reader is told before a range that does not fit.
    const probe = beginRead(row, { ...ask, from: 0, openEnded: true });
    const fits = probe.ok || probe.code === 'transfer_leased';
    const range = fits ? request.range(row) : { from: 0, to: 0, openEnded: true };
    if (range.from > 0) {
      await open.preemptIdle(row.id, { leaseHash, monotonicMs: deps.clock.monotonicMs() });
      row = await rowOf(deps, secrets);
    }
    const outcome = beginRead(row, { ...ask, ...range, live: open.handed(row.id, leaseHash) });
    if (!outcome.ok) throw readRefusal(row, outcome);
    const strict = outcome.transfer.burn === 'on-first-byte';
    const next = strict ? burnOnFirstByte(outcome.transfer, ask.nowMs) : outcome.transfer;
    const told = { action: 'transfer.delivered', from: request.from, detail: { by: 'first-byte' } };
    return {
      answer: { row: next, from: range.from, to: range.to },
      writes: [
        { kind: 'update', table: 'transfers', row: next, expectVersion: row.version },
        ...(strict ? [linkAudit(row, ask.nowMs, told)] : []),
      ],
    };
  });
  const found = { ...begun, secrets, meta: openMeta(deps.keyring, begun.row) };
  return openRead(deps, found, { via, leaseHash, reader: request.from, beganMs });
}

/** Plain GETs of one reader are told by its address and User-Agent; neither is kept. */
function readerHash(deps: Deps, readerTag: string): string {
  return toBase64url(deps.crypto.sha256(utf8(`reader ${readerTag}`)));
}

function openRead(
  deps: Deps,
  begun: FoundLink & { from: number; to: number },
  lease: { via: 'claim' | 'implicit'; leaseHash: string; reader: string; beganMs: number },
): OpenRead {
  const { id, lease_seconds: leaseSeconds } = begun.row;
  const { via, leaseHash, reader } = lease;
  const context = { deps, id, via, leaseHash, reader, begun };
  const leaseMs = leaseSeconds * 1000;
  // Counted from before the lease was asked for: whatever the store then wrote, it has not run out sooner.
  let sureUntilMs = lease.beganMs + leaseMs;
  const renewed = async () => {
    const askedMs = deps.clock.monotonicMs();
    const mine = await renew(context);
    if (mine) sureUntilMs = askedMs + leaseMs;
    return mine;
  };
  const done = deferred();
  const entry: OpenReadEntry = {
    leaseHash: lease.leaseHash,
    from: begun.from,
    handed: 0,
    movedAtMs: deps.clock.monotonicMs(),
    cut: () => {},
    ended: done.promise,
  };
  deps.endings.open.add(id, entry);

  // Another node may be asked for the ack before this one has recorded how the read ended.
  const overtaken = via === 'claim' && !deps.settings.singleNode;
  const body = overtaken ? tellingLast(bodyOf(deps, begun), begun, () => recordHanded(context)) : bodyOf(deps, begun);
  const renewEveryMs = leaseMs / 3;
  let renewing = false;
  let renewAtMs = entry.movedAtMs + renewEveryMs;
  return {
    ...begun,
    body: whileLeased(body, async () => {
      // A strict read burned the file before its first byte: nobody else can have it.
      if (begun.row.state === 'burned') return true;
      while (deps.clock.monotonicMs() >= sureUntilMs) if (!(await renewed())) return false;
      return true;
    }),
    moved(handed) {
      entry.handed = handed;
      entry.movedAtMs = deps.clock.monotonicMs();
      if (renewing || entry.movedAtMs < renewAtMs) return;
      renewing = true;
      renewAtMs = entry.movedAtMs + renewEveryMs;
      renewed()
        .catch((error) => deps.warn('the lease of a read could not be renewed', error))
        .finally(() => {
          renewing = false;
        });
    },
    onCut(cut) {
      entry.cut = cut;
    },
    closing() {
      deps.endings.track(id, done.promise);
    },
    end(ending, bytesHanded) {
      entry.handed = bytesHanded;
      return deps.endings.track(
        id,
        recordEnding(context, ending, bytesHanded).finally(() => {
          deps.endings.open.remove(id, entry);
          done.resolve();
        }),
      );
    },
  };
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/**
 * A process that was paused for longer than its lease must not go on as if nothing had happened: somebody else may have
 * read the file meanwhile. So each piece is let out only while the lease is surely held.
 */
async function* whileLeased(body: AsyncIterable<Uint8Array>, held: () => Promise<boolean>): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    if (!(await held()))
      throw new FuselinkError('transfer_leased', 'The lease of this read ran out, and another reader took it.');
    yield piece;
  }
}

/** Calls `tell` before the last piece is let out. */
async function* tellingLast(
  body: AsyncIterable<Uint8Array>,
  range: { from: number; to: number },
  tell: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  let at = range.from;
  for await (const piece of body) {
    at += piece.length;
    if (at >= range.to) await tell();
    yield piece;
  }
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

import { randomInt } from 'node:crypto';
import { dirname, join } from 'node:path';
import { fullJitterMs } from '#sdk/core';
import type { ReceiveOptions, ReceiveResult } from '../api.ts';
import { FuselinkError } from '../errors.ts';
import type { Transport } from '../http/transport.ts';
import type { RecordStore } from '../record-store.ts';
import { currentBoot, heldByAnother, recordStore } from '../record-store.ts';
import type { OpenedContent } from '../seal/opening-part.ts';
import type { Unsealing } from '../seal/unsealing.ts';
import { acknowledge, claimLink, openContent, parseLink } from './link.ts';
import type { Part, Target } from './target.ts';
import {
  assertFree,
  assertRoom,
  chooseTarget,
  holdsFile,
  isThere,
  openPart,
  removePart,
  settle,
  targetPath,
} from './target.ts';

export const GIVE_UP_AFTER_MS_DEFAULT = 300_000;
const BACK_OFF = { msMin: 100, msBase: 500, msMax: 30_000 };
/** Whole downloads whose digest was wrong before it is given up. */
const DAMAGED_MAX = 2;
/** What a damaged transport looks like: to be read once more, before it is believed. */
const DAMAGED = ['digest_mismatch', 'chunk_not_authentic', 'header_not_authentic', 'truncated', 'trailing_bytes'];
const ENDED = ['link_unknown', 'link_expired', 'link_burned', 'link_revoked'];

/** A read under way, as it stands on disk. The claim reads nothing without the link, whose hash is the file's name. */
interface ReceiveRecord {
  version: 1;
  claim: string;
  etag: string | null;
  filename: string;
  contentType: string;
  sizeBytes: number;
  sha256: string;
  note: string | null;
  sealed: boolean;
  /** What was in a sealed file, once it was opened and lies at `path`. */
  opened?: OpenedContent;
  path: string;
  part: string;
  /** The file has its name; only the acknowledgement is missing. */
  stored: boolean;
  owner: { pid: number; boot: string };
}

function isRecord(value: unknown): value is ReceiveRecord {
  const record = value as ReceiveRecord | null;
  return record?.version === 1 && typeof record.claim === 'string' && typeof record.part === 'string';
}

export interface ReceiveSettings extends ReceiveOptions {
  stateFolder: string | null;
  /** Opens the file as it comes; null: it is stored as it is. */
  unsealing?: Unsealing | null;
  /** Monotonic ms. */
  nowMs?: () => number;
  random?: () => number;
  /** Resolves after that many ms, or rejects when the signal aborts. */
  pause?: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

function defaultPause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new FuselinkError('aborted', 'the caller stopped it', { resumable: true }));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}

/** Trouble that passes: nobody there, a server that stops, another reader. What is final is thrown as it is. */
function passes(error: FuselinkError): boolean {
  const codes = ['unreachable', 'connection_lost', 'silent', 'transfer_leased', 'transfer_uploading', 'claim_unknown'];
  return codes.includes(error.code) || error.status === 429 || (error.status !== null && error.status >= 500);
}

/** One read of one link, from claim to acknowledgement. */
class Receiving {
  readonly #transport: Transport;
  readonly #link: URL;
  readonly #settings: ReceiveSettings;
  readonly #records: RecordStore<ReceiveRecord> | null;
  readonly #name: string;
  readonly #nowMs: () => number;
  #progressAtMs: number;
  #attempts = 0;

  constructor(transport: Transport, link: URL, settings: ReceiveSettings) {
    this.#transport = transport;
    this.#link = link;
    this.#settings = settings;
    this.#records =
      settings.stateFolder === null ? null : recordStore(join(settings.stateFolder, 'receives'), isRecord);
    this.#name = link.href;
    this.#nowMs = settings.nowMs ?? (() => performance.now());
    this.#progressAtMs = this.#nowMs();
  }

  /** Repeat `action` through trouble that passes, for as long as the caller waits. */
  async #patiently<Value>(action: () => Promise<Value>): Promise<Value> {
    for (;;) {
      try {
        return await action();
      } catch (error) {
        if (!(error instanceof FuselinkError) || !passes(error)) throw error;
        const random = (this.#settings.random ?? (() => randomInt(2 ** 32) / 2 ** 32))();
        const waitMs = Math.round(
          (error.retryAfterSeconds ?? 0) * 1000 + fullJitterMs(this.#attempts, random, BACK_OFF),
        );
        this.#attempts += 1;
        const giveUpAfterMs = this.#settings.giveUpAfterMs ?? GIVE_UP_AFTER_MS_DEFAULT;
        if (this.#nowMs() + waitMs - this.#progressAtMs > giveUpAfterMs) throw error;
        this.#settings.onRetry?.({ code: error.code, detail: error.message, waitMs });
        await (this.#settings.pause ?? defaultPause)(waitMs, this.#settings.signal);
      }
    }
  }

  #noteProgress(): void {
    this.#progressAtMs = this.#nowMs();
    this.#attempts = 0;
  }

  async #save(record: ReceiveRecord): Promise<void> {
    await this.#records?.save(this.#name, record);
  }

  /** What an earlier run left of this link, brought in line with what is on the disk and what is wanted now. */
  async #resumable(): Promise<ReceiveRecord | null> {
    const record = (await this.#records?.load(this.#name)) ?? null;
    if (record === null || heldByAnother(record.owner)) return null;
    // A crash may have come between the file's name and the note of it, and the file may have been removed since.
    const wanted = this.#settings.unsealing ? (record.opened ?? null) : record.opened === undefined ? record : null;
    record.stored = wanted !== null && (await holdsFile(record.path, wanted));
    if (record.stored) {
      await removePart(record);
      return record;
    }
    if (this.#settings.unsealing || record.opened !== undefined) {
      // An opener's state ends with its process: what was sealed is opened from its first byte again.
      delete record.opened;
      await removePart(record);
    }
    const path = await targetPath(this.#settings.to, record.filename);
    if (path !== record.path || !(await isThere(record.part))) {
      await removePart(record);
      Object.assign(record, await this.#chooseTarget(record.filename));
    }
    return record;
  }

  /** What is sealed has its own name inside: until it is known only a path the caller gave can be in the way. */
  async #chooseTarget(filename: string): Promise<Target> {
    const { to, overwrite = false, unsealing } = this.#settings;
    const named = unsealing ? (await targetPath(to, 'a')) !== (await targetPath(to, 'b')) : false;
    return chooseTarget(to, filename, overwrite || named);
  }

  async #openPart(record: ReceiveRecord): Promise<Part> {
    const { unsealing, to, overwrite = false } = this.#settings;
    if (!unsealing) return openPart(record.part, record.sizeBytes);
    return unsealing.openPart(record.part, async (name) => {
      record.path = await targetPath(to, name ?? record.filename);
      if (!overwrite) await assertFree(record.path);
    });
  }

  async #claim(): Promise<ReceiveRecord> {
    const claim = await this.#patiently(() => claimLink(this.#transport, this.#link, this.#settings.signal));
    this.#noteProgress();
    const target = await this.#chooseTarget(claim.filename);
    await assertRoom(dirname(target.path), claim.size);
    return {
      version: 1,
      claim: claim.claim,
      etag: null,
      filename: claim.filename,
      contentType: claim.content_type ?? 'application/octet-stream',
      sizeBytes: claim.size,
      sha256: claim.sha256.toLowerCase(),
      note: claim.note ?? null,
      sealed: claim.sealed === true,
      ...target,
      stored: false,
      owner: { pid: process.pid, boot: currentBoot() },
    };
  }

  /** One answer's bytes into the part. Returns when they end; throws when they end early. */
  async #download(record: ReceiveRecord, part: Part): Promise<void> {
    const { signal } = this.#settings;
    const wanted = { claim: record.claim, from: part.sizeBytes(), etag: record.etag, signal };
    const { from, stream } = await openContent(this.#transport, this.#link, wanted);
    if (from === 0 && part.sizeBytes() > 0) await part.truncate();
    const etag = stream.headers.etag ?? null;
    if (etag !== record.etag) {
      record.etag = etag;
      await this.#save(record);
    }
    for await (const bytes of stream.bytes) {
      if (part.sizeBytes() + bytes.length > record.sizeBytes) {
        throw new FuselinkError('digest_mismatch', `expected ${record.sizeBytes} bytes, and more came`);
      }
      await part.append(bytes);
      this.#noteProgress();
      this.#settings.onProgress?.({ bytes: part.sizeBytes(), sizeBytes: record.sizeBytes });
    }
    if (part.sizeBytes() < record.sizeBytes) throw new FuselinkError('connection_lost', 'the answer ended early');
  }

  /** Another claim on the same file after the lease went back; other bytes under the same link cannot be. */
  async #claimAgain(record: ReceiveRecord): Promise<void> {
    const claim = await claimLink(this.#transport, this.#link, this.#settings.signal);
    if (claim.sha256.toLowerCase() !== record.sha256) {
      throw new FuselinkError('digest_mismatch', 'the link now stands for other bytes than when the download began');
    }
    record.claim = claim.claim;
    await this.#save(record);
  }

  async #fill(record: ReceiveRecord, part: Part): Promise<void> {
    let lost = false;
    await this.#patiently(async () => {
      try {
        if (lost) await this.#claimAgain(record);
        lost = false;
        while (part.sizeBytes() < record.sizeBytes) await this.#download(record, part);
      } catch (error) {
        if ((error as FuselinkError).code === 'claim_unknown') lost = true;
        throw error;
      }
    });
  }

  async #acknowledge(record: ReceiveRecord): Promise<void> {
    const { signal } = this.#settings;
    let lost = false;
    let readAgain = false;
    await this.#patiently(async () => {
      try {
        if (lost) await this.#claimAgain(record);
        lost = false;
        await acknowledge(this.#transport, this.#link, { claim: record.claim, sha256: record.sha256, signal });
      } catch (error) {
        const code = (error as FuselinkError).code;
        if (code === 'claim_unknown') lost = true;
        if (code === 'ack_incomplete' && !readAgain) {
          readAgain = true;
          await this.#readAgain(record);
          await acknowledge(this.#transport, this.#link, { claim: record.claim, sha256: record.sha256, signal });
          return;
        }
        // After a lost answer the claim is gone with the file: it was ours, and it is burned.
        if (lost && code === 'link_burned') return;
        throw error;
      }
    });
  }

  /** The server has not counted every byte as served (its memory of an earlier read is gone): read it once more. */
  async #readAgain(record: ReceiveRecord): Promise<void> {
    const wanted = { claim: record.claim, from: 0, etag: null, signal: this.#settings.signal };
    const { stream } = await openContent(this.#transport, this.#link, wanted);
    for await (const bytes of stream.bytes) if (bytes.length > 0) this.#noteProgress();
  }

  async #fetchAll(record: ReceiveRecord): Promise<void> {
    for (let damaged = 0; ; damaged++) {
      const part = await this.#openPart(record);
      let digest: string;
      try {
        await this.#fill(record, part);
        digest = part.digest();
        await part.seal();
        if (part.opened !== undefined) record.opened = part.opened();
      } catch (error) {
        await part.close().catch(() => {});
        if (this.#settings.unsealing) await removePart(record);
        if (!DAMAGED.includes((error as FuselinkError).code) || damaged + 1 >= DAMAGED_MAX) throw error;
        digest = '';
      }
      if (digest === record.sha256) return;
      await removePart(record);
      if (damaged + 1 >= DAMAGED_MAX) {
        await this.#records?.remove(this.#name);
        const again = 'it was not acknowledged, so the link still holds';
        throw new FuselinkError('digest_mismatch', `what arrived is not what was sent; ${again}`);
      }
    }
  }

  async run(): Promise<ReceiveResult> {
    const earlier = await this.#resumable();
    const record = earlier ?? (await this.#claim());
    record.owner = { pid: process.pid, boot: currentBoot() };
    if (!record.stored) {
      await this.#save(record);
      await this.#fetchAll(record).catch(async (error: unknown) => {
        if (!ENDED.includes((error as FuselinkError).code)) throw error;
        // Nobody can read it any more: what is here of it is of no use.
        await removePart(record);
        await this.#records?.remove(this.#name);
        throw error;
      });
      const target: Target = { path: record.path, part: record.part };
      await settle(target, this.#settings.overwrite ?? false);
      record.stored = true;
      await this.#save(record);
    }
    await this.#settings.onStored?.(record.path);
    // Only now: what is burned on the server is durable here under its own name.
    await this.#acknowledge(record);
    await this.#records?.remove(this.#name);
    const { opened } = record;
    return {
      path: record.path,
      filename: opened?.filename ?? record.filename,
      contentType: opened === undefined ? record.contentType : (opened.contentType ?? 'application/octet-stream'),
      sizeBytes: opened?.sizeBytes ?? record.sizeBytes,
      sha256: opened?.sha256 ?? record.sha256,
      note: record.note,
      sealed: record.sealed && opened === undefined,
      resumed: earlier !== null,
      opened: opened !== undefined,
      signer: opened?.signer ?? null,
    };
  }
}

/**
 * Read a link. Claims it, downloads into `<name>.part` (going on after breaks, and after a kill when there is a state
 * folder), compares the digest, gives the file its name durably, and only then acknowledges, which burns it. Throws
 * FuselinkError; whatever is thrown, an unacknowledged file can still be read.
 */
export async function receiveLink(
  transport: Transport,
  url: string,
  settings: ReceiveSettings,
): Promise<ReceiveResult> {
  return new Receiving(transport, parseLink(url), settings).run();
}

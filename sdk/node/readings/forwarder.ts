import { randomBytes } from 'node:crypto';
import { fullJitterMs } from '#sdk/core';
import { FuselinkError } from '../errors.ts';
import { bufferSource } from '../send/buffer-source.ts';
import type { Finished, JobHooks, Uploader } from '../send/uploader.ts';
import type { LaneStats, Lease, Spool } from '../spool/index.ts';
import type { BatchFile, BatchSettings, Packer } from './batches.ts';
import { openPacker } from './batches.ts';

/** What only a person can mend (a recipient the server does not accept) is tried again this slowly; nothing is dropped. */
const REFUSED_DELAY = { msMin: 30_000, msBase: 60_000, msMax: 900_000 };

export interface ForwarderOptions extends BatchSettings {
  spool: Spool;
  uploader: Uploader;
  lanes: readonly number[];
  /** A batch goes out when this many readings or bytes wait, or the first has waited so long. */
  countMax: number;
  bytesMax: number;
  ageMsMax: number;
  /** A backlog is merged into files of up to this many bytes, before compression. */
  mergeBytesMax: number;
  recipient: string | null;
  ttlSeconds: number | null;
  hooksFor(filename: string): JobHooks;
  sent(file: BatchFile, finished: Finished, lane: number): void;
  warn(code: string, detail: string): void;
  random(): number;
  /** Runs `action` after so many ms; returns how to stop it. */
  after(ms: number, action: () => void): () => void;
}

interface LaneWork {
  lane: number;
  packer: Packer;
  waitingCount: number;
  waitingBytes: number;
  stopTimer: (() => void) | null;
  running: Promise<void> | null;
  refusals: number;
  /** Ends the wait after a refusal early. */
  endWait: (() => void) | null;
  flushes: Flush[];
}

/** Somebody waits until so many sequences, from the oldest on, have been done with. */
interface Flush {
  left: number;
  resolve(): void;
  reject(error: FuselinkError): void;
}

/** Takes readings out of the spool, as files, in order, and tells the spool what has arrived. One file a lane at once. */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #lanes = new Map<number, LaneWork>();
  #closed = false;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    for (const lane of options.lanes) {
      const idle = { stopTimer: null, running: null, refusals: 0, endWait: null, flushes: [] };
      const packer = openPacker(options, options.spool.id);
      this.#lanes.set(lane, { lane, packer, waitingCount: 0, waitingBytes: 0, ...idle });
    }
  }

  /** Send what an earlier run left behind. */
  start(): void {
    for (const work of this.#lanes.values()) if (this.#backlog(work) > 0) this.#kick(work);
  }

  /** A reading was kept: send now, or when its age is due. */
  recorded(lane: number, bytes: number): void {
    const work = this.#lanes.get(lane);
    if (work === undefined) return;
    work.waitingCount += 1;
    work.waitingBytes += bytes;
    if (this.#isDue(work)) this.#kick(work);
    else this.#arm(work);
  }

  /** Resolves when everything recorded before is on the server; rejects with `closed`. */
  async flush(): Promise<void> {
    await this.#options.spool.flush();
    const waits = [...this.#lanes.values()].map((work) => {
      const left = this.#backlog(work);
      if (left === 0) return Promise.resolve();
      return new Promise<void>((resolve, reject) => {
        work.flushes.push({ left, resolve, reject });
        this.#kick(work);
      });
    });
    await Promise.all(waits);
  }

  /** Stop taking. The caller ends what is under way by closing the uploader. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const work of this.#lanes.values()) {
      work.stopTimer?.();
      work.endWait?.();
      const error = new FuselinkError('closed', 'the client was closed; what was recorded is kept', {
        resumable: true,
      });
      for (const { reject } of work.flushes.splice(0)) reject(error);
    }
    await Promise.all([...this.#lanes.values()].map((work) => work.running));
  }

  #backlog(work: LaneWork): number {
    return this.#stats(work)?.backlog ?? 0;
  }

  #stats(work: LaneWork): LaneStats | undefined {
    return this.#options.spool.stats().lanes.find(({ lane }) => lane === work.lane);
  }

  #arm(work: LaneWork): void {
    if (work.stopTimer !== null || work.running !== null || this.#closed) return;
    work.stopTimer = this.#options.after(this.#options.ageMsMax, () => {
      work.stopTimer = null;
      this.#kick(work);
    });
  }

  #kick(work: LaneWork): void {
    work.stopTimer?.();
    work.stopTimer = null;
    if (work.running !== null || this.#closed) return;
    work.running = this.#drain(work).finally(() => {
      work.running = null;
      if (this.#closed) return;
      if (work.flushes.length > 0 || this.#isDue(work)) this.#kick(work);
      else if (this.#backlog(work) > 0) this.#arm(work);
    });
  }

  #isDue(work: LaneWork): boolean {
    // Lane 0 is for what others wait for: it is never held to be merged.
    const { countMax, bytesMax } = this.#options;
    if (work.lane === 0) return work.waitingCount > 0;
    return work.waitingCount >= countMax || work.waitingBytes >= bytesMax;
  }

  async #drain(work: LaneWork): Promise<void> {
    const { spool } = this.#options;
    while (!this.#closed) {
      work.waitingCount = 0;
      work.waitingBytes = 0;
      // What was recorded must have reached the medium before `take` reads it from there.
      await spool.flush();
      let lease: Lease | null;
      work.packer.empty();
      const limits = { count: Number.MAX_SAFE_INTEGER, bytes: this.#options.mergeBytesMax };
      work.packer.expect(Math.min(limits.bytes, this.#stats(work)?.bytes ?? 0));
      try {
        lease = await spool.takeEach(work.lane, { ...limits, isStopped: () => this.#closed }, work.packer.take);
      } catch (error) {
        if (!this.#closed)
          this.#options.warn('spool_unreadable', error instanceof Error ? error.message : String(error));
        return;
      }
      if (lease !== null && !(await this.#deliver(work, lease))) return;
      if (lease !== null) spool.acknowledge(lease);
      this.#settleFlushes(work, lease === null ? Number.POSITIVE_INFINITY : lease.last - lease.first + 1);
      if (lease === null) return;
      // Only what has come meanwhile is left: it waits for company, or each reading would become a file of its own.
      const onlyNew = this.#backlog(work) <= work.waitingCount;
      if (onlyNew && work.flushes.length === 0 && !this.#isDue(work)) return;
    }
  }

  #settleFlushes(work: LaneWork, sequences: number): void {
    for (const flush of work.flushes) flush.left -= sequences;
    for (const flush of work.flushes) if (flush.left <= 0) flush.resolve();
    work.flushes = work.flushes.filter(({ left }) => left > 0);
  }

  async #deliver(work: LaneWork, lease: Lease): Promise<boolean> {
    for (const file of work.packer.files(lease)) if (!(await this.#sendFile(work, file, lease.resumed))) return false;
    return true;
  }

  /** Until it is there: no answer of a server drops a reading. False only when the client is closed meanwhile. */
  async #sendFile(work: LaneWork, file: BatchFile, resumed: boolean): Promise<boolean> {
    const { uploader, recipient, ttlSeconds } = this.#options;
    let again = resumed;
    let suffix = '';
    while (!this.#closed) {
      const spec = {
        id: randomBytes(8).toString('hex'),
        lane: work.lane,
        sizeBytes: file.bytes.byteLength,
        idempotencyKey: file.key + suffix,
        replayable: true,
        durable: false,
        resume: again ? { location: null, restarts: 0 } : null,
        whenRefused: 'wait',
        giveUpAfterMs: null,
      } as const;
      const { filename, contentType, note } = file;
      const transfer = { filename, contentType, note, recipient, ttlSeconds, burn: null };
      try {
        const done = await uploader.submit(spec, bufferSource(file.bytes), transfer, this.#options.hooksFor(filename));
        work.refusals = 0;
        this.#options.sent(file, done, work.lane);
        return true;
      } catch (error) {
        if (this.#closed) return false;
        again = true;
        const code = error instanceof FuselinkError ? error.code : 'failed';
        const detail = error instanceof Error ? error.message : String(error);
        if (code === 'idempotency_mismatch') {
          // The same readings were packed otherwise before (another zlib, other settings). Twice is better than never;
          // the manifest's sequences tell a receiver.
          suffix += '.x';
          again = false;
          this.#options.warn('possible_duplicate', `${filename}: ${detail}`);
          continue;
        }
        const waitMs = fullJitterMs(work.refusals, this.#options.random(), REFUSED_DELAY);
        work.refusals += 1;
        this.#options.warn(
          'batch_refused',
          `${filename}: ${detail} [${code}]; kept, tried again in ${Math.round(waitMs / 1000)} s`,
        );
        await this.#pause(work, waitMs);
      }
    }
    return false;
  }

  #pause(work: LaneWork, ms: number): Promise<void> {
    return new Promise<void>((resolve) => {
      const stop = this.#options.after(ms, resolve);
      work.endWait = () => {
        stop();
        resolve();
      };
    }).finally(() => {
      work.endWait = null;
    });
  }
}

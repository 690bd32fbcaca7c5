import {
  BATCH_BOOTS_MAX,
  type Batch,
  backlogOf,
  closeBatch,
  idempotencyKey,
  laneOfSpool,
  manifestText,
  offerReading,
  openBatcher,
  type Reading,
  readLane,
  recoverSpool,
  type SpoolEffect,
  type SpoolEvent,
  type SpoolOptions,
  type SpoolState,
  type SpoolStorage,
  stepSpool,
  type TimeTrust,
  toHex,
} from '#sdk/core';
import type { CallOff } from './surroundings.ts';

/** The lane of readings; lane 0 is for rotation and proof. */
export const READINGS = 1;

/** A file of leased readings, ready to be sent. */
export interface OutgoingFile {
  bytes: Uint8Array;
  filename: string;
  note: string;
  key: string;
}

export interface QueueHost {
  storage: SpoolStorage;
  device: string;
  options: SpoolOptions;
  /** A batch goes out when this many readings wait, or the first has waited so long. */
  batchCount: number;
  batchAgeMs: number;
  nowMs(): number;
  after(delayMs: number, run: () => void): CallOff;
  bytes(count: number): Uint8Array;
  recorded(ticket: number, kept: boolean, durable: boolean): void;
  dropped(reason: string, readings: number): void;
  /** Sends one file and calls back once it is there. `again`: an earlier try may have arrived. */
  submit(file: OutgoingFile, again: boolean, done: () => void): void;
}

/** Spool and batcher, driven synchronously: record, lease, send file by file, acknowledge. */
export class DeviceQueue {
  readonly #host: QueueHost;
  readonly #state: SpoolState;
  #tick: CallOff | null = null;
  #age: CallOff | null = null;
  #waiting = 0;
  #sending = false;
  #flushed = 0;
  #tickets = 0;

  constructor(host: QueueHost) {
    this.#host = host;
    this.#state = recoverSpool(host.storage, host.options, host.nowMs());
  }

  get boot(): number {
    return this.#state.boot;
  }

  get snapshotLost(): boolean {
    return this.#state.snapshotLost;
  }

  /** Sequences stored and not delivered, or not yet known to be. */
  get backlog(): number {
    const lane = laneOfSpool(this.#state, READINGS);
    return lane === null ? 0 : backlogOf(lane) + lane.pending.length + lane.waiting.length;
  }

  /** Goes on with what an earlier boot left. */
  start(): void {
    if (this.backlog > 0) this.kick();
  }

  record(ticket: number, bytes: Uint8Array, time: { wallMs: number; trust: TimeTrust }): void {
    const nowMs = this.#host.nowMs();
    this.#step({ type: 'record', nowMs, ticket, lane: READINGS, bytes, monotonicMs: nowMs, ...time });
    this.#waiting++;
    if (this.#waiting >= this.#host.batchCount) this.kick();
    else this.#age ??= this.#host.after(this.#host.batchAgeMs, () => this.kick());
  }

  /** Sends what there is, now. */
  kick(): void {
    if (this.#age !== null) this.#age.run = null;
    this.#age = null;
    if (this.#sending) return;
    this.#sending = true;
    this.#drain();
  }

  #drain(): void {
    this.#waiting = 0;
    const lane = laneOfSpool(this.#state, READINGS);
    if (lane === null || !this.#flush()) {
      this.#pause();
      return;
    }
    const resumed = lane.lease !== null;
    const limits = { count: 1e9, bytes: 32_768, boots: resumed ? 1e9 : BATCH_BOOTS_MAX };
    const through = lane.lease?.last ?? 1e15;
    const found = readLane(this.#state, this.#host.storage, lane, { ...limits, through });
    const nowMs = this.#host.nowMs();
    const readings = found.readings.length;
    if (resumed) this.#step({ type: 'resume', nowMs, lane: READINGS, readings });
    else if (found.through === 0) {
      this.#sending = false;
      return;
    } else {
      const random = toHex(this.#host.bytes(16));
      this.#step({ type: 'lease', nowMs, lane: READINGS, last: found.through, readings, random });
    }
    // The lease is durable before a byte of it is on the wire, or a repeat after a cut would be another transfer.
    if (!this.#flush() || lane.lease === null) {
      this.#pause();
      return;
    }
    const { boot, first, random } = lane.lease;
    this.#sendAll(this.#files(found.readings, { boot, first, random }), resumed);
  }

  #sendAll(files: OutgoingFile[], again: boolean): void {
    const next = files.shift();
    if (next !== undefined) {
      this.#host.submit(next, again, () => this.#sendAll(files, again));
      return;
    }
    this.#step({ type: 'acknowledge', nowMs: this.#host.nowMs(), lane: READINGS, reason: null });
    this.#sending = false;
    if (this.backlog > this.#waiting || this.#waiting >= this.#host.batchCount) this.kick();
    else if (this.#waiting > 0) this.#age ??= this.#host.after(this.#host.batchAgeMs, () => this.kick());
  }

  /** The medium does not take it now. */
  #pause(): void {
    this.#sending = false;
    this.#age ??= this.#host.after(60_000, () => this.kick());
  }

  #files(readings: readonly Reading[], lease: { boot: number; first: number; random: string }): OutgoingFile[] {
    const { device } = this.#host;
    const batcher = openBatcher({
      device,
      spool: this.#state.spoolId,
      format: 'ndjson',
      bytesMax: 1e9,
      countMax: 1e9,
      ageMsMax: 0,
      gzip: false,
      csvHeader: null,
      embedManifest: false,
    });
    const batches: Batch[] = [];
    const close = () => {
      const batch = closeBatch(batcher);
      if (batch !== null) batches.push(batch);
    };
    for (const reading of readings) {
      if (offerReading(batcher, reading, 0) === 'taken') continue;
      close();
      offerReading(batcher, reading, 0);
    }
    close();
    const boot = `${this.#state.spoolId}-${lease.boot}`;
    const key = idempotencyKey({ device, boot, sequence: lease.first, random: lease.random });
    return batches.map(({ bytes, filename, manifest }, index) => ({
      bytes,
      filename,
      note: manifestText(manifest),
      key: index === 0 ? key : `${key}.p${index}`,
    }));
  }

  /** Whether all that was recorded is durable now. */
  #flush(): boolean {
    const ticket = ++this.#tickets + 1e12;
    this.#step({ type: 'flush', nowMs: this.#host.nowMs(), ticket });
    return this.#flushed === ticket;
  }

  #step(first: SpoolEvent): void {
    const queue: SpoolEvent[] = [first];
    for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
      for (const effect of stepSpool(this.#state, event)) this.#perform(effect, queue);
    }
  }

  #perform(effect: SpoolEffect, queue: SpoolEvent[]): void {
    const host = this.#host;
    switch (effect.type) {
      case 'perform':
        host.storage.perform(effect.operations, (fault) => {
          queue.push({ type: 'performed', nowMs: host.nowMs(), fault });
        });
        return;
      case 'recorded':
        host.recorded(effect.ticket, effect.outcome.kept, effect.outcome.kept && effect.outcome.durable);
        return;
      case 'flushed':
        if (effect.durable) this.#flushed = effect.ticket;
        return;
      case 'dropped':
        host.dropped(effect.reason, effect.readings);
        return;
      case 'wake': {
        if (this.#tick !== null) this.#tick.run = null;
        const delayMs = Math.max(1, effect.atMs - host.nowMs());
        this.#tick = host.after(delayMs, () => this.#step({ type: 'tick', nowMs: host.nowMs() }));
        return;
      }
      case 'fault':
    }
  }
}

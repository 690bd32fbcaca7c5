import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fullJitterMs, type LinkAnswer, PENDING_BYTES_MAX } from '#sdk/core';
import {
  FuselinkError,
  type LeasedReadings,
  openSpool,
  type Spool,
  type SpoolFileSystem,
  writeFileAtomic,
} from '#sdk/node';
import type { Acceptance, DeviceMessage } from '../broker/message.ts';
import { type BatchFile, batchFiles } from './batch-files.ts';
import type { DeviceUploader } from './device-uploader.ts';
import { encodeEnvelope, messageDigest, sessionTag } from './envelope.ts';
import type { Gate } from './gate.ts';
import { type RepeatRecord, Repeats } from './repeats.ts';
import { tailOf } from './tail.ts';

export interface LineSettings {
  /** A batch goes out when this many readings or bytes wait, or the first has waited so long. */
  countMax: number;
  bytesMax: number;
  ageMsMax: number;
  /** A backlog is merged into batches of up to this many bytes. */
  mergeBytesMax: number;
  /** Bytes of one device on the gateway's disk. */
  spoolBytesMax: number;
  /** `block`: publishers wait; `drop-oldest`: the oldest readings make room, and are counted. */
  whenFull: 'block' | 'drop-oldest';
  bytesPerDayMax: number;
  /** The longest wait between two tries. */
  retryDelayMsMax: number;
  /** The first try after an outage waits a random part of this: every other gateway comes back as well. */
  spreadMsMax: number;
}

export interface LineEvents {
  /** A batch is on the server. Its readings are forgotten here only when this has resolved. */
  sent(device: string, file: BatchFile, link: LinkAnswer): Promise<void>;
  /** Readings that will not arrive. */
  dropped(device: string, reason: string, readings: number): void;
  /** Readings that were not taken, among those told as dropped: their sender was not acknowledged and still has them. */
  returned(device: string, reason: string, readings: number): void;
  warn(detail: string): void;
}

export interface LineOptions {
  device: string;
  folder: string;
  settings: LineSettings;
  uploader: DeviceUploader;
  /** Shared by all lines. */
  gate: Gate;
  events: LineEvents;
  fileSystem?: SpoolFileSystem;
}

const LANE = 1;
/** Well below what the spool holds in memory of one lane before it says `busy`. */
const RECORDING_BYTES_MAX = PENDING_BYTES_MAX / 2;
const REPEATS_FILE = 'repeats.json';
/** Whoever is to wait longer than this for its next try gives its place and its memory back meanwhile. */
const STAY_MS = 1000;
/** What only a person can mend is tried again this slowly; nothing is dropped. */
const REFUSED_DELAY = { msMin: 30_000, msBase: 60_000, msMax: 900_000 };

/** One device's way to the server: its spool, what of it was sent again, and the loop that empties it. */
export class DeviceLine {
  readonly #options: LineOptions;
  readonly #spool: Spool;
  readonly #repeats = new Repeats();
  /** Bytes handed to the spool and not yet answered for, and who waits for its turn. */
  #recordingBytes = 0;
  readonly #turns: { bytes: number; resolve: () => void }[] = [];
  #waitingCount = 0;
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #endPause: (() => void) | null = null;
  /** Stays in a row that brought nothing. */
  #failures = 0;
  /** Files of the lease under way that are on the server already. */
  #delivered = { last: -1, files: 0 };
  #flushing = false;
  #closed = false;
  #closing: Promise<void> | null = null;

  private constructor(options: LineOptions, record: RepeatRecord) {
    this.#options = options;
    const { folder, settings, events, device } = options;
    this.#repeats.restore(record);
    // Read before the spool is opened: opening it may already take away what is done with.
    this.#repeats.restore(tailOf(folder, LANE));
    this.#spool = openSpool({
      folder,
      lanes: [
        {
          lane: LANE,
          whenFull: settings.whenFull,
          // On the disk before it is acknowledged: that is what the device was promised.
          sync: 'every',
          syncIntervalMs: 1000,
          bytesMax: settings.spoolBytesMax,
        },
      ],
      bytesPerDayMax: settings.bytesPerDayMax,
      ...(options.fileSystem === undefined ? {} : { fileSystem: options.fileSystem }),
      onNotice(notice) {
        if (notice.type === 'dropped') events.dropped(device, notice.reason, notice.readings);
        else events.warn(`${device}: the disk refused (${notice.fault.kind}): ${notice.fault.detail}`);
      },
    });
  }

  /** Opens the line in its folder, whatever an earlier run left there. Throws SpoolError where it cannot be used. */
  static async open(options: LineOptions): Promise<DeviceLine> {
    const line = new DeviceLine(options, await readRepeats(join(options.folder, REPEATS_FILE)));
    if (line.backlog > 0) line.#kick();
    return line;
  }

  /** Readings stored and not yet on the server. */
  get backlog(): number {
    return this.#spool.stats().lanes[0]?.backlog ?? 0;
  }

  get bytes(): number {
    return this.#spool.stats().lanes[0]?.bytes ?? 0;
  }

  connected(session: string): void {
    this.#repeats.connected(sessionTag(session));
  }

  async accept(message: DeviceMessage): Promise<Acceptance> {
    const { delivery, channel, payload } = message;
    if (delivery === null) return this.#record(message, null);
    const session = sessionTag(delivery.session);
    const digest = messageDigest(channel, payload);
    const before = delivery.dup ? this.#repeats.find(session, delivery.packetId, digest) : null;
    if (before !== null) {
      // It may come once more, on the connection after this one.
      this.#repeats.note(session, delivery.packetId, digest, before);
      const outcome = await before;
      if (outcome.kept) return { kept: true, repeat: true };
    }
    const outcome = this.#record(message, session);
    this.#repeats.note(session, delivery.packetId, digest, outcome);
    return outcome;
  }

  /** Resolves when everything accepted before is on the server. */
  async flush(): Promise<void> {
    this.#flushing = true;
    try {
      while (!this.#closed && this.backlog > 0) {
        this.#kick();
        await this.#running;
      }
    } finally {
      this.#flushing = false;
    }
  }

  /** Resolves when what is under way has ended: its uploader is to be closed meanwhile. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#endPause?.();
    await this.#running;
    await this.#saveRepeats().catch((error: unknown) => this.#warn(error));
    await this.#spool.close();
  }

  async #record(message: DeviceMessage, session: string | null): Promise<Acceptance> {
    const packetId = message.delivery?.packetId ?? 0;
    const bytes = encodeEnvelope({ channel: message.channel, session, packetId, payload: message.payload });
    await this.#turn(bytes.length);
    const outcome = await this.#spool.record(bytes, { lane: LANE });
    this.#recorded(bytes.length);
    if (!outcome.kept) {
      if (message.delivery !== null) this.#options.events.returned(message.device, outcome.reason, 1);
      return { kept: false, reason: outcome.reason };
    }
    this.#waitingCount += 1;
    this.#waitingBytes += bytes.length;
    if (this.#isDue()) this.#kick();
    else this.#arm();
    return { kept: true, repeat: false, sequence: outcome.sequence };
  }

  /** Resolves, in order, when the spool has room in memory for these bytes: over its own limit it refuses. */
  async #turn(bytes: number): Promise<void> {
    if (this.#turns.length > 0 || (this.#recordingBytes > 0 && this.#recordingBytes + bytes > RECORDING_BYTES_MAX)) {
      await new Promise<void>((resolve) => this.#turns.push({ bytes, resolve }));
      return;
    }
    this.#recordingBytes += bytes;
  }

  #recorded(bytes: number): void {
    this.#recordingBytes -= bytes;
    for (;;) {
      const [next] = this.#turns;
      if (next === undefined) return;
      if (this.#recordingBytes > 0 && this.#recordingBytes + next.bytes > RECORDING_BYTES_MAX) return;
      this.#turns.shift();
      this.#recordingBytes += next.bytes;
      next.resolve();
    }
  }

  #isDue(): boolean {
    const { countMax, bytesMax } = this.#options.settings;
    return this.#waitingCount >= countMax || this.#waitingBytes >= bytesMax;
  }

  #arm(): void {
    if (this.#timer !== null || this.#running !== null || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#kick();
    }, this.#options.settings.ageMsMax);
  }

  #kick(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#running !== null || this.#closed) return;
    this.#running = this.#drain()
      .catch((error: unknown) => this.#warn(error))
      .finally(() => {
        this.#running = null;
        if (this.#closed) return;
        if (this.#isDue()) this.#kick();
        else if (this.backlog > 0) this.#arm();
      });
  }

  async #drain(): Promise<void> {
    while (!this.#closed) {
      const leave = await this.#options.gate.enter(Math.min(this.bytes, this.#options.settings.mergeBytesMax));
      let waitMs: number | null;
      try {
        waitMs = this.#closed ? null : await this.#sendNext();
      } finally {
        leave();
      }
      if (waitMs === null) return;
      if (waitMs > 0) await this.#pause(waitMs);
    }
  }

  /** The next batch, or the one that is leased. Null: there is nothing more to send now; else after how many ms to go on. */
  async #sendNext(): Promise<number | null> {
    const { mergeBytesMax } = this.#options.settings;
    this.#waitingCount = 0;
    this.#waitingBytes = 0;
    const lease = await this.#spool.take(LANE, { count: Number.MAX_SAFE_INTEGER, bytes: mergeBytesMax });
    if (lease === null) return null;
    const waitMs = await this.#deliver(lease);
    if (waitMs !== 0) return this.#closed ? null : waitMs;
    // What the device may still repeat is written down before the spool forgets it.
    await this.#saveRepeats();
    this.#spool.acknowledge(lease);
    const onlyNew = this.backlog <= this.#waitingCount;
    return onlyNew && !this.#flushing && !this.#isDue() ? null : 0;
  }

  /** 0: all of it is on the server; else after how many ms it is to be tried again. */
  async #deliver(lease: LeasedReadings): Promise<number> {
    const files = await batchFiles(lease, this.#options.device);
    // They are in the files now, and in the spool.
    lease.readings.length = 0;
    if (this.#delivered.last !== lease.last) this.#delivered = { last: lease.last, files: 0 };
    while (this.#delivered.files < files.length) {
      const file = files[this.#delivered.files] as BatchFile;
      const waitMs = await this.#sendFile(file, lease.resumed);
      if (waitMs !== 0) return waitMs;
      this.#delivered.files += 1;
    }
    this.#failures = 0;
    return 0;
  }

  /** No answer of a server drops a reading: it is tried until it is there. 0 when it is, else after how many ms again. */
  async #sendFile(file: BatchFile, resumed: boolean): Promise<number> {
    const { uploader, events, device } = this.#options;
    const stay = new AbortController();
    let askedMs = 0;
    const retrying = (waitMs: number) => {
      if (waitMs <= STAY_MS || askedMs > 0) return;
      askedMs = waitMs;
      stay.abort();
    };
    try {
      const link = await uploader.send(file, resumed, { signal: stay.signal, retrying });
      await events.sent(device, file, link);
      return 0;
    } catch (error) {
      const gaveWay = this.#closed || askedMs > 0;
      const waitMs = Math.max(askedMs, this.#nextDelayMs(gaveWay));
      if (gaveWay) return waitMs;
      const code = error instanceof FuselinkError ? error.code : 'failed';
      const detail = error instanceof Error ? error.message : String(error);
      events.warn(`${file.filename}: ${detail} [${code}]; kept, tried again in ${Math.round(waitMs / 1000)} s`);
      return waitMs;
    }
  }

  #nextDelayMs(passes: boolean): number {
    const { retryDelayMsMax } = this.#options.settings;
    const limits = passes ? { msMin: STAY_MS, msBase: 2 * STAY_MS, msMax: retryDelayMsMax } : REFUSED_DELAY;
    const delayMs = fullJitterMs(this.#failures, randomInt(2 ** 32) / 2 ** 32, limits);
    this.#failures += 1;
    return Math.ceil(delayMs);
  }

  #pause(ms: number): Promise<void> {
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    }).finally(() => {
      this.#endPause = null;
    });
  }

  async #saveRepeats(): Promise<void> {
    const text = `${JSON.stringify({ version: 1, sessions: this.#repeats.record() })}\n`;
    await writeFileAtomic(join(this.#options.folder, REPEATS_FILE), text);
  }

  #warn(error: unknown): void {
    this.#options.events.warn(`${this.#options.device}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function readRepeats(path: string): Promise<RepeatRecord> {
  try {
    const { version, sessions } = JSON.parse(await readFile(path, 'utf8')) as {
      version: unknown;
      sessions: RepeatRecord;
    };
    return version === 1 && typeof sessions === 'object' && sessions !== null ? sessions : {};
  } catch {
    // None yet, or damaged: then a repeat of what has already been sent on may arrive twice.
    return {};
  }
}

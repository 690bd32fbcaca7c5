import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UPLOAD_LIMITS } from '#sdk/core';
import type { SpoolFileSystem, Transport } from '#sdk/node';
import type { Acceptance, DeviceMessage, MessageSink } from '../broker/message.ts';
import { isDeviceId } from '../broker/topics.ts';
import { DeviceLine, type LineEvents, type LineSettings } from './device-line.ts';
import { DeviceUploader } from './device-uploader.ts';
import { Gate } from './gate.ts';
import { spoolFiles } from './spool-files.ts';

export const LINE_SETTINGS: LineSettings = {
  countMax: 1000,
  bytesMax: 262_144,
  ageMsMax: 60_000,
  mergeBytesMax: 4_194_304,
  spoolBytesMax: 268_435_456,
  whenFull: 'block',
  bytesPerDayMax: 5_368_709_120,
  retryDelayMsMax: UPLOAD_LIMITS.retryDelayMsMax,
  spreadMsMax: UPLOAD_LIMITS.spreadMsMax,
};

/** Spools that are opened at once. */
const OPENING_MAX = 16;

export interface UplinkOptions {
  /** A folder a device below it. */
  folder: string;
  base: URL;
  transport: Transport;
  gatewayKey(): string;
  /** The transport that sends as this device, where its key is held here; null: the gateway sends for it. */
  asDevice?(device: string): Transport | null;
  settings?: Partial<LineSettings>;
  /** Default 604,800: readings wait for their reader as long as they can. */
  ttlSeconds?: number;
  recipient?: string | null;
  /** Devices that may have a line here at once: each keeps a few files open. */
  devicesMax?: number;
  fileSystem?: SpoolFileSystem;
  events: LineEvents & { retrying(device: string, code: string, detail: string): void };
}

export interface UplinkStats {
  devices: number;
  backlogReadings: number;
  spoolBytes: number;
}

/** Readings of all devices on their way: kept on this gateway's disk, each device in a spool of its own. */
export class Uplink implements MessageSink {
  readonly #options: UplinkOptions;
  readonly #lines = new Map<string, Promise<DeviceLine>>();
  readonly #open = new Set<DeviceLine>();
  readonly #uploaders = new Map<string, DeviceUploader>();
  readonly #gate = new Gate();
  readonly #turns: (() => void)[] = [];
  #opening = 0;
  #closed = false;

  private constructor(options: UplinkOptions) {
    this.#options = options;
  }

  /** Takes up what earlier runs left behind. Throws where the folder cannot be used. */
  static async open(options: UplinkOptions): Promise<Uplink> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    const uplink = new Uplink(options);
    const entries = await readdir(options.folder, { withFileTypes: true });
    for (const entry of entries) {
      if (entry.isDirectory() && isDeviceId(entry.name)) await uplink.#line(entry.name);
    }
    return uplink;
  }

  async accept(message: DeviceMessage): Promise<Acceptance> {
    if (this.#closed) return this.#drop(message, 'closed');
    let line: DeviceLine;
    try {
      line = await this.#line(message.device);
    } catch (error) {
      this.#options.events.warn(`${message.device}: ${error instanceof Error ? error.message : String(error)}`);
      return this.#drop(message, 'storage_fault');
    }
    return line.accept(message);
  }

  connected(device: string, session: string): void {
    // A device without a line has sent nothing that it could repeat; a thousand idle ones cost no files.
    this.#lines.get(device)?.then(
      (line) => line.connected(session),
      (error: unknown) => this.#options.events.warn(`${device}: ${String(error)}`),
    );
  }

  stats(): UplinkStats {
    const stats = { devices: this.#open.size, backlogReadings: 0, spoolBytes: 0 };
    for (const line of this.#open) {
      stats.backlogReadings += line.backlog;
      stats.spoolBytes += line.bytes;
    }
    return stats;
  }

  /** Resolves when everything accepted before is on the server. */
  async flush(): Promise<void> {
    await Promise.all([...this.#open].map((line) => line.flush()));
  }

  /** Through which everything of this device goes to the server: its budget is one, whatever it sends. */
  uploaderOf(device: string): DeviceUploader {
    const known = this.#uploaders.get(device);
    if (known !== undefined) return known;
    const { base, transport, gatewayKey, ttlSeconds, recipient, events } = this.#options;
    const settings = { ...LINE_SETTINGS, ...this.#options.settings };
    const uploader = new DeviceUploader({
      base,
      transport,
      gatewayKey,
      asDevice: this.#options.asDevice?.(device) ?? null,
      device,
      ttlSeconds: ttlSeconds ?? 604_800,
      recipient: recipient ?? null,
      limits: { retryDelayMsMax: settings.retryDelayMsMax, spreadMsMax: settings.spreadMsMax },
      retrying: (code, detail) => events.retrying(device, code, detail),
    });
    this.#uploaders.set(device, uploader);
    return uploader;
  }

  async close(): Promise<void> {
    this.#closed = true;
    // Lines first: what is given back to a line that is closing is kept and not tried again.
    const closing = [...this.#open].map((line) => line.close());
    for (const uploader of this.#uploaders.values()) uploader.close();
    await Promise.all(closing);
    await Promise.all([...this.#lines.values()].map((line) => line.then((open) => open.close()).catch(() => {})));
  }

  /** What QoS 0 brought and could not be kept is lost and counted; QoS 1 and 2 stay with their sender. */
  #drop(message: DeviceMessage, reason: string): Acceptance {
    if (message.delivery === null) this.#options.events.dropped(message.device, reason, 1);
    return { kept: false, reason };
  }

  #line(device: string): Promise<DeviceLine> {
    const known = this.#lines.get(device);
    if (known !== undefined) return known;
    const most = this.#options.devicesMax ?? 2000;
    if (this.#lines.size >= most) return Promise.reject(new Error(`expected at most ${most} devices, got one more`));
    const opening = this.#inTurn(() => this.#openLine(device));
    this.#lines.set(device, opening);
    opening.catch(() => this.#lines.delete(device));
    return opening;
  }

  /** A thousand devices may publish for the first time in the same second: each opening reads and makes files. */
  async #inTurn<T>(open: () => Promise<T>): Promise<T> {
    if (this.#opening >= OPENING_MAX) await new Promise<void>((resolve) => this.#turns.push(resolve));
    else this.#opening += 1;
    try {
      return await open();
    } finally {
      // The place goes to whoever waits longest.
      const next = this.#turns.shift();
      if (next === undefined) this.#opening -= 1;
      else next();
    }
  }

  async #openLine(device: string): Promise<DeviceLine> {
    const { folder, events, fileSystem = spoolFiles } = this.#options;
    const settings = { ...LINE_SETTINGS, ...this.#options.settings };
    const line = await DeviceLine.open({
      device,
      folder: join(folder, device),
      settings,
      uploader: this.uploaderOf(device),
      gate: this.#gate,
      events,
      fileSystem,
    });
    this.#open.add(line);
    return line;
  }
}

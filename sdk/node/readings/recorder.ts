import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { ClientEvents, ReadingsOptions, ReadingValue, RecordOptions, RecordResult } from '../api.ts';
import { FuselinkError, optionInvalid } from '../errors.ts';
import type { GaugeSample } from '../metrics.ts';
import type { JobHooks, Uploader } from '../send/uploader.ts';
import type { OpenSpoolOptions, Spool } from '../spool/index.ts';
import { DEFAULT_LANES, openSpool, SpoolError } from '../spool/index.ts';
import { encodeReading } from './encode.ts';
import { Forwarder } from './forwarder.ts';
import { checkReadings } from './settings.ts';

/** Readings wait for their reader as long as they can. */
const TTL_SECONDS_DEFAULT = 604_800;

export interface RecorderOptions {
  readings: ReadingsOptions;
  stateFolder: string | null;
  device: string;
  uploader: Uploader;
  hooksFor(filename: string): JobHooks;
  sent(batch: ClientEvents['batch'][0]): void;
  warn(code: string, detail: string): void;
  dropped(lane: number, reason: string, readings: number): void;
}

export interface Recorder {
  record(value: ReadingValue, options: RecordOptions): Promise<RecordResult>;
  /** Rejects with `aborted` when the signal says so; what was recorded goes on being sent. */
  flush(signal?: AbortSignal): Promise<void>;
  gauges(): GaugeSample[];
  close(): Promise<void>;
}

function spoolFolder(options: RecorderOptions): string {
  const folder =
    options.readings.folder ?? (options.stateFolder === null ? undefined : join(options.stateFolder, 'spool'));
  if (folder !== undefined) return folder;
  throw optionInvalid('readings are kept on disk: expected readings.folder or a stateFolder');
}

/** Spool and forwarder of one client. Throws FuselinkError `spool_in_use`, `spool_folder`, `option_invalid`. */
export function openRecorder(options: RecorderOptions): Recorder {
  const { readings } = options;
  const format = readings.format ?? 'ndjson';
  const settings: OpenSpoolOptions = {
    folder: spoolFolder(options),
    onNotice: (notice) => {
      if (notice.type === 'dropped') options.dropped(notice.lane, notice.reason, notice.readings);
      else options.warn('spool_fault', `the disk refused (${notice.fault.kind}): ${notice.fault.detail}`);
    },
  };
  if (readings.lanes !== undefined) settings.lanes = readings.lanes.map((lane) => ({ ...lane }));
  if (readings.bytesPerDayMax !== undefined) settings.bytesPerDayMax = readings.bytesPerDayMax;
  const lanes = settings.lanes ?? DEFAULT_LANES;
  let spool: Spool;
  try {
    spool = openSpool(settings);
  } catch (error) {
    if (error instanceof SpoolError) throw new FuselinkError(error.code, error.message, { cause: error });
    if (error instanceof RangeError) throw new FuselinkError('option_invalid', error.message, { cause: error });
    throw error;
  }
  const { damagedBytes } = spool.stats();
  if (damagedBytes > 0)
    options.warn(
      'spool_damaged',
      `${damagedBytes} bytes of readings on the disk could not be read: the others are sent`,
    );
  const forwarder = new Forwarder({
    spool,
    uploader: options.uploader,
    lanes: lanes.map(({ lane }) => lane),
    device: options.device,
    format,
    gzip: readings.gzip ?? true,
    csvHeader: readings.csvHeader ?? null,
    embedManifest: readings.embedManifest ?? false,
    ...checkReadings(readings),
    recipient: readings.recipient ?? null,
    ttlSeconds: readings.ttlSeconds ?? TTL_SECONDS_DEFAULT,
    hooksFor: options.hooksFor,
    sent(file, { link, sizeBytes, sha256 }, lane) {
      const { id, url, state, expiresAt } = link;
      const { filename, readings: count, note: manifest } = file;
      const result = { id, url, state, expiresAt, filename, sizeBytes, sha256, sealed: false };
      options.sent({ ...result, lane, readings: count, manifest });
    },
    warn: options.warn,
    random: () => randomInt(2 ** 32) / 2 ** 32,
    after(ms, action) {
      const timer = setTimeout(action, ms);
      return () => clearTimeout(timer);
    },
  });
  forwarder.start();
  return {
    async record(value, given) {
      const bytes = encodeReading(value, format);
      const lane = given.lane ?? 1;
      if (!lanes.some((one) => one.lane === lane)) {
        throw optionInvalid(`lane is expected among ${lanes.map((one) => one.lane).join(', ')}, got ${lane}`);
      }
      const when = given.wallMs === undefined ? {} : { wallMs: given.wallMs, trust: 'estimated' as const };
      const outcome = await spool.record(bytes, { lane, ...when });
      if (outcome.kept) forwarder.recorded(lane, bytes.byteLength);
      return outcome;
    },
    async flush(signal) {
      const flushed = forwarder.flush();
      if (signal === undefined) return flushed;
      let stop = () => {};
      const aborted = new Promise<never>((_, reject) => {
        stop = () => reject(new FuselinkError('aborted', 'the caller stopped waiting; readings go on being sent'));
        if (signal.aborted) stop();
        else signal.addEventListener('abort', stop, { once: true });
      });
      // Whichever loses the race must not count as unhandled.
      flushed.catch(() => {});
      return Promise.race([flushed, aborted]).finally(() => signal.removeEventListener('abort', stop));
    },
    gauges() {
      const stats = spool.stats();
      const samples: GaugeSample[] = [];
      for (const { lane, backlog, bytes } of stats.lanes) {
        const labels = { lane: String(lane) };
        samples.push({ name: 'fuselink_backlog_readings', labels, value: backlog });
        samples.push({ name: 'fuselink_spool_bytes', labels, value: bytes });
      }
      samples.push({ name: 'fuselink_spool_written_bytes', labels: {}, value: stats.bytesWritten24h });
      return samples;
    },
    async close() {
      await forwarder.close();
      await spool.close();
    },
  };
}

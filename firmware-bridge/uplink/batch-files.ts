import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { idempotencyKey, type Reading } from '#sdk/core';
import type { LeasedReadings } from '#sdk/node';
import { decodeEnvelope } from './envelope.ts';

const compress = promisify(gzip);
/** Of the note, which takes 1000 characters. */
const CHANNEL_NOTE_BYTES_MAX = 128;

/** One file of a lease: the readings of one channel, in order. */
export interface BatchFile {
  filename: string;
  contentType: string;
  note: string;
  idempotencyKey: string;
  channel: string;
  readings: number;
  /** Sequence of its last reading. */
  last: number;
  bytes: Uint8Array;
}

/**
 * The files of a lease, one a channel, in the order in which the channels first came. The same lease gives the same
 * files under the same keys, whatever happened in between. Each line is one reading:
 * `{"sequence":…,"boot":…,"monotonic_ms":…,"wall_ms":…,"trust":…,"json":…}`, with `text` or `base64` instead of `json`
 * for payloads that are none. Sequences count a device's readings over all channels.
 */
export async function batchFiles(lease: LeasedReadings, device: string): Promise<BatchFile[]> {
  const channels = new Map<string, string[]>();
  const bounds = new Map<string, { first: number; last: number }>();
  for (const reading of lease.readings) {
    const envelope = decodeEnvelope(reading.bytes);
    const channel = envelope?.channel ?? 'unreadable';
    const lines = channels.get(channel) ?? [];
    channels.set(channel, lines);
    lines.push(lineOf(reading, envelope?.payload ?? reading.bytes));
    bounds.set(channel, { first: bounds.get(channel)?.first ?? reading.sequence, last: reading.sequence });
  }
  const boot = `${lease.spool}-${lease.boot}`;
  const key = idempotencyKey({ device, boot, sequence: lease.first, random: lease.random });
  const files: BatchFile[] = [];
  for (const [channel, lines] of channels) {
    const { first, last } = bounds.get(channel) as { first: number; last: number };
    const name = `${device}-${channel.replace(/[^A-Za-z0-9_-]+/g, '_').slice(0, 64)}-${first}-${last}.ndjson.gz`;
    const manifest = {
      version: 1,
      device,
      channel: channel.slice(0, CHANNEL_NOTE_BYTES_MAX),
      spool: lease.spool,
      format: 'ndjson',
      count: lines.length,
      first_sequence: first,
      last_sequence: last,
      /** Sequences of the whole lease: what of them is in no file of it was dropped or damaged. */
      lease: { first: lease.first, last: lease.last, readings: lease.readings.length },
    };
    files.push({
      filename: name,
      contentType: 'application/gzip',
      note: JSON.stringify(manifest),
      idempotencyKey: files.length === 0 ? key : `${key}.c${files.length}`,
      channel,
      readings: lines.length,
      last,
      bytes: await compress(Buffer.from(`${lines.join('\n')}\n`), { level: 6 }),
    });
  }
  return files;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function lineOf(reading: Reading, payload: Uint8Array): string {
  const { sequence, boot, monotonicMs, wallMs, trust } = reading;
  const wall = trust === 'none' ? null : Math.round(wallMs);
  const head = `{"sequence":${sequence},"boot":${boot},"monotonic_ms":${Math.round(monotonicMs)},"wall_ms":${wall},"trust":"${trust}"`;
  return `${head},${payloadField(payload)}}`;
}

/** The payload's own JSON text, digit for digit, where it is JSON; else as text; else as base64. */
function payloadField(payload: Uint8Array): string {
  let text: string;
  try {
    text = utf8.decode(payload);
  } catch {
    return `"base64":"${Buffer.from(payload).toString('base64')}"`;
  }
  try {
    JSON.parse(text);
    // Line ends in JSON are white space between its tokens: inside a string they are escaped.
    return `"json":${text.replace(/[\r\n]+/g, ' ').trim()}`;
  } catch {
    return `"text":${JSON.stringify(text)}`;
  }
}

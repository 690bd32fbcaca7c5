import { createHash } from 'node:crypto';

/*
 * A reading as it lies in the spool:
 *
 *   offset  bytes
 *        0      1  version, 1
 *        1      1  channel length n
 *        2      n  channel, UTF-8
 *      2+n      4  MQTT session (first bytes of SHA-256 of its name), 0 where it cannot be repeated
 *      6+n      2  packet id, u16 BE, 0 where it cannot be repeated
 *      8+n         payload as it came
 */

export interface Envelope {
  channel: string;
  /** 8 hex characters; null for what cannot come again. */
  session: string | null;
  packetId: number;
  payload: Uint8Array;
}

const VERSION = 1;
export const ENVELOPE_BYTES_MAX = 8 + 128;

/** How a session is named in the spool. */
export function sessionTag(session: string): string {
  return createHash('sha256').update(session).digest('hex').slice(0, 8);
}

/** What two deliveries of one message have in common: 16 hex characters over channel and payload. */
export function messageDigest(channel: string, payload: Uint8Array): string {
  return createHash('sha256').update(channel).update('\0').update(payload).digest('hex').slice(0, 16);
}

export function encodeEnvelope(envelope: Envelope): Buffer {
  const channel = Buffer.from(envelope.channel, 'utf8');
  if (channel.length > 255) throw new RangeError(`expected a channel of at most 255 bytes, got ${channel.length}`);
  const head = Buffer.alloc(8 + channel.length);
  head[0] = VERSION;
  head[1] = channel.length;
  channel.copy(head, 2);
  head.write(envelope.session ?? '00000000', 2 + channel.length, 'hex');
  head.writeUInt16BE(envelope.session === null ? 0 : envelope.packetId, 6 + channel.length);
  return Buffer.concat([head, envelope.payload]);
}

/** Null for bytes that are no envelope: they passed the spool's checksum, so another program wrote them. */
export function decodeEnvelope(bytes: Uint8Array): Envelope | null {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view[1] ?? 0;
  if (view[0] !== VERSION || view.length < 8 + length) return null;
  const packetId = view.readUInt16BE(6 + length);
  return {
    channel: view.toString('utf8', 2, 2 + length),
    session: packetId === 0 ? null : view.toString('hex', 2 + length, 6 + length),
    packetId,
    payload: view.subarray(8 + length),
  };
}

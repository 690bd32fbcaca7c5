import { createDecipheriv, createHash, createHmac, hash } from 'node:crypto';
import { type ApiKey, apiKey, fingerprintOf, formatApiKey, KEY_FORM_HEX, type Sha256, type SlotKey } from '#sdk/core';
import {
  DEVICE_SECRET_LABEL,
  type DevicePosition,
  formatDevicePosition,
  HEADER_DEVICE,
  OFFER_WRAP_LABEL,
  RECOVERY_LABEL,
  RECOVERY_PROOF_LABEL,
} from '#sdk/protocol';
import type { RelayRequest } from '#server';

/** [RFC 3394 §2.2.3.1] */
const WRAP_INITIAL_VALUE = Buffer.alloc(8, 0xa6);

export const sha256: Sha256 = (bytes) => new Uint8Array(hash('sha256', bytes, 'buffer'));

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function sha256Hex(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}

/** The headers by which a request is the device's own. */
export function deviceHeaders(key: ApiKey, position: DevicePosition | null): Record<string, string> {
  const headers: Record<string, string> = { authorization: `Bearer ${formatApiKey(key)}` };
  if (position !== null) headers[HEADER_DEVICE] = formatDevicePosition(position);
  return headers;
}

function post(path: string, json: object, headers: Record<string, string>): RelayRequest {
  const body = new Uint8Array(Buffer.from(JSON.stringify(json)));
  return { method: 'POST', path, headers: { ...headers, 'content-type': 'application/json' }, body };
}

/** Registers the digest of a staged key, on the word of another. */
export function registration(staged: SlotKey, key: ApiKey, headers: Record<string, string>): RelayRequest {
  const { generation, fingerprint } = staged;
  return post('/v1/device/rotation', { generation, fingerprint, sha256: sha256Hex(key.bytes()) }, headers);
}

/** Asks for the key the server offers. */
export function offerRequest(generation: number, headers: Record<string, string>): RelayRequest {
  return post('/v1/device/rotation', { generation, offer: true }, headers);
}

/** The status report. */
export function statusReport(
  said: { generation: number; phase: string; position: DevicePosition | null },
  headers: Record<string, string>,
): RelayRequest {
  const { phase } = said;
  const { boot, sequence, bootTag } = said.position ?? { boot: 0, sequence: 0, bootTag: '00000000' };
  const json = { phase, generation: said.generation, boot, sequence, boot_tag: bootTag };
  return post('/v1/device/status', json, headers);
}

export interface Identity {
  deviceId: string;
  /** 64 hex characters. */
  recoverySecret: string;
}

/** Registers a staged key on the word of the recovery secret alone. */
export function recoveryRequest(staged: SlotKey, key: ApiKey, identity: Identity): RelayRequest {
  const digest = sha256Hex(key.bytes());
  const root = createHash('sha256').update(RECOVERY_LABEL).update(Buffer.from(identity.recoverySecret, 'hex')).digest();
  const { generation, fingerprint } = staged;
  const words = [RECOVERY_PROOF_LABEL, identity.deviceId, generation, staged.base, fingerprint, digest];
  const proof = hmac(root, words.join('\n')).toString('hex');
  const said = { device_id: identity.deviceId, generation, base: staged.base, sha256: digest, fingerprint, proof };
  return post('/v1/device/recovery', said, {});
}

/** The offered key, or null where it was not wrapped for this one or is not the one that is named. */
export function unwrapOffer(wrapped: unknown, key: ApiKey, fingerprint: unknown): ApiKey | null {
  if (typeof wrapped !== 'string' || !/^[0-9a-f]{80}$/.test(wrapped)) return null;
  const wrapping = hmac(hmac(key.bytes(), DEVICE_SECRET_LABEL), OFFER_WRAP_LABEL);
  try {
    const decipher = createDecipheriv('id-aes256-wrap', wrapping, WRAP_INITIAL_VALUE);
    const bytes = Buffer.concat([decipher.update(Buffer.from(wrapped, 'hex')), decipher.final()]);
    const offered = apiKey(KEY_FORM_HEX, new Uint8Array(bytes));
    return fingerprintOf(sha256, offered) === fingerprint ? offered : null;
  } catch {
    return null;
  }
}

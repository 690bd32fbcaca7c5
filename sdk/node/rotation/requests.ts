import { createDecipheriv, createHash, createHmac } from 'node:crypto';
import { type ApiKey, formatApiKey, type SlotKey } from '#sdk/core';
import {
  DEVICE_SECRET_LABEL,
  type DevicePosition,
  formatDevicePosition,
  HEADER_DEVICE,
  OFFER_WRAP_LABEL,
  RECOVERY_LABEL,
  RECOVERY_PROOF_LABEL,
} from '#sdk/protocol';
import type { HttpRequest } from '../http/transport.ts';
import { apiUrl } from '../send/request.ts';
import type { DeviceIdentity } from './identity.ts';

/** [RFC 3394 §2.2.3.1] */
const WRAP_INITIAL_VALUE = Buffer.alloc(8, 0xa6);

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function post(base: URL, path: string, json: object, headers: Record<string, string>): HttpRequest {
  const body = Buffer.from(JSON.stringify(json));
  return {
    method: 'POST',
    url: apiUrl(base, path),
    headers: { 'Content-Type': 'application/json', 'Content-Length': String(body.byteLength), ...headers },
    body,
  };
}

/** The headers by which a request is the device's own, under one of its keys. */
export function deviceHeaders(key: ApiKey, position: DevicePosition | null): Record<string, string> {
  const headers: Record<string, string> = { Authorization: `Bearer ${formatApiKey(key)}` };
  if (position !== null) headers[HEADER_DEVICE] = formatDevicePosition(position);
  return headers;
}

function sha256Hex(key: ApiKey): string {
  return createHash('sha256').update(key.bytes()).digest('hex');
}

/** Registers the digest of a staged key, on the word of another. */
export function registration(base: URL, staged: SlotKey, key: ApiKey, headers: Record<string, string>): HttpRequest {
  const { generation, fingerprint } = staged;
  return post(base, '/v1/device/rotation', { generation, fingerprint, sha256: sha256Hex(key) }, headers);
}

/** Asks the server for the key it offers. */
export function offerRequest(base: URL, generation: number, headers: Record<string, string>): HttpRequest {
  return post(base, '/v1/device/rotation', { generation, offer: true }, headers);
}

/** Registers a staged key on the word of the recovery secret alone. */
export function recoveryRequest(base: URL, staged: SlotKey, key: ApiKey, identity: DeviceIdentity): HttpRequest {
  const sha256 = sha256Hex(key);
  const root = createHash('sha256').update(RECOVERY_LABEL).update(Buffer.from(identity.recoverySecret, 'hex')).digest();
  const { generation, fingerprint } = staged;
  const words = [RECOVERY_PROOF_LABEL, identity.deviceId, generation, staged.base, fingerprint, sha256];
  const proof = hmac(root, words.join('\n')).toString('hex');
  const said = { device_id: identity.deviceId, generation, base: staged.base, sha256, fingerprint, proof };
  return post(base, '/v1/device/recovery', said, {});
}

/** Asks how the server sees this device; its answer tells of a rotation like every other. */
export function lookRequest(base: URL, headers: Record<string, string>): HttpRequest {
  return { method: 'GET', url: apiUrl(base, '/v1/device'), headers };
}

/** The device's status report. */
export function statusReport(
  base: URL,
  said: { generation: number; position: DevicePosition },
  headers: Record<string, string>,
): HttpRequest {
  const { boot, sequence, bootTag, phase } = said.position;
  const json = { phase, generation: said.generation, boot, sequence, boot_tag: bootTag };
  return post(base, '/v1/device/status', json, headers);
}

/** The 32 bytes of an offered key, or null where it was not wrapped for this key, or was altered on its way. */
export function unwrapOffer(wrapped: string, key: ApiKey): Uint8Array | null {
  if (!/^[0-9a-f]{80}$/.test(wrapped)) return null;
  const wrapping = hmac(hmac(key.bytes(), DEVICE_SECRET_LABEL), OFFER_WRAP_LABEL);
  try {
    const decipher = createDecipheriv('id-aes256-wrap', wrapping, WRAP_INITIAL_VALUE);
    return new Uint8Array(Buffer.concat([decipher.update(Buffer.from(wrapped, 'hex')), decipher.final()]));
  } catch {
    return null;
  }
}

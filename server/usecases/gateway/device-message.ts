import {
  type DevicePosition,
  ERRORS,
  formatRotationTold,
  GATEWAY_DOWN_LABEL,
  GATEWAY_MESSAGE_BYTES_MAX,
  GATEWAY_UP_LABEL,
  type GatewayAnswer,
  type GatewayMessage,
} from '#sdk/protocol';
import { fromHex, toBase64url, toHex, utf8 } from '../../domain/base64url.ts';
import type { DeviceId } from '../../domain/ids.ts';
import type { GatewayRow, KeyRow } from '../../ports/tables.ts';
import { readEpoch } from '../backup/epoch.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { deviceSecretOf } from '../device/device-secret.ts';
import { FuselinkError } from '../error.ts';
import { reportFirmware } from '../firmware/device-firmware.ts';
import { callerOfKey } from '../key/authenticate.ts';
import { afterDeviceRequest } from '../rotation/hear.ts';
import { offerKey, registerKey } from '../rotation/register.ts';
import { ownDevice, reportStatus } from '../rotation/report.ts';
import { gatewayOf, isListed } from './gateways.ts';
import { parseMessage } from './parse-message.ts';

/**
 * By what a message is known to be the device's own. `session`: the gateway's own broker signed the device in with the
 * key of this digest, and the gateway vouches for it. `mac`: made under the device secret of that key, whoever carried it.
 */
export type Evidence =
  | { kind: 'session'; keySha256: string }
  | { kind: 'mac'; fingerprint: string; mac: string }
  | { kind: 'none' };

export interface CarriedMessage {
  device: string;
  /** The line of JSON as it came: the MAC is over these very characters. */
  text: string;
  evidence: Evidence;
}

/** An answer to be carried back. The MAC is null where the server cannot make one: then it says nothing of keys. */
export interface CarriedAnswer {
  text: string;
  fingerprint: string | null;
  mac: string | null;
}

/**
 * A device's own call, carried by its gateway: what it says moves the rotation as if it had come over HTTP, and the audit
 * names the gateway. Throws `role_insufficient`, `not_found` (not on the gateway's list) and `invalid_field` (no message);
 * everything else, a refusal included, is an answer. `key_revoked` is never told in it: an unsigned one would be worth
 * nothing, and under a key that is no longer trusted there is no better one. It is told as `revoked` under the other key.
 */
export async function hearThroughGateway(deps: Deps, caller: Caller, carried: CarriedMessage): Promise<CarriedAnswer> {
  const gateway = await gatewayOf(deps, caller);
  if (!(await isListed(deps, gateway, carried.device))) {
    throw new FuselinkError('not_found', 'device_id: this gateway has no such device on its list.');
  }
  if (utf8(carried.text).length > GATEWAY_MESSAGE_BYTES_MAX) {
    const detail = `expected at most ${GATEWAY_MESSAGE_BYTES_MAX} bytes, got ${utf8(carried.text).length}`;
    throw new FuselinkError('invalid_field', `text: ${detail}.`, { errors: [{ field: 'text', detail }] });
  }
  const message = parseMessage(carried.text);
  const key = await keyShown(deps, gateway, carried);
  if (key === null)
    return unsigned(refusal(message, 'key_unknown', 'No such key is known here, or the MAC is not its own.'));
  const epoch = await readEpoch(deps.store);
  // A backup does not know which counters were heard after it: what was said under an earlier epoch may be a recording.
  if (carried.evidence.kind === 'mac' && message.epoch !== epoch) {
    const detail = 'The server was restored from a backup: say the epoch of this answer from now on.';
    return signed(deps, carried, key, { ...refusal(message, 'conflict', detail), epoch });
  }
  if (carried.evidence.kind === 'mac' && !(await isNext(deps, key, message))) {
    return signed(deps, carried, key, refusal(message, 'conflict', 'A message with this counter was heard before.'));
  }
  const how = carried.evidence.kind === 'mac' ? 'carried by' : 'attested by';
  const position: DevicePosition = {
    boot: message.boot,
    sequence: message.sequence,
    bootTag: message.boot_tag,
    phase: message.phase,
  };
  let device: Caller;
  try {
    const own = await callerOfKey(deps, key, caller.from, position, { mayChange: false });
    device = { ...own, vouched: `${how} gateway:${gateway.id}` };
  } catch (error) {
    if (!(error instanceof FuselinkError) || error.code !== 'key_revoked') throw error;
    return unsigned(refusal(message, 'key_unknown', 'No such key is known here.'));
  }
  const answer = await perform(deps, device, message);
  const told = formatRotationTold(await afterDeviceRequest(deps, device));
  const revoked = await revokedOf(deps, key, message.holds);
  return signed(deps, carried, key, { ...answer, told, revoked, ...(epoch === 0 ? {} : { epoch }) });
}

async function perform(deps: Deps, device: Caller, message: GatewayMessage): Promise<GatewayAnswer> {
  try {
    const body = (await call(deps, device, message)) as unknown as Record<string, unknown>;
    return { re: message.id, status: 200, told: '', revoked: [], body };
  } catch (error) {
    // A store that fails is no answer: the gateway is told so, and the device asks again.
    if (!(error instanceof FuselinkError) || ERRORS[error.code].status >= 500) throw error;
    return refusal(message, error.code === 'key_revoked' ? 'key_unknown' : error.code, error.message);
  }
}

async function call(deps: Deps, device: Caller, { call, body, ...position }: GatewayMessage): Promise<object> {
  switch (call) {
    case 'device':
      return ownDevice(deps, device);
    case 'status':
      return reportStatus(deps, device, {
        phase: position.phase,
        generation: typeof body['generation'] === 'number' ? body['generation'] : undefined,
        boot: position.boot,
        sequence: position.sequence,
        bootTag: position.boot_tag,
      });
    case 'firmware':
      return reportFirmware(deps, device, {
        file: String(body['file']),
        state: String(body['state']),
        reason: body['reason'] === undefined ? undefined : String(body['reason']),
      });
    case 'rotation': {
      const generation = Number(body['generation']);
      if (body['offer'] === true) return offerKey(deps, device, generation);
      const { sha256, fingerprint, wrapped_secret: wrapped } = body;
      return registerKey(deps, device, {
        generation,
        sha256: String(sha256),
        fingerprint: String(fingerprint),
        wrappedSecret: wrapped === undefined ? undefined : String(wrapped),
      });
    }
  }
}

/** The key of the device by which the message is its own; null where there is none. */
async function keyShown(deps: Deps, gateway: GatewayRow, carried: CarriedMessage): Promise<KeyRow | null> {
  const { device, evidence, text } = carried;
  const isOwn = (row: KeyRow | null | undefined): row is KeyRow =>
    row != null && row.device_id === device && row.account_id === gateway.account_id && row.kind === 'device';
  if (evidence.kind === 'none') return null;
  if (evidence.kind === 'session') {
    const digest = fromHex(evidence.keySha256);
    const row = digest === null ? null : await deps.store.get('api_keys', { hash: toBase64url(digest) });
    return isOwn(row) ? row : null;
  }
  const [row] = await deps.store.list('api_keys', {
    where: [
      ['device_id', '=', device as DeviceId],
      ['fingerprint', '=', evidence.fingerprint],
    ],
    limit: 1,
  });
  const secret = isOwn(row) ? deviceSecretOf(deps, row) : null;
  const said = fromHex(evidence.mac);
  if (!isOwn(row) || secret === null || said === null) return null;
  return deps.crypto.equal(said, macOf(deps, { secret, label: GATEWAY_UP_LABEL, device, text })) ? row : null;
}

/** Whether the counter is newer than every one heard under this key; if so it is taken, before anything is done for it. */
async function isNext(deps: Deps, key: KeyRow, message: GatewayMessage): Promise<boolean> {
  const id = `${key.device_id}/${key.fingerprint}`;
  const { boot, sequence } = message;
  const last = await deps.store.get('message_counters', { id });
  if (last !== null && (boot < last.boot || (boot === last.boot && sequence <= last.sequence))) return false;
  const row = { id, boot, sequence, version: (last?.version ?? 0) + 1 };
  const outcome = await deps.store.commit([
    last === null
      ? { kind: 'insert', table: 'message_counters', row }
      : { kind: 'update', table: 'message_counters', row, expectVersion: last.version },
  ]);
  // Who lost a race was overtaken by a message of the same device: it sends another one.
  return outcome.ok;
}

async function revokedOf(deps: Deps, key: KeyRow, holds: readonly string[]): Promise<string[]> {
  const revoked: string[] = [];
  for (const fingerprint of holds) {
    if (fingerprint === key.fingerprint || key.device_id === null) continue;
    const [row] = await deps.store.list('api_keys', {
      where: [
        ['device_id', '=', key.device_id],
        ['fingerprint', '=', fingerprint],
      ],
      limit: 1,
    });
    if (row?.state === 'revoked') revoked.push(fingerprint);
  }
  return revoked;
}

function refusal(message: GatewayMessage, code: keyof typeof ERRORS, detail: string): GatewayAnswer {
  return { re: message.id, status: ERRORS[code].status, told: '', revoked: [], body: { code, detail } };
}

function unsigned(answer: GatewayAnswer): CarriedAnswer {
  return { text: JSON.stringify(answer), fingerprint: null, mac: null };
}

async function signed(
  deps: Deps,
  { device }: CarriedMessage,
  key: KeyRow,
  answer: GatewayAnswer,
): Promise<CarriedAnswer> {
  const text = JSON.stringify(answer);
  const row = await deps.store.get('api_keys', { id: key.id });
  const secret = row === null || row.state === 'revoked' ? null : deviceSecretOf(deps, row);
  if (secret === null) return { text, fingerprint: null, mac: null };
  const mac = toHex(macOf(deps, { secret, label: GATEWAY_DOWN_LABEL, device, text }));
  return { text, fingerprint: key.fingerprint, mac };
}

function macOf(deps: Deps, what: { secret: Uint8Array; label: string; device: string; text: string }): Uint8Array {
  const key = deps.crypto.hmacSha256(what.secret, utf8(what.label));
  return deps.crypto.hmacSha256(key, utf8(`${what.device}\n${what.text}`));
}

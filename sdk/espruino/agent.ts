import {
  apiKey,
  type Fields,
  fingerprintOf,
  fingerprintToSend,
  KEY_FORM_HEX,
  outcomeEvent,
  putBeside,
  type RawSlots,
  type RotationEffect,
  type RotationEvent,
  type RotationState,
  type SlotRecord,
  stepRotation,
  unwrapKey,
} from '#sdk/core';
import { OFFER_WRAP_LABEL } from '#sdk/protocol';
import { decryptBlock, fromHex, sha256 } from './native.ts';
import type { Server } from './platform.ts';
import { derivedKey, position } from './signed.ts';

/** What the agent wants to send. */
export type Asked = Extract<RotationEffect, { kind: 'ask' | 'report' }>;

let state: RotationState;
let slots: RawSlots;
/** What the last offer brought, until it is in a slot. */
let offered: SlotRecord;
/** The newest request of the agent that has not been sent. */
let asked: Asked | null;
let wake: (delayMsMax: number) => void;

/** A key in the form that slots hold. */
export function recordOf(bytes: Uint8Array, generation: number, base: string): SlotRecord {
  const key = apiKey(KEY_FORM_HEX, bytes);
  return { generation: generation, base: base, fingerprint: fingerprintOf(sha256, key), key: key };
}

/** The record of this fingerprint, from whichever slot has it. */
function keyNamed(fingerprint: string | null): SlotRecord | null {
  return slots.pair().filter((record) => record && record.fingerprint === fingerprint)[0] || null;
}

/** The phase as the wire has it. In the bundle a phase is the digit of its place in this list. */
export function phaseName(): string {
  return 'EMPTY,SETTLED,STAGED,PROVING,PROVEN,LIMBO'.split(',')[state.phase as never] as string;
}

export function feed(event: RotationEvent): void {
  const step = stepRotation(state, event);
  state = step.state;
  step.effects.forEach((effect) => {
    const kind = effect.kind;
    if (kind === 'wake') wake(effect.delayMsMax);
    // The server knows what it has drawn itself.
    else if (kind === 'register') feed({ kind: 'registered', fingerprint: effect.record.fingerprint });
    else if (kind === 'ask' || kind === 'report') asked = effect;
    else {
      try {
        if (kind === 'stage') putBeside(slots, offered.base, offered);
        else putBeside(slots, (effect as { fingerprint: string }).fingerprint, null);
      } catch (_error) {
        // Whatever came of it, what reads back now is what counts.
      }
      feed({ kind: 'written', slots: slots.pair() });
    }
  });
}

/** The agent with what is in flash. `waker`: feed `due` after a random part of so many ms, instead of an earlier one. */
export function start(store: RawSlots, waker: (delayMsMax: number) => void): void {
  slots = store;
  wake = waker;
  feed({ kind: 'booted', slots: slots.pair() });
}

/** The agent's next request, once, or null. */
export function nextAsked(): Asked | null {
  const next = asked;
  asked = null;
  return next;
}

/** The key that a request of the agent, or an upload, is made with now; null: none that could, so keep the data. */
export function keyFor(next: Asked | null): SlotRecord | null {
  return keyNamed(next ? next.by : fingerprintToSend(state));
}

/** Says in `server` what is asked, and returns its body. */
export function askIn(server: Server, next: Asked): string {
  server.method = 'POST';
  server.path = '/v1/device/rotation';
  if (next.kind === 'ask') return '{"generation":' + next.generation + ',"offer":true}';
  server.path = '/v1/device/status';
  return '{"phase":"' + phaseName() + position('","boot":', ',"sequence":', ',"boot_tag":"') + '"}';
}

/** Feeds an answer to the agent. `whole`: the server has committed to what was sent. */
export function hear(
  key: SlotRecord,
  whole: boolean,
  status: number,
  code: string,
  told: Fields | null,
  json: Fields,
): void {
  const used = key.fingerprint;
  const named = json['fingerprint'] || null;
  const authentic = !!told;
  const outcome = outcomeEvent({
    status: status,
    code: code,
    usedFingerprint: used,
    problemFingerprint: named,
    authentic: authentic,
    request: whole ? 'commit' : 'other',
    registeredFingerprint: null,
  });
  if (outcome) feed(outcome);
  // `settled;gen=1`, `wanted;gen=2;base=…;source=offer`: the server says it in this order, and nothing else to a device
  // that signs which it could follow. Words are told apart by what the build does not shorten.
  ((told && told['fuselink-rotation']) || '').split(', ').forEach((item) => {
    const words = item.split('=').join(';').split(';');
    const generation = +(words[2] as string);
    if (item[0] === 's') feed({ kind: 'settled', generation: generation });
    if (item.indexOf('=offer') > 0) {
      feed({ kind: 'wanted', generation: generation, base: words[4] as string, source: 'offer', recovery: false });
    }
  });
  const wrapped = json['wrapped_key'];
  const bytes = wrapped && unwrapKey(decryptBlock, derivedKey(key, OFFER_WRAP_LABEL), fromHex(wrapped));
  if (!bytes) return;
  offered = recordOf(bytes, +(json['generation'] as string), key.fingerprint);
  feed({
    kind: 'candidate',
    generation: offered.generation,
    base: offered.base,
    fingerprint: offered.fingerprint,
  });
}

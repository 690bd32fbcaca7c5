import {
  apiKey,
  fingerprintOf,
  fingerprintToSend,
  KEY_FORM_HEX,
  NO_BASE,
  outcomeEvent,
  putBeside,
  type RawSlots,
  type RotationEffect,
  type RotationEvent,
  type RotationState,
  rawSlots,
  type SlotRecord,
  stepRotation,
} from '#sdk/core';
import { slotsInFlash } from './flash.ts';
import { fromHex, sha256 } from './native.ts';
import type { Findable } from './platform.ts';
import { server } from './server.ts';
import type { Answer } from './signed.ts';

type Candidate = SlotRecord & { kind: 'candidate' };

/** What the agent wants to send. */
export type Asked = Extract<RotationEffect, { kind: 'ask' | 'report' }>;

let agent: RotationState | undefined;
/** What the last offer brought, until it is in a slot. */
let offered: Candidate | undefined;
/** The newest request of the agent that has not been answered. */
let wanted: Asked | null;
/** Within so many ms the agent wants to be told that it is due; 0: as it was set before. */
let wakeMsMax = 0;

/** The slots as they are in flash, made for each look: nothing of them lies in RAM in between. */
function slots(): RawSlots {
  return rawSlots(slotsInFlash(server.flash));
}

/** A key in the form that slots hold, and in which the agent hears of a candidate. */
function recordOf(bytes: Uint8Array, generation: number, base: string): Candidate {
  const key = apiKey(KEY_FORM_HEX, bytes);
  return {
    kind: 'candidate',
    generation: generation,
    base: base,
    fingerprint: fingerprintOf(sha256, key),
    key: key,
  };
}

/** The record of this fingerprint, from whichever slot has it. */
export function keyNamed(fingerprint: string | null): SlotRecord | null {
  const pair = slots().pair() as unknown as Findable<SlotRecord>;
  return pair.find((record) => record && record.fingerprint === fingerprint) || null;
}

/** The phase as the wire has it. In the bundle a phase is the digit of its place in this list. */
export function phaseName(): string {
  return 'EMPTY,SETTLED,STAGED,PROVING,PROVEN,LIMBO'.split(',')[(agent as RotationState).phase as never] as string;
}

export function feed(event: RotationEvent): void {
  const events = [event];
  while (events.length > 0) {
    const step = stepRotation(agent as RotationState, events.shift() as RotationEvent);
    agent = step.state;
    for (const effect of step.effects) {
      const kind = effect.kind;
      if (kind === 'wake') wakeMsMax = effect.delayMsMax;
      // The server knows what it has drawn itself.
      else if (kind === 'register') events.push({ kind: 'registered', fingerprint: effect.record.fingerprint });
      else if (kind === 'ask' || kind === 'report') wanted = effect;
      else {
        try {
          const record = kind === 'stage' ? (offered as SlotRecord) : null;
          putBeside(slots(), record ? record.base : (effect as { fingerprint: string }).fingerprint, record);
        } catch (_error) {
          // Whatever came of it, what reads back now is what counts.
        }
        events.push({ kind: 'written', slots: slots().pair() });
      }
    }
  }
}

export function isBooted(): boolean {
  return !!agent;
}

/**
 * The agent with what is in flash, or, where that is nothing, with the key that `connect` was given.
 */
export function boot(): void {
  const flash = slots();
  const pair = flash.pair();
  if (!pair[0] && !pair[1] && server.key) {
    const record = recordOf(fromHex(server.key), 1, NO_BASE);
    flash.put(0, record);
    flash.put(1, record);
  }
  feed({ kind: 'booted', slots: flash.pair() });
}

/** Tells the agent that its time has come. It is told so again within `lookMsMax`, unless it asks for another time. */
export function feedDue(lookMsMax: number): void {
  wakeMsMax = lookMsMax;
  feed({ kind: 'due' });
}

/** What the agent has asked to be woken within, in ms; 0: nothing since it was set. */
export function wantsWakeWithin(): number {
  return wakeMsMax;
}

export function wakeIsSet(): void {
  wakeMsMax = 0;
}

/** What the agent asks for next, or null. */
export function asked(): Asked | null {
  return wanted;
}

/** The same, and it is asked for no more: it was answered, or it never will be. */
export function takeAsked(): Asked | null {
  const next = wanted;
  wanted = null;
  return next;
}

/** The key that a request of the agent, or an upload, is made with now; null: none that could, so keep the data. */
export function keyFor(next: Asked | null): SlotRecord | null {
  return keyNamed(next ? next.by : fingerprintToSend(agent as RotationState));
}

/** Says in `server` what is asked, and returns its body. */
export function askIn(next: Asked): string {
  server.method = 'POST';
  server.path = '/v1/device/rotation';
  if (next.kind === 'ask') return '{"generation":' + next.generation + ',"offer":true}';
  server.path = '/v1/device/status';
  // All that it reports is in Fuselink-Device.
  return '{}';
}

/**
 * Feeds an answer to the agent. `whole`: the server has committed to what was sent. `wishes`: what the server wishes is heard as
 * well.
 */
export function hear(key: SlotRecord, whole: boolean, answer: Answer, wishes: boolean): void {
  const told = answer.told;
  const used = key.fingerprint;
  const outcome = outcomeEvent({
    status: answer.status,
    code: answer.code,
    usedFingerprint: used,
    problemFingerprint: answer.named,
    authentic: !!told,
    request: whole ? 'commit' : 'other',
    registeredFingerprint: null,
  });
  if (outcome) feed(outcome);
  // `settled;gen=1`, `wanted;gen=2;base=…;source=offer`: the server says it in this order, and nothing else to a device
  // that signs which it could follow. Words are told apart by what the build does not shorten.
  ((wishes && told && told['fuselink-rotation']) || '').split(', ').forEach((item) => {
    const words = item.split('=').join(';').split(';');
    const generation = +(words[2] as string);
    if (item[0] === 's') feed({ kind: 'settled', generation: generation });
    if (item.indexOf('=offer') > 0) {
      feed({ kind: 'wanted', generation: generation, base: words[4] as string, source: 'offer', recovery: false });
    }
  });
  const bytes = answer.key;
  if (!bytes) return;
  offered = recordOf(bytes, answer.generation, used);
  feed(offered);
}

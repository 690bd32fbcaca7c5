import {
  type ApiKey,
  apiKey,
  DEVICE_ROWS,
  type DeviceRow,
  fingerprintOf,
  fingerprintToSend,
  KEY_FORM_HEX,
  ROTATION_ACTIONS,
  ROTATION_GUARDS,
  type RotationAnswer,
  type RotationEffect,
  type RotationEvent,
  type RotationState,
  rotationEventsOf,
  type SlotPair,
  type SlotRecord,
  type SlotWriter,
  stepRotationWith,
  unbootedRotation,
} from '#sdk/core';
import { type DevicePosition, HEADER_ROTATION, KEY_BYTES, parseRotationTold } from '#sdk/protocol';
import type { RelayAnswer, RelayRequest } from '#server';
import {
  deviceHeaders,
  type Identity,
  offerRequest,
  recoveryRequest,
  registration,
  sha256,
  statusReport,
  unwrapOffer,
} from './requests.ts';
import type { CallOff, Surroundings } from './surroundings.ts';

/** Keys drawn and not staged yet: more than one is already unusual. */
const DRAWN_MAX = 4;
const LOOK = '/v1/device';

/** The product's rows, taken apart once for the whole fleet; a device takes each line apart whenever it looks at it. */
const ROWS = Array.from({ length: DEVICE_ROWS.count }, (_, index) => DEVICE_ROWS.at(index));
const MACHINE = {
  rows: { count: ROWS.length, at: (index: number) => ROWS[index] as DeviceRow },
  guards: ROTATION_GUARDS,
  actions: ROTATION_ACTIONS,
};

type RequestEffect = Extract<RotationEffect, { kind: 'register' | 'ask' | 'report' }>;

export interface RotationHost {
  slots: SlotWriter;
  /** Null where there is no recovery secret: keys are registered on the word of another key alone. */
  identity: Identity | null;
  surroundings: Surroundings;
  /** Null where no boot could be counted. */
  position(phase: string): DevicePosition | null;
  /** Sends under the device's eye: the answer comes only if it is still this boot. */
  send(request: RelayRequest, answered: (answer: RelayAnswer | null) => void): void;
  after(delayMs: number, run: () => void): CallOff;
  slotsChanged(): void;
  stepped(phase: string, event: string, after: string): void;
  /** The key or the phase changed: what waited for a good key may go on. */
  changed(): void;
}

/** `stepRotation` with its effects performed at once: the small synchronous driver. It holds no rules of its own. */
export class DeviceRotation {
  readonly #host: RotationHost;
  readonly #asked = new Set<string>();
  readonly #drawn = new Map<string, ApiKey>();
  #pair: (SlotRecord | null)[] = [null, null];
  #timer: CallOff | null = null;
  state: RotationState = unbootedRotation();

  constructor(host: RotationHost) {
    this.#host = host;
  }

  boot(): void {
    this.feed({ kind: 'booted', slots: this.#readSlots() });
  }

  /** Somebody has put a key into both slots by hand. */
  provisioned(): void {
    this.feed({ kind: 'provisioned', slots: this.#readSlots() });
  }

  /** The key for the next request, or null: none, or none the server takes. */
  nextKey(): { key: ApiKey; fingerprint: string } | null {
    const fingerprint = fingerprintToSend(this.state);
    const key = fingerprint === null ? null : this.#keyOf(fingerprint);
    return fingerprint === null || key === null ? null : { key, fingerprint };
  }

  /** A candidate that an operator carried here. */
  carried(key: ApiKey, generation: number, base: string): void {
    this.#candidate(generation, base, key);
  }

  /** Asks the server how it stands, as after a hint: only the answer moves anything. */
  look(): void {
    const used = this.nextKey();
    if (used === null || this.#asked.has(LOOK)) return;
    this.#asked.add(LOOK);
    const headers = deviceHeaders(used.key, this.#host.position(this.state.phase));
    this.#host.send({ method: 'GET', path: LOOK, headers, body: null }, (answer) => {
      this.hear(answer, { usedFingerprint: used.fingerprint, request: 'other', registeredFingerprint: null });
      this.#asked.delete(LOOK);
    });
  }

  feed(event: RotationEvent): void {
    const before = this.state.phase;
    const { state, effects } = stepRotationWith(MACHINE, this.state, event);
    this.state = state;
    this.#host.stepped(before, event.kind, state.phase);
    for (const effect of effects) this.#perform(effect);
    if (before !== this.state.phase || event.kind === 'due') this.#host.changed();
  }

  /** Any answer to a request of this device, or null where none came. */
  hear(
    answer: RelayAnswer | null,
    facts: Pick<RotationAnswer, 'usedFingerprint' | 'request' | 'registeredFingerprint'>,
  ): void {
    const { code, fingerprint } = problemOf(answer);
    const told = answer?.headers[HEADER_ROTATION];
    const events = rotationEventsOf({
      ...facts,
      status: answer?.status ?? 0,
      code,
      problemFingerprint: fingerprint,
      authentic: answer !== null,
      tells: told === undefined ? [] : parseRotationTold(told),
    });
    // A refusal of what was sent (too large, already there) says nothing of the key it came under.
    const ofContent = facts.request === 'other' && answer !== null && isOfContent(answer.status);
    for (const event of events) if (!ofContent || event.kind !== 'failed') this.feed(event);
  }

  #readSlots(): SlotPair {
    this.#pair = this.#host.slots.pair();
    this.#host.slotsChanged();
    return this.#pair;
  }

  #keyOf(fingerprint: string): ApiKey | null {
    for (const record of this.#pair) if (record?.fingerprint === fingerprint) return record.key;
    return null;
  }

  #perform(effect: RotationEffect): void {
    const { slots, surroundings } = this.#host;
    switch (effect.kind) {
      case 'wake':
        if (this.#timer !== null) this.#timer.run = null;
        this.#timer = this.#host.after(surroundings.random() * effect.delayMsMax, () => this.feed({ kind: 'due' }));
        return;
      case 'mint':
        this.#candidate(effect.generation, effect.base, apiKey(KEY_FORM_HEX, surroundings.bytes(KEY_BYTES)));
        return;
      case 'stage': {
        const { generation, base, fingerprint } = effect.record;
        const key = this.#drawn.get(fingerprint);
        this.#write(() => key !== undefined && slots.stage(key, generation, base));
        return;
      }
      case 'mirror':
        this.#write(() => slots.settle(effect.fingerprint));
        return;
      default:
        this.#start(effect);
    }
  }

  #candidate(generation: number, base: string, key: ApiKey): void {
    const fingerprint = fingerprintOf(sha256, key);
    if (this.#drawn.size >= DRAWN_MAX) this.#drawn.clear();
    this.#drawn.set(fingerprint, key);
    this.feed({ kind: 'candidate', generation, base, fingerprint });
  }

  /** A slot is written and both are read back, whatever came of it. A power cut passes through. */
  #write(write: () => void): void {
    try {
      write();
    } catch (error) {
      if ((error as { code?: unknown }).code === 'power_cut') throw error;
    }
    this.feed({ kind: 'written', slots: this.#readSlots() });
  }

  /** One request of a kind at a time: every answer may tell the same wish, and the first to be answered is enough. */
  #start(effect: RequestEffect): void {
    const name = nameOf(effect);
    if (this.#asked.has(name)) return;
    const request = this.#request(effect);
    if (request === null) {
      this.feed({ kind: 'failed' });
      return;
    }
    this.#asked.add(name);
    this.#host.send(request.message, (answer) => {
      if (effect.kind === 'ask' && answer?.status === 200) this.#takeOffer(answer, effect.by);
      this.hear(answer, request.facts);
      // Only now: an answer that tells the same wish once more, a refusal say, is no reason to ask at once again.
      this.#asked.delete(name);
    });
  }

  #request(effect: RequestEffect): {
    message: RelayRequest;
    facts: Pick<RotationAnswer, 'usedFingerprint' | 'request' | 'registeredFingerprint'>;
  } | null {
    const by = effect.by === null ? null : this.#keyOf(effect.by);
    const phase = effect.kind === 'report' ? effect.phase : this.state.phase;
    const position = this.#host.position(phase);
    if (effect.kind === 'register') {
      const { record } = effect;
      const { identity } = this.#host;
      const recovery = effect.recovery && identity !== null;
      const key = this.#keyOf(record.fingerprint);
      if (key === null || (by === null && !recovery)) return null;
      const message = recovery
        ? recoveryRequest(record, key, identity)
        : registration(record, key, deviceHeaders(by as ApiKey, position));
      const usedFingerprint = recovery ? null : effect.by;
      return { message, facts: { usedFingerprint, request: 'register', registeredFingerprint: record.fingerprint } };
    }
    if (by === null) return null;
    const headers = deviceHeaders(by, position);
    const facts = { usedFingerprint: effect.by, registeredFingerprint: null };
    if (effect.kind === 'ask') {
      return { message: offerRequest(effect.generation, headers), facts: { ...facts, request: 'other' } };
    }
    const message = statusReport({ generation: effect.generation, phase, position }, headers);
    return { message, facts: { ...facts, request: 'commit' } };
  }

  #takeOffer(answer: RelayAnswer, base: string): void {
    const generation = answer.json?.['generation'];
    const by = this.#keyOf(base);
    const offered = by && unwrapOffer(answer.json?.['wrapped_key'], by, answer.json?.['fingerprint']);
    if (!offered || typeof generation !== 'number') this.feed({ kind: 'failed' });
    else this.#candidate(generation, base, offered);
  }
}

function nameOf(effect: RequestEffect): string {
  const { kind, by } = effect;
  if (kind === 'register') return `${kind} ${effect.record.fingerprint} ${by} ${effect.recovery}`;
  return kind === 'report'
    ? `${kind} ${effect.phase} ${by} ${effect.generation}`
    : `${kind} ${by} ${effect.generation}`;
}

/** Code and fingerprint of a problem; null on success and where there is none. */
export function problemOf(answer: RelayAnswer | null): { code: string | null; fingerprint: string | null } {
  if (answer === null || answer.json === null || answer.status < 300) return { code: null, fingerprint: null };
  const { code, fingerprint } = answer.json;
  return {
    code: typeof code === 'string' ? code : null,
    fingerprint: typeof fingerprint === 'string' ? fingerprint : null,
  };
}

function isOfContent(status: number): boolean {
  return status >= 400 && status < 500 && status !== 401 && status !== 429;
}

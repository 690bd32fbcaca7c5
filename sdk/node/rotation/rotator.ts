import { randomBytes, randomInt } from 'node:crypto';
import {
  type ApiKey,
  apiKey,
  type CredentialSlots,
  fingerprintToSend,
  KEY_FORM_HEX,
  type RotationAnswer,
  type RotationEffect,
  type RotationEvent,
  type RotationState,
  rotationEventsOf,
  type SlotRecord,
  stepRotation,
  unbootedRotation,
} from '#sdk/core';
import { type DevicePosition, HEADER_ROTATION, KEY_BYTES, parseRotationTold } from '#sdk/protocol';
import { fingerprint as fingerprintOf } from '../credentials/index.ts';
import { FuselinkError } from '../errors.ts';
import type { HttpAnswer, HttpRequest, Transport } from '../http/transport.ts';
import { problemOf } from '../send/answer.ts';
import type { Boots } from './boots.ts';
import type { DeviceIdentity } from './identity.ts';
import {
  deviceHeaders,
  lookRequest,
  offerRequest,
  recoveryRequest,
  registration,
  statusReport,
  unwrapOffer,
} from './requests.ts';

/** Keys drawn and not staged yet: more than one is already unusual. */
const DRAWN_MAX = 4;

export interface RotatorOptions {
  slots: CredentialSlots;
  transport: Transport;
  base: URL;
  identity: DeviceIdentity | null;
  /** Null where no boot could be counted: requests then say nothing of where the device is. */
  boots: Boots | null;
  /** Only one process drives a store; others follow it: they read slots and never write them. */
  drives: boolean;
  /** Answers can be believed: TLS verified the server, or nobody is in between. */
  authentic: boolean;
  /** The key or the phase changed: what waited for a good key may go on. */
  changed(state: RotationState): void;
  warn(code: string, detail: string): void;
  /** Asks the server how things stand when it has answered nothing for half of this to all of it; absent: never. */
  lookMs?: number;
  /** In [0, 1). */
  random?: () => number;
  /** Runs `action` after so many ms; returns how to stop it. */
  after?: (ms: number, action: () => void) => () => void;
}

/** What a request was made with. */
export interface RequestKey {
  fingerprint: string;
  headers: Record<string, string>;
}

type RequestEffect = Extract<RotationEffect, { kind: 'register' | 'ask' | 'report' }>;

const MANTISSA = 2 ** 32;

function systemAfter(ms: number, action: () => void): () => void {
  const timer = setTimeout(action, ms);
  // Nothing here is worth keeping a process alive for: the next one goes on from the slots.
  timer.unref();
  return () => clearTimeout(timer);
}

/**
 * Performs what `stepRotation` asks for, with the two slots, HTTP and timers. Holds no rules of its own: whatever it
 * does at a kill is recomputed from the slots at the next start.
 */
export class Rotator {
  readonly #options: RotatorOptions;
  readonly #closing = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  readonly #asked = new Set<string>();
  /** Drawn keys on their way into a slot, by fingerprint. */
  readonly #drawn = new Map<string, ApiKey>();
  #state: RotationState = unbootedRotation();
  #stopTimer: (() => void) | null = null;
  #stopLook: (() => void) | null = null;

  constructor(options: RotatorOptions) {
    this.#options = options;
    this.#feed({ kind: 'booted', slots: options.slots.pair() });
    this.#lookLater();
  }

  get state(): RotationState {
    return this.#state;
  }

  /**
   * The key for the next request, and the headers that say where the device is: taken together, so that what goes out
   * later also says that it is later. Throws `key_missing`, or `credentials_refused` while the server takes neither key.
   */
  nextKey(): RequestKey {
    this.#follow();
    const fingerprint = fingerprintToSend(this.#state);
    const key = fingerprint === null ? null : this.#keyOf(fingerprint);
    if (fingerprint !== null && key !== null) return { fingerprint, headers: deviceHeaders(key, this.#position()) };
    if (this.#state.phase === 'LIMBO') {
      throw new FuselinkError(
        'credentials_refused',
        'the server takes neither of this device’s keys; what is to be sent is kept until it does',
        { resumable: true },
      );
    }
    throw new FuselinkError('key_missing', 'there is no API key in the credential store');
  }

  /** Any answer to a request of this device, or null where none came. */
  heard(used: string, answer: HttpAnswer | null, request: 'commit' | 'other'): void {
    this.#hear(answer, { usedFingerprint: used, request, registeredFingerprint: null });
  }

  /** Resolves when the requests of its own that are under way have ended. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  /** Stops timers and requests. What was begun goes on at the next start. */
  close(): void {
    this.#closing.abort();
    this.#stopTimer?.();
    this.#stopLook?.();
  }

  #position(): DevicePosition | null {
    return this.#options.boots?.next(this.#state.phase) ?? null;
  }

  /** Another process drives the store: what it has written since is what counts. */
  #follow(): void {
    if (this.#options.drives) return;
    const slots = this.#options.slots.pair();
    const prints = (pair: readonly ({ fingerprint: string } | null)[]) =>
      pair
        .map((one) => one?.fingerprint ?? '')
        .sort()
        .join();
    const { base, candidate } = this.#state;
    if (prints(slots) === prints(candidate === null ? [base, base] : [base, candidate])) return;
    this.#state = stepRotation(unbootedRotation(), { kind: 'booted', slots }).state;
  }

  #keyOf(fingerprint: string): ApiKey | null {
    const held = (record: SlotRecord | null) => record?.fingerprint === fingerprint;
    return this.#options.slots.pair().find(held)?.key ?? null;
  }

  #feed(event: RotationEvent): void {
    if (this.#closing.signal.aborted) return;
    const before = this.#state;
    const { state, effects } = stepRotation(before, event);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
    if (!this.#options.drives && this.#state.writing !== null) {
      this.#feed({ kind: 'written', slots: this.#options.slots.pair() });
    }
    if (before.phase !== this.#state.phase || event.kind === 'due') this.#options.changed(this.#state);
  }

  #perform(effect: RotationEffect): void {
    // Whoever only follows proves keys with its uploads, and leaves everything else to the process that drives.
    if (!this.#options.drives) return;
    switch (effect.kind) {
      case 'wake':
        this.#wake(effect.delayMsMax);
        return;
      case 'mint':
        this.#candidate(effect.generation, effect.base, new Uint8Array(randomBytes(KEY_BYTES)));
        return;
      case 'stage':
        this.#write(() => {
          const { generation, base, fingerprint } = effect.record;
          const key = this.#drawn.get(fingerprint);
          if (key !== undefined) this.#options.slots.stage(key, generation, base);
        });
        return;
      case 'mirror':
        this.#write(() => void this.#options.slots.settle(effect.fingerprint));
        return;
      default:
        this.#start(effect);
    }
  }

  #candidate(generation: number, base: string, bytes: Uint8Array): void {
    const key = apiKey(KEY_FORM_HEX, bytes);
    const fingerprint = fingerprintOf(key);
    if (this.#drawn.size >= DRAWN_MAX) this.#drawn.clear();
    this.#drawn.set(fingerprint, key);
    this.#feed({ kind: 'candidate', generation, base, fingerprint });
  }

  /** A slot is written and both are read back, whatever came of it: what reads back is what is true. */
  #write(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#options.warn('credentials_unwritable', error instanceof Error ? error.message : String(error));
    }
    this.#feed({ kind: 'written', slots: this.#options.slots.pair() });
  }

  #wake(delayMsMax: number): void {
    this.#stopTimer?.();
    this.#stopTimer = this.#after(this.#randomMs(delayMsMax), () => this.#feed({ kind: 'due' }));
  }

  #randomMs(msMax: number): number {
    const random = this.#options.random ?? (() => randomInt(MANTISSA) / MANTISSA);
    return Math.floor(random() * msMax);
  }

  #after(ms: number, action: () => void): () => void {
    return (this.#options.after ?? systemAfter)(ms, action);
  }

  /** Whatever the server answers tells of a rotation; it is only asked where it had nothing to answer. */
  #lookLater(): void {
    const { lookMs, drives } = this.#options;
    if (lookMs === undefined || !drives || this.#closing.signal.aborted) return;
    this.#stopLook?.();
    this.#stopLook = this.#after(lookMs / 2 + this.#randomMs(lookMs / 2), () => this.#look());
  }

  #look(): void {
    this.#lookLater();
    const fingerprint = fingerprintToSend(this.#state);
    const key = fingerprint === null ? null : this.#keyOf(fingerprint);
    if (key === null) return;
    this.#underway('look', async () => {
      const answer = await this.#send(lookRequest(this.#options.base, deviceHeaders(key, this.#position())));
      this.#hear(answer, { usedFingerprint: fingerprint, request: 'other', registeredFingerprint: null });
    });
  }

  /** One request of a kind at a time: every answer may tell the same wish, and the first to be answered is enough. */
  #start(effect: RequestEffect): void {
    this.#underway(JSON.stringify(effect), () => this.#request(effect));
  }

  #underway(name: string, request: () => Promise<void>): void {
    if (this.#asked.has(name)) return;
    this.#asked.add(name);
    const done = request()
      .catch((error: unknown) => {
        this.#options.warn('rotation_failed', error instanceof Error ? error.message : String(error));
        this.#feed({ kind: 'failed' });
      })
      .finally(() => {
        this.#asked.delete(name);
        this.#underWay.delete(done);
      });
    this.#underWay.add(done);
  }

  async #request(effect: RequestEffect): Promise<void> {
    const { base, identity } = this.#options;
    const by = effect.by === null ? null : this.#keyOf(effect.by);
    const headers = by === null ? null : deviceHeaders(by, this.#position());
    const facts = { usedFingerprint: effect.by, registeredFingerprint: null };
    switch (effect.kind) {
      case 'register': {
        const { record } = effect;
        const key = this.#keyOf(record.fingerprint);
        const proven = effect.recovery && identity !== null && key !== null;
        if (!proven && (headers === null || key === null)) return this.#feed({ kind: 'failed' });
        const request = proven
          ? recoveryRequest(base, record, key, identity)
          : registration(base, record, key as ApiKey, headers as Record<string, string>);
        const used = proven ? null : effect.by;
        const answer = await this.#send(request);
        return this.#hear(answer, {
          usedFingerprint: used,
          request: 'register',
          registeredFingerprint: record.fingerprint,
        });
      }
      case 'ask': {
        if (headers === null || by === null) return this.#feed({ kind: 'failed' });
        const answer = await this.#send(offerRequest(base, effect.generation, headers));
        // The offer before what else the answer tells: it tells the wish once more, and that is now at hand.
        if (answer?.status === 200 && this.#options.authentic) this.#takeOffer(answer, by, effect.by);
        return this.#hear(answer, { ...facts, request: 'other' });
      }
      case 'report': {
        const position = this.#position();
        if (by === null) return this.#feed({ kind: 'failed' });
        const said = position ?? { boot: 0, sequence: 0, bootTag: '00000000', phase: effect.phase };
        const report = { generation: effect.generation, position: { ...said, phase: effect.phase } };
        const answer = await this.#send(statusReport(base, report, deviceHeaders(by, report.position)));
        return this.#hear(answer, { ...facts, request: 'commit' });
      }
    }
  }

  #takeOffer(answer: HttpAnswer, by: ApiKey, base: string): void {
    const offer = jsonOf(answer);
    const { generation, fingerprint, wrapped_key: wrapped } = offer;
    if (typeof generation !== 'number' || typeof wrapped !== 'string') return;
    const bytes = unwrapOffer(wrapped, by);
    if (bytes === null || fingerprintOf(apiKey(KEY_FORM_HEX, bytes)) !== fingerprint) {
      this.#options.warn('offer_unreadable', 'the offered key was not wrapped for this device’s key; asking again');
      this.#feed({ kind: 'failed' });
      return;
    }
    this.#candidate(generation, base, bytes);
  }

  /** The answer, or null where none came. */
  async #send(request: HttpRequest): Promise<HttpAnswer | null> {
    try {
      return await this.#options.transport.exchange({ ...request, signal: this.#closing.signal });
    } catch {
      return null;
    }
  }

  #hear(
    answer: HttpAnswer | null,
    facts: Pick<RotationAnswer, 'usedFingerprint' | 'request' | 'registeredFingerprint'>,
  ): void {
    const refused = answer !== null && (answer.status < 200 || answer.status >= 300);
    const problem = refused ? problemOf(answer) : { code: null, fingerprint: null };
    const told = answer?.headers[HEADER_ROTATION];
    const events = rotationEventsOf({
      ...facts,
      status: answer?.status ?? 0,
      code: problem.code,
      problemFingerprint: problem.fingerprint,
      authentic: this.#options.authentic && answer !== null,
      tells: typeof told === 'string' ? parseRotationTold(told) : [],
    });
    // A refusal of what was sent (too large, a wrong offset) says nothing of the key it came under.
    const ofContent = facts.request === 'other' && answer !== null && isOfContent(answer.status);
    for (const event of events) if (!ofContent || event.kind !== 'failed') this.#feed(event);
    if (answer !== null) this.#lookLater();
  }
}

function isOfContent(status: number): boolean {
  return status >= 400 && status < 500 && status !== 401 && status !== 429;
}

function jsonOf(answer: HttpAnswer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(answer.body.toString('utf8'));
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

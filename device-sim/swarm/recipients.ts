import { createHash } from 'node:crypto';
import type { RelayAnswer, RelayContent, RelayRequest } from '#server';
import { type Chance, nameHash } from '../kernel/chance.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { ReadsLedger } from '../oracle/reads.ts';
import { FAULT_RATES, type FaultName } from './faults.ts';
import { MINUTE_MS } from './options.ts';
import type { Recorder } from './recorder.ts';
import type { Servers } from './servers.ts';

/** Every fourth file has somebody who waits for it: enough to see, and three requests each. */
const READ_ONE_IN = 4;
/** A link lives for an hour, and whoever got it looks at it within minutes. */
const BEGINS_WITHIN_MS = 10 * MINUTE_MS;
const AGAIN_WITHIN_MS = MINUTE_MS;
const TIMEOUT_MS = 30_000;
/** A reader that was told nothing in so many tries gives up. */
const TRIES_MAX = 60;

export interface RecipientsOptions {
  kernel: Kernel;
  chance: Chance;
  servers: Servers;
  recorder: Recorder;
  ledger: ReadsLedger;
  on(name: FaultName): boolean;
}

interface Reading {
  token: string;
  device: number;
  reader: string;
  claim: string;
  size: number;
  bytes: Uint8Array;
  tries: number;
}

/** The token in a link, or null where the answer has none. */
export function tokenOf(url: unknown): string | null {
  return typeof url === 'string' ? (/\/get\/([A-Za-z0-9_-]+)$/.exec(url)?.[1] ?? null) : null;
}

/** Whoever the devices' files are for: they claim, read and acknowledge, over connections that break. */
export class Recipients {
  readonly #options: RecipientsOptions;
  readonly #given = new Set<string>();

  constructor(options: RecipientsOptions) {
    this.#options = options;
  }

  /** Whether somebody waits for the file of this upload. By its key, which is the device's alone to choose. */
  waitsFor({ headers }: RelayRequest): boolean {
    return nameHash(headers['idempotency-key'] ?? '') % READ_ONE_IN === 0;
  }

  /** A device has handed over the link of its upload. */
  given(device: number, token: string, upload: RelayRequest): void {
    if (!this.waitsFor(upload) || this.#given.has(token)) return;
    this.#given.add(token);
    this.#begin(device, token, 'the recipient');
    if (this.#strikes('reader-rival', device)) this.#begin(device, token, 'somebody else');
  }

  #begin(device: number, token: string, reader: string): void {
    const { kernel, chance } = this.#options;
    const reading = { token, device, reader, claim: '', size: 0, bytes: new Uint8Array(0), tries: 0 };
    kernel.after(chance.below(BEGINS_WITHIN_MS), () => this.#claim(reading));
  }

  #again(reading: Reading, step: (reading: Reading) => void): void {
    const { kernel, chance } = this.#options;
    if (++reading.tries < TRIES_MAX) kernel.after(1000 + chance.below(AGAIN_WITHIN_MS), () => step(reading));
  }

  #claim(reading: Reading): void {
    this.#post(reading, 'claim', {}, (answer) => {
      if (answer === null || answer.status === 423) this.#again(reading, (one) => this.#claim(one));
      else if (answer.status !== 200) this.#refused(reading, answer);
      else {
        reading.claim = String(answer.json?.['claim']);
        reading.size = Number(answer.json?.['size']);
        reading.bytes = new Uint8Array(0);
        this.#read(reading);
      }
    });
  }

  #read(reading: Reading): void {
    const { servers, chance, ledger } = this.#options;
    const from = reading.bytes.byteLength;
    const cut = this.#strikes('reader-cut', reading.device) ? chance.below(reading.size - from) : null;
    const begunAt = ledger.begun();
    const request = { token: reading.token, claim: reading.claim, from, cutAfterBytes: cut };
    servers.read(request, (content) => {
      if (content === null) this.#again(reading, (one) => this.#read(one));
      else this.#took(reading, content, { from, begunAt });
    });
  }

  #took(reading: Reading, content: RelayContent, asked: { from: number; begunAt: number }): void {
    this.#options.ledger.got(reading.token, { ...asked, bytes: content.bytes });
    reading.bytes = new Uint8Array(Buffer.concat([reading.bytes, content.bytes]));
    if (reading.bytes.byteLength === reading.size) this.#acknowledge(reading);
    else if (content.code === null) this.#again(reading, (one) => this.#read(one));
    // The lease is another's by now: from the beginning, or it is all over.
    else if (content.status === 423 || content.code === 'claim_unknown')
      this.#again(reading, (one) => this.#claim(one));
    else this.#refused(reading, { status: content.status, headers: {}, json: { code: content.code } });
  }

  #acknowledge(reading: Reading): void {
    const { ledger, recorder } = this.#options;
    const { token, reader, device, bytes } = reading;
    ledger.acknowledging(token);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    this.#post(reading, 'ack', { sha256 }, (answer) => {
      if (answer === null) this.#again(reading, (one) => this.#acknowledge(one));
      else if (answer.status === 200) {
        ledger.acknowledged(token, reader);
        recorder.note('read', device, bytes.byteLength, () => `${reader} has read ${bytes.byteLength} bytes`);
      } else if (answer.status === 409) this.#again(reading, (one) => this.#claim(one));
      else this.#refused(reading, answer);
    });
  }

  #refused({ token }: Reading, answer: RelayAnswer): void {
    const { ledger, kernel } = this.#options;
    ledger.refused(token, String(answer.json?.['code']), kernel.nowMs);
  }

  #post(reading: Reading, verb: string, json: object, answered: (answer: RelayAnswer | null) => void): void {
    const { servers, kernel } = this.#options;
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (reading.claim !== '') headers['fuselink-claim'] = reading.claim;
    const body = new Uint8Array(Buffer.from(JSON.stringify(json)));
    const request: RelayRequest = { method: 'POST', path: `/get/${reading.token}/${verb}`, headers, body };
    const lost = this.#strikes('reader-answer-lost', reading.device);
    servers.call(
      request,
      () => {},
      (answer) => {
        if (lost) kernel.after(TIMEOUT_MS, () => answered(null));
        else answered(answer);
      },
    );
  }

  #strikes(name: FaultName, device: number): boolean {
    const { on, chance, recorder } = this.#options;
    if (!on(name) || !chance.yes(FAULT_RATES[name])) return false;
    recorder.fault(name, device);
    return true;
  }
}

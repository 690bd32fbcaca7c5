import { randomBytes, randomInt } from 'node:crypto';
import {
  idleUploader,
  type LinkAnswer,
  stepUploader,
  UPLOAD_LIMITS,
  type UploadEffect,
  type UploadEvent,
  type UploadLimits,
  type UploadState,
} from '#sdk/core';
import { FuselinkError, type Transport } from '#sdk/node';
import type { BatchFile } from './batch-files.ts';
import { answerFacts, type RequestContext, type RequestEffect, sha256Hex, uploadRequest } from './request.ts';

export interface DeviceUploaderOptions extends RequestContext {
  transport: Transport;
  limits?: Partial<UploadLimits>;
  retrying(code: string, detail: string): void;
}

interface Job {
  file: BatchFile;
  resolve(link: LinkAnswer): void;
  reject(error: FuselinkError): void;
}

const MANTISSA = 2 ** 32;

/**
 * Drives the SDK's upload machine for one device: its budget of 60 a minute, retries, resumption and every rule are
 * the machine's. One for each device, because each is charged to its own limit.
 */
export class DeviceUploader {
  readonly #options: DeviceUploaderOptions;
  readonly #jobs = new Map<string, Job>();
  readonly #requests = new Map<number, AbortController>();
  #state: UploadState;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: DeviceUploaderOptions) {
    this.#options = options;
    this.#state = idleUploader({ ...UPLOAD_LIMITS, ...options.limits });
  }

  /**
   * Sends a file for as long as it takes; `resumed` where an earlier run may have sent it. Rejects with a FuselinkError
   * where only a person can mend it (to be tried again later), or with `closed`.
   */
  send(file: BatchFile, resumed: boolean): Promise<LinkAnswer> {
    const id = randomBytes(8).toString('hex');
    return new Promise<LinkAnswer>((resolve, reject) => {
      if (this.#closed) {
        reject(new FuselinkError('closed', 'the uplink was closed; the readings are kept'));
        return;
      }
      this.#jobs.set(id, { file, resolve, reject });
      this.#step({
        type: 'submit',
        nowMs: now(),
        spec: {
          id,
          lane: 1,
          sizeBytes: file.bytes.byteLength,
          idempotencyKey: file.idempotencyKey,
          replayable: true,
          durable: false,
          resume: resumed ? { location: null, restarts: 0 } : null,
          whenRefused: 'wait',
          giveUpAfterMs: null,
        },
      });
    }).finally(() => this.#jobs.delete(id));
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const controller of this.#requests.values()) controller.abort();
    for (const { reject } of this.#jobs.values()) {
      reject(new FuselinkError('closed', 'the uplink was closed; the readings are kept', { resumable: true }));
    }
  }

  #step(event: UploadEvent): void {
    if (this.#closed) return;
    const { state, effects } = stepUploader(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: UploadEffect): void {
    switch (effect.type) {
      case 'request':
        void this.#request(effect);
        return;
      case 'abort':
        this.#requests.get(effect.request)?.abort();
        return;
      case 'wake': {
        if (this.#timer !== null) clearTimeout(this.#timer);
        const waitMs = Math.min(Math.max(0, effect.atMs - now()) + 1, 2_147_483_647);
        this.#timer = setTimeout(() => this.#step({ type: 'tick', nowMs: now() }), waitMs);
        return;
      }
      case 'retrying':
        this.#options.retrying(effect.code, effect.detail);
        return;
      case 'done':
        this.#jobs.get(effect.job)?.resolve(effect.link);
        return;
      case 'failed': {
        const { code, detail, status, resumable } = effect.failure;
        this.#jobs.get(effect.job)?.reject(new FuselinkError(code, detail || code, { status, resumable }));
        return;
      }
      // Files are in memory and of the spool: there is nothing to reopen, and the spool is what remembers.
      case 'remember':
      case 'forget':
      case 'reopen':
      case 'credential-refused':
    }
  }

  async #request(effect: RequestEffect): Promise<void> {
    const job = this.#jobs.get(effect.job);
    const controller = new AbortController();
    const chance = () => ({ nowMs: now(), random: randomInt(MANTISSA) / MANTISSA });
    this.#requests.set(effect.request, controller);
    try {
      if (job === undefined) return;
      const { file } = job;
      const request = uploadRequest(effect, file, this.#options);
      const answer = await this.#options.transport.exchange({ ...request, signal: controller.signal });
      if (controller.signal.aborted) return;
      const facts = answerFacts(effect.kind, answer);
      const tells = effect.kind !== 'create' && effect.kind !== 'remove';
      const sha256 = facts.link === null ? null : sha256Hex(file.bytes);
      const sent = tells ? { sizeBytes: file.bytes.byteLength, sha256, changed: false } : null;
      this.#step({ type: 'answer', request: effect.request, ...chance(), ...facts, sent });
    } catch (error) {
      if (controller.signal.aborted) return;
      const code = error instanceof FuselinkError ? error.code : 'connection_lost';
      const detail = error instanceof Error ? error.message : String(error);
      const permanent = code === 'tls_untrusted' || code === 'proxy_refused';
      const size = job?.file.bytes.byteLength ?? null;
      this.#step({ type: 'lost', request: effect.request, ...chance(), code, detail, permanent, sizeBytes: size });
    } finally {
      this.#requests.delete(effect.request);
    }
  }
}

function now(): number {
  return Math.round(performance.now());
}

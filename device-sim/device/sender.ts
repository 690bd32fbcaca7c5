import {
  type AnswerEvent,
  idleUploader,
  type LinkAnswer,
  stepUploader,
  UPLOAD_LIMITS,
  type UploadEffect,
  type UploadEvent,
  type UploadState,
} from '#sdk/core';
import type { DevicePosition } from '#sdk/protocol';
import type { RelayAnswer, RelayRequest } from '#server';
import type { OutgoingFile } from './queue.ts';
import { deviceHeaders } from './requests.ts';
import { type DeviceRotation, problemOf } from './rotation.ts';
import type { CallOff, Surroundings } from './surroundings.ts';

type RequestEffect = Extract<UploadEffect, { type: 'request' }>;

export interface SenderHost {
  rotation: DeviceRotation;
  surroundings: Surroundings;
  /** Seconds the link lives, and its receipt after it. */
  ttlSeconds: number;
  receiptTtlSeconds: number;
  nowMs(): number;
  position(phase: string): DevicePosition | null;
  send(request: RelayRequest, answered: (answer: RelayAnswer | null) => void): void;
  after(delayMs: number, run: () => void): CallOff;
}

/** `stepUploader`, driven synchronously, with the key that the agent says and the agent hearing every answer. */
export class DeviceSender {
  readonly #host: SenderHost;
  readonly #jobs = new Map<string, { file: OutgoingFile; done: () => void }>();
  #state: UploadState = idleUploader(UPLOAD_LIMITS);
  #timer: CallOff | null = null;
  #timerAtMs = 0;

  constructor(host: SenderHost) {
    this.#host = host;
  }

  submit(file: OutgoingFile, again: boolean, done: () => void): void {
    this.#jobs.set(file.key, { file, done });
    this.#dispatch({
      type: 'submit',
      nowMs: this.#host.nowMs(),
      spec: {
        id: file.key,
        lane: 1,
        sizeBytes: file.bytes.byteLength,
        idempotencyKey: file.key,
        replayable: true,
        durable: false,
        resume: again ? { location: null, restarts: 0 } : null,
        whenRefused: 'wait',
        giveUpAfterMs: null,
      },
    });
  }

  credentialsChanged(): void {
    if (this.#state.jobs.length > 0) this.#dispatch({ type: 'credentials', nowMs: this.#host.nowMs() });
  }

  outageEnded(): void {
    this.#dispatch({ type: 'outage-ended', nowMs: this.#host.nowMs(), random: this.#host.surroundings.random() });
  }

  #dispatch(event: UploadEvent): void {
    const { state, effects } = stepUploader(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: UploadEffect): void {
    switch (effect.type) {
      case 'request':
        this.#request(effect, true);
        return;
      case 'wake':
        this.#wake(effect.atMs);
        return;
      case 'done': {
        const job = this.#jobs.get(effect.job);
        this.#jobs.delete(effect.job);
        job?.done();
        return;
      }
      case 'failed': {
        // No answer of a server drops a reading: the same file again, later, as a try that may have arrived before.
        const job = this.#jobs.get(effect.job);
        if (job === undefined) return;
        this.#host.after(60_000, () => this.submit(job.file, true, job.done));
        return;
      }
      default:
    }
  }

  #wake(atMs: number): void {
    if (this.#timer?.run && this.#timerAtMs === atMs) return;
    if (this.#timer !== null) this.#timer.run = null;
    this.#timerAtMs = atMs;
    const delayMs = Math.max(1, atMs - this.#host.nowMs());
    this.#timer = this.#host.after(delayMs, () => this.#dispatch({ type: 'tick', nowMs: this.#host.nowMs() }));
  }

  #request(effect: RequestEffect, mayRepeat: boolean): void {
    const { rotation } = this.#host;
    const file = this.#jobs.get(effect.job)?.file;
    const used = rotation.nextKey();
    if (file === undefined) return;
    if (used === null) {
      this.#lost(effect, 'key_missing', true);
      return;
    }
    const headers: Record<string, string> = deviceHeaders(used.key, this.#host.position(rotation.state.phase));
    headers['content-type'] = 'application/x-ndjson';
    headers['idempotency-key'] = effect.idempotencyKey;
    headers['x-filename'] = file.filename;
    headers['x-note'] = file.note;
    headers['x-ttl'] = String(this.#host.ttlSeconds);
    headers['x-receipt-ttl'] = String(this.#host.receiptTtlSeconds);
    this.#host.send({ method: 'POST', path: '/v1/upload', headers, body: file.bytes }, (answer) => {
      const stored = answer?.status === 201 && answer.headers['idempotency-replayed'] !== 'true';
      rotation.hear(answer, {
        usedFingerprint: used.fingerprint,
        request: stored ? 'commit' : 'other',
        registeredFingerprint: null,
      });
      if (answer === null) this.#lost(effect, 'no_answer', false);
      else if (answer.status === 401 && mayRepeat && this.#otherKey(used.fingerprint)) this.#request(effect, false);
      else this.#answered(effect, answer);
    });
  }

  #otherKey(used: string): boolean {
    const now = this.#host.rotation.nextKey();
    return now !== null && now.fingerprint !== used;
  }

  #lost(effect: RequestEffect, code: string, permanent: boolean): void {
    const { surroundings, nowMs } = this.#host;
    const when = { nowMs: nowMs(), random: surroundings.random() };
    this.#dispatch({ type: 'lost', request: effect.request, ...when, code, detail: '', permanent, sizeBytes: null });
  }

  #answered(effect: RequestEffect, answer: RelayAnswer): void {
    const { code, fingerprint } = problemOf(answer);
    const retryAfter = answer.headers['retry-after'];
    const limit = /r=(\d+);t=(\d+)/.exec(answer.headers['ratelimit'] ?? '');
    const event: AnswerEvent = {
      type: 'answer',
      request: effect.request,
      nowMs: this.#host.nowMs(),
      random: this.#host.surroundings.random(),
      status: answer.status,
      code,
      detail: '',
      fingerprint,
      retryAfterMs: retryAfter === undefined ? null : Number(retryAfter) * 1000,
      location: null,
      offsetBytes: null,
      link: answer.status < 300 ? linkOf(answer.json) : null,
      remaining: limit === null ? null : Number(limit[1]),
      resetMs: limit === null ? null : Number(limit[2]) * 1000,
      sent: { sizeBytes: effect.sizeBytes, sha256: null, changed: false },
    };
    this.#dispatch(event);
  }
}

function linkOf(json: RelayAnswer['json']): LinkAnswer | null {
  const id = json?.['id'];
  if (json === null || typeof id !== 'string') return null;
  const { url, size, sha256, expires_at: expiresAt, state } = json;
  return {
    id,
    url: typeof url === 'string' ? url : null,
    state: typeof state === 'string' ? state : 'ready',
    expiresAt: typeof expiresAt === 'string' ? expiresAt : null,
    sizeBytes: typeof size === 'number' ? size : null,
    sha256: typeof sha256 === 'string' ? sha256 : null,
  };
}

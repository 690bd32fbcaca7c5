import { randomInt } from 'node:crypto';
import type {
  JobFailure,
  JobSpec,
  LinkAnswer,
  SentReport,
  UploadEffect,
  UploadEvent,
  UploadLimits,
  UploadState,
} from '#sdk/core';
import { idleUploader, stepUploader } from '#sdk/core';
import { FuselinkError } from '../errors.ts';
import type { HttpRequest, Transport, WritePiece } from '../http/transport.ts';
import { readAnswer, reprDigestField } from './answer.ts';
import type { RequestEffect, TransferOptions } from './request.ts';
import { describeRequest } from './request.ts';
import type { Source } from './source.ts';

/** Bodies larger than this ask with `Expect: 100-continue` before they are sent. */
const ASK_FIRST_BYTES = 65_536;

/** What a job tells while it runs. All optional but the outcome. */
export interface JobHooks {
  remember?(location: string | null, restarts: number): Promise<void>;
  forget?(): Promise<void>;
  /** The server has it; what it is resumed from is forgotten only when this has resolved. */
  stored?(finished: Finished): Promise<void>;
  progress?(sentBytes: number, sizeBytes: number | null): void;
  retrying?(why: { code: string; detail: string; waitMs: number }): void;
  reopened?(reason: string): void;
}

export interface Finished {
  link: LinkAnswer;
  sizeBytes: number;
  sha256: string;
  /** An earlier run or try had already stored it. */
  resumed: boolean;
}

export interface UploaderOptions {
  base: URL;
  transport: Transport;
  /** Credential header value for the next request; asked anew each time, so that a rotated key is used at once. */
  authorization(): Promise<string>;
  /** Sent with every request besides: what a gateway adds to speak for a device. */
  headers?: Readonly<Record<string, string>>;
  limits: UploadLimits;
  credentialRefused?(code: string, fingerprint: string | null): void;
  /** Monotonic ms. */
  nowMs?: () => number;
  /** In [0, 1). */
  random?: () => number;
  /** Runs `action` after so many ms; returns how to stop it. */
  after?: (ms: number, action: () => void) => () => void;
}

function systemAfter(ms: number, action: () => void): () => void {
  const timer = setTimeout(action, ms);
  return () => clearTimeout(timer);
}

interface Running {
  spec: JobSpec;
  source: Source;
  options: TransferOptions;
  hooks: JobHooks;
  /** Effects of one job are performed one after another: what must be durable is, before the next goes out. */
  chain: Promise<void>;
  /** Settles when nobody reads the source: a request that broke may still have a read under way. */
  reading: Promise<void>;
  finished: Finished | null;
  resolve(finished: Finished): void;
  reject(error: FuselinkError): void;
}

/** An event of the machine, but for when it happened and for the chance it is given. */
type Happening = UploadEvent extends infer E ? (E extends UploadEvent ? Omit<E, 'nowMs' | 'random'> : never) : never;

const MANTISSA = 2 ** 32;

/** Performs what `stepUploader` asks for, with node:http, files and timers. Holds no rules of its own. */
export class Uploader {
  readonly #options: UploaderOptions;
  readonly #jobs = new Map<string, Running>();
  readonly #requests = new Map<number, AbortController>();
  readonly #nowMs: () => number;
  readonly #random: () => number;
  #state: UploadState;
  #stopTimer: (() => void) | null = null;
  #closed = false;

  constructor(options: UploaderOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => Math.round(performance.now()));
    this.#random = options.random ?? (() => randomInt(MANTISSA) / MANTISSA);
    this.#state = idleUploader(options.limits);
  }

  /** Send one source. Resolves with the link; rejects with a FuselinkError. The source is closed either way. */
  submit(
    spec: JobSpec,
    source: Source,
    options: TransferOptions,
    hooks: JobHooks,
    signal?: AbortSignal,
  ): Promise<Finished> {
    const cancel = () => this.dispatch({ type: 'cancel', job: spec.id });
    const outcome = new Promise<Finished>((resolve, reject) => {
      if (signal?.aborted || this.#closed) {
        reject(new FuselinkError('aborted', 'the caller stopped it', { resumable: true }));
        return;
      }
      this.#jobs.set(spec.id, {
        spec,
        source,
        options,
        hooks,
        chain: Promise.resolve(),
        reading: Promise.resolve(),
        finished: null,
        resolve,
        reject,
      });
      signal?.addEventListener('abort', cancel, { once: true });
      this.dispatch({ type: 'submit', spec });
    });
    return outcome.finally(async () => {
      signal?.removeEventListener('abort', cancel);
      this.#jobs.delete(spec.id);
      await source.close().catch(() => {});
    });
  }

  /** Feed one event to the machine; for what only the surroundings know (`credentials`, `outage-ended`). */
  dispatch(event: Happening): void {
    const now = { nowMs: this.#nowMs(), random: this.#random() };
    const { state, effects } = stepUploader(this.#state, { ...event, ...now } as UploadEvent);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  credentialsChanged(): void {
    this.dispatch({ type: 'credentials' });
  }

  outageEnded(): void {
    this.dispatch({ type: 'outage-ended' });
  }

  /** Stop every job as resumable. */
  close(): void {
    this.#closed = true;
    for (const id of [...this.#jobs.keys()]) this.dispatch({ type: 'cancel', job: id });
    this.#stopTimer?.();
  }

  #perform(effect: UploadEffect): void {
    switch (effect.type) {
      case 'abort':
        this.#requests.get(effect.request)?.abort();
        this.#requests.delete(effect.request);
        return;
      case 'wake':
        this.#wakeAt(effect.atMs);
        return;
      case 'credential-refused':
        this.#options.credentialRefused?.(effect.code, effect.fingerprint);
        return;
      case 'request':
        // Registered before its turn comes, so that an abort meets it wherever it stands.
        this.#requests.set(effect.request, new AbortController());
        break;
      default:
    }
    const running = this.#jobs.get(effect.job);
    if (running === undefined) return;
    running.chain = running.chain
      .then(() => this.#performForJob(running, effect))
      .catch((error: unknown) => {
        this.#sourceFailed(running, error);
      });
  }

  async #performForJob(running: Running, effect: Extract<UploadEffect, { job: string }>): Promise<void> {
    const { hooks } = running;
    switch (effect.type) {
      case 'remember':
        await hooks.remember?.(effect.location, effect.restarts);
        return;
      case 'forget':
        await hooks.forget?.();
        if (running.finished !== null) running.resolve(running.finished);
        return;
      case 'reopen':
        hooks.reopened?.(effect.reason);
        await running.reading;
        await running.source.reopen();
        return;
      case 'retrying':
        hooks.retrying?.({ code: effect.code, detail: effect.detail, waitMs: effect.atMs - this.#nowMs() });
        return;
      case 'done':
        running.finished = {
          link: effect.link,
          sizeBytes: effect.link.sizeBytes ?? running.source.sizeBytes ?? 0,
          sha256: await running.source.digest(),
          resumed: effect.replayed,
        };
        await hooks.stored?.(running.finished);
        if (!running.spec.durable) running.resolve(running.finished);
        return;
      case 'failed':
        running.reject(failureError(effect.failure));
        return;
      case 'request':
        // Not awaited: a later effect of the same job (a cancel's failure) must not wait for the network.
        void this.#request(running, effect);
    }
  }

  #wakeAt(atMs: number): void {
    this.#stopTimer?.();
    // Never early: a timer that fires in the same millisecond would only ask again.
    const waitMs = Math.min(Math.max(0, atMs - this.#nowMs()) + 1, 2_147_483_647);
    const after = this.#options.after ?? systemAfter;
    this.#stopTimer = after(waitMs, () => this.dispatch({ type: 'tick' }));
  }

  #sourceFailed(running: Running, error: unknown): void {
    if (running.finished !== null) {
      // The transfer exists; what failed is noting that it does.
      running.reject(
        error instanceof FuselinkError ? error : new FuselinkError('state_unwritable', String(error), { cause: error }),
      );
      return;
    }
    const known = error instanceof FuselinkError ? error : null;
    const detail = error instanceof Error ? error.message : String(error);
    const code = known?.code ?? 'source_unreadable';
    this.dispatch({ type: 'source-failed', job: running.spec.id, code, detail });
  }

  async #request(running: Running, effect: RequestEffect): Promise<void> {
    const controller = this.#requests.get(effect.request);
    if (controller === undefined || controller.signal.aborted) return;
    const found: { sizeBytes: number | null } = { sizeBytes: null };
    try {
      const request = await this.#describe(running, effect, found);
      if (request === null || controller.signal.aborted) return;
      const answer = await this.#options.transport.exchange({ ...request, signal: controller.signal });
      const facts = readAnswer(effect.kind, answer);
      const sent = await this.#report(running, effect, facts.link !== null, found.sizeBytes);
      if (controller.signal.aborted) return;
      this.dispatch({ type: 'answer', request: effect.request, ...facts, sent });
    } catch (error) {
      if (!controller.signal.aborted) this.#failed(running, effect, error, found.sizeBytes);
    } finally {
      this.#requests.delete(effect.request);
    }
  }

  #failed(running: Running, effect: RequestEffect, error: unknown, sizeBytes: number | null): void {
    const known = error instanceof FuselinkError ? error : null;
    if (known !== null && known.code === 'source_changed') {
      const job = running.spec.id;
      void running.source.changedTo().then(
        (now) => this.dispatch({ type: 'source-changed', job, sizeBytes: now ?? 0 }),
        (cause: unknown) => this.#sourceFailed(running, cause),
      );
      return;
    }
    if (known === null || known.code.startsWith('source_')) {
      this.#sourceFailed(running, error);
      return;
    }
    const permanent = known.code === 'tls_untrusted' || known.code === 'proxy_refused' || known.code === 'key_missing';
    const what = { code: known.code, detail: known.message, permanent, sizeBytes };
    this.dispatch({ type: 'lost', request: effect.request, ...what });
  }

  /** The request to make, or null when the source turned out to have changed. */
  async #describe(
    running: Running,
    effect: RequestEffect,
    found: { sizeBytes: number | null },
  ): Promise<HttpRequest | null> {
    const { source } = running;
    const described = describeRequest(effect, this.#options.base, running.options);
    const headers: Record<string, string> = {
      ...this.#options.headers,
      ...described.headers,
      Authorization: await this.#options.authorization(),
    };
    const request: HttpRequest = { method: described.method, url: described.url, headers };
    if (effect.kind !== 'one-shot' && effect.kind !== 'patch') return request;
    if (effect.kind === 'one-shot') {
      const body = await source.whole();
      headers['Repr-Digest'] = reprDigestField(await source.digest());
      return { ...request, body };
    }
    const changed = await source.changedTo();
    if (changed !== null) {
      const job = running.spec.id;
      this.dispatch({ type: 'source-changed', job, sizeBytes: changed });
      return null;
    }
    const ready = await source.prepare(effect.offsetBytes, effect.bytesMax);
    found.sizeBytes = ready.sizeBytes;
    const most = this.#options.limits.fileBytesMax;
    if (effect.offsetBytes + ready.bytes > most) {
      throw new FuselinkError('source_too_large', `a file may have at most ${most} bytes, and this stream has more`);
    }
    if (running.spec.sizeBytes === null && ready.sizeBytes !== null) headers['Upload-Length'] = String(ready.sizeBytes);
    headers['Content-Length'] = String(ready.bytes);
    const total = ready.sizeBytes ?? running.spec.sizeBytes;
    let sentBytes = effect.offsetBytes;
    running.hooks.progress?.(sentBytes, total);
    const body = async (write: WritePiece) => {
      await running.reading;
      const done = source.send(effect.offsetBytes, ready.bytes, async (piece) => {
        await write(piece);
        sentBytes += piece.byteLength;
        running.hooks.progress?.(sentBytes, total);
      });
      running.reading = done.catch(() => {});
      await done;
    };
    return { ...request, body, expectContinue: ready.bytes > ASK_FIRST_BYTES };
  }

  /** What was read from the source, for the machine to compare with what the server says it has. */
  async #report(
    running: Running,
    effect: RequestEffect,
    finished: boolean,
    sizeBytes: number | null,
  ): Promise<SentReport | null> {
    if (effect.kind === 'create' || effect.kind === 'remove') return null;
    const { source } = running;
    if (!finished) return { sizeBytes: sizeBytes ?? source.sizeBytes, sha256: null, changed: false };
    await running.reading;
    // One request's bytes were taken at one moment; only what went out over time can be torn by a change.
    const now = effect.kind === 'one-shot' ? null : await source.changedTo();
    if (now !== null) return { sizeBytes: now, sha256: null, changed: true };
    return { sizeBytes: source.sizeBytes, sha256: await source.digest(), changed: false };
  }
}

function failureError(failure: JobFailure): FuselinkError {
  const code = failure.code === 'source_too_large' ? 'payload_too_large' : failure.code;
  const detail = failure.detail === '' ? `the transfer failed: ${code}` : failure.detail;
  return new FuselinkError(code, detail, { status: failure.status, resumable: failure.resumable });
}

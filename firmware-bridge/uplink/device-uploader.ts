import { randomBytes } from 'node:crypto';
import { type LinkAnswer, UPLOAD_LIMITS, type UploadLimits } from '#sdk/core';
import {
  type AnswerFacts,
  bufferSource,
  describeRequest,
  type JobHooks,
  type RequestEffect,
  ROTATING,
  readAnswer,
  reprDigestField,
  type Source,
  type TransferOptions,
  type Transport,
  Uploader,
} from '#sdk/node';
import { HEADER_ON_BEHALF } from '../relay/relay.ts';
import type { BatchFile } from './batch-files.ts';

export interface DeviceUploaderOptions {
  base: URL;
  transport: Transport;
  gatewayKey(): string;
  /** Where the gateway holds the device's own key: sends under that, and not for the device. */
  asDevice?: Transport | null;
  device: string;
  ttlSeconds: number;
  recipient: string | null;
  limits?: Partial<UploadLimits>;
  retrying(code: string, detail: string): void;
}

export interface UploadDescription {
  filename: string;
  contentType: string;
  note: string | null;
  ttlSeconds?: number | undefined;
  recipient?: string | null | undefined;
}

/** One file on its way under a device's name. */
export interface DeviceUpload extends UploadDescription {
  source: Source;
  idempotencyKey: string;
  /** Whether it has to go resumably, however small: because part of it may have been sent on ahead. */
  resumably?: boolean;
  /** Where an earlier run stood; null: it has not begun. */
  resume: { location: string | null; restarts: number } | null;
  hooks?: JobHooks;
  /** Aborted: it is given back as `aborted`, to be sent again under the same key. */
  signal?: AbortSignal;
}

/** One request about an upload of which not all is here yet. */
export interface AheadRequest {
  kind: 'create' | 'probe' | 'patch' | 'remove';
  about: UploadDescription;
  idempotencyKey: string;
  location: string | null;
  offset: number;
  sizeBytes: number;
  /** Of the whole. */
  sha256: string;
  bytes?: Uint8Array;
  signal: AbortSignal;
}

export interface AheadAnswer extends AnswerFacts {
  /** The transfer it was, where it has ended. */
  ended: string | null;
}

/** No file is small enough for one request. */
const NEVER_ONE_SHOT = -1;

/**
 * The SDK's uploader, speaking for one device under the gateway's key: its budget of 60 a minute, retries, resumption and
 * every rule are the SDK's. One for each device, because each is charged to its own limit.
 */
export class DeviceUploader {
  readonly #options: DeviceUploaderOptions;
  readonly #uploader: Uploader;
  #resumable: Uploader | null = null;

  constructor(options: DeviceUploaderOptions) {
    this.#options = options;
    this.#uploader = this.#make({});
  }

  #make(limits: Partial<UploadLimits>): Uploader {
    const { base, ...options } = this.#options;
    return new Uploader({
      base,
      transport: this.#transport,
      authorization: async () => this.#authorization,
      headers: this.#headers,
      limits: { ...UPLOAD_LIMITS, ...options.limits, ...limits },
    });
  }

  get #transport(): Transport {
    return this.#options.asDevice ?? this.#options.transport;
  }

  get #authorization(): string {
    return this.#isItself ? ROTATING : `Bearer ${this.#options.gatewayKey()}`;
  }

  get #headers(): Record<string, string> {
    return this.#isItself ? {} : { [HEADER_ON_BEHALF]: this.#options.device };
  }

  get #isItself(): boolean {
    return (this.#options.asDevice ?? null) !== null;
  }

  /** Rejects where there was no answer in time; every answer is one, a refusal included. */
  async ask(request: AheadRequest): Promise<AheadAnswer> {
    const { kind, about, idempotencyKey, location, offset, sizeBytes, sha256, bytes, signal } = request;
    const effect: RequestEffect = {
      ...{ type: 'request', request: 0, job: '', transferId: null, bytesMax: null },
      ...{ kind, idempotencyKey, location, offsetBytes: offset, sizeBytes },
    };
    const { method, url, headers } = describeRequest(effect, this.#options.base, this.#described(about));
    const answer = await this.#transport.exchange({
      method,
      url,
      headers: {
        ...this.#headers,
        ...headers,
        ...(kind === 'create' ? { 'Repr-Digest': reprDigestField(sha256) } : {}),
        Authorization: this.#authorization,
      },
      body: bytes ?? null,
      signal,
    });
    const ended = answer.headers['fuselink-id'];
    return { ...readAnswer(kind, answer), ended: typeof ended === 'string' ? ended : null };
  }

  #described(about: UploadDescription): TransferOptions {
    const { filename, contentType, note } = about;
    const { ttlSeconds, recipient } = this.#options;
    return {
      ...{ filename, contentType, note, burn: null },
      ttlSeconds: about.ttlSeconds ?? ttlSeconds,
      recipient: about.recipient ?? recipient,
    };
  }

  /** A batch of readings; `resumed` where an earlier run may have sent it. */
  send(
    file: BatchFile,
    resumed: boolean,
    { signal, retrying }: { signal?: AbortSignal; retrying?(waitMs: number): void } = {},
  ): Promise<LinkAnswer> {
    const { filename, contentType, note, idempotencyKey } = file;
    const resume = resumed ? { location: null, restarts: 0 } : null;
    const told = this.#options.retrying;
    const hooks: JobHooks = {
      retrying: ({ code, waitMs }) => {
        told(code, '');
        retrying?.(waitMs);
      },
    };
    const upload = { source: bufferSource(file.bytes), filename, contentType, note, idempotencyKey, resume, hooks };
    return this.sendFrom({ ...upload, ...(signal === undefined ? {} : { signal }) });
  }

  /**
   * Sends for as long as it takes. Rejects with a FuselinkError where only a person can mend it (to be tried again
   * later), or with `aborted` when it is closed.
   */
  async sendFrom(upload: DeviceUpload): Promise<LinkAnswer> {
    const { source, idempotencyKey, resume, hooks = {} } = upload;
    const { retrying } = this.#options;
    if (upload.resumably === true) this.#resumable ??= this.#make({ oneShotBytesMax: NEVER_ONE_SHOT });
    const uploader = upload.resumably === true ? this.#resumable : this.#uploader;
    const finished = await (uploader as Uploader).submit(
      {
        id: randomBytes(8).toString('hex'),
        lane: 1,
        sizeBytes: source.sizeBytes,
        idempotencyKey,
        replayable: true,
        durable: hooks.remember !== undefined,
        resume,
        whenRefused: 'wait',
        giveUpAfterMs: null,
      },
      source,
      this.#described(upload),
      { retrying: ({ code }) => retrying(code, ''), ...hooks },
      upload.signal,
    );
    return finished.link;
  }

  close(): void {
    this.#uploader.close();
    this.#resumable?.close();
  }
}

import { randomBytes } from 'node:crypto';
import { type LinkAnswer, UPLOAD_LIMITS, type UploadLimits } from '#sdk/core';
import { bufferSource, type JobHooks, ROTATING, type Source, type Transport, Uploader } from '#sdk/node';
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

/** One file on its way under a device's name. */
export interface DeviceUpload {
  source: Source;
  filename: string;
  contentType: string;
  note: string | null;
  idempotencyKey: string;
  /** Where an earlier run stood; null: it has not begun. */
  resume: { location: string | null; restarts: number } | null;
  ttlSeconds?: number | undefined;
  recipient?: string | null | undefined;
  hooks?: JobHooks;
}

/**
 * The SDK's uploader, speaking for one device under the gateway's key: its budget of 60 a minute, retries, resumption and
 * every rule are the SDK's. One for each device, because each is charged to its own limit.
 */
export class DeviceUploader {
  readonly #options: DeviceUploaderOptions;
  readonly #uploader: Uploader;

  constructor(options: DeviceUploaderOptions) {
    this.#options = options;
    const asDevice = options.asDevice ?? null;
    this.#uploader = new Uploader({
      base: options.base,
      transport: asDevice ?? options.transport,
      authorization: async () => (asDevice === null ? `Bearer ${options.gatewayKey()}` : ROTATING),
      headers: asDevice === null ? { [HEADER_ON_BEHALF]: options.device } : {},
      limits: { ...UPLOAD_LIMITS, ...options.limits },
    });
  }

  /** A batch of readings; `resumed` where an earlier run may have sent it. */
  send(file: BatchFile, resumed: boolean): Promise<LinkAnswer> {
    const { filename, contentType, note, idempotencyKey } = file;
    const resume = resumed ? { location: null, restarts: 0 } : null;
    return this.sendFrom({ source: bufferSource(file.bytes), filename, contentType, note, idempotencyKey, resume });
  }

  /**
   * Sends for as long as it takes. Rejects with a FuselinkError where only a person can mend it (to be tried again
   * later), or with `aborted` when it is closed.
   */
  async sendFrom(upload: DeviceUpload): Promise<LinkAnswer> {
    const { source, filename, contentType, note, idempotencyKey, resume, hooks = {} } = upload;
    const { ttlSeconds, recipient, retrying } = this.#options;
    const finished = await this.#uploader.submit(
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
      {
        filename,
        contentType,
        note,
        burn: null,
        ttlSeconds: upload.ttlSeconds ?? ttlSeconds,
        recipient: upload.recipient ?? recipient,
      },
      { retrying: ({ code }) => retrying(code, ''), ...hooks },
    );
    return finished.link;
  }

  close(): void {
    void this.#uploader.close();
  }
}

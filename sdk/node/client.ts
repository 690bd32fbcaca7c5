import { EventEmitter } from 'node:events';
import { hostname } from 'node:os';
import { PARALLEL_CEILING, UPLOAD_LIMITS } from '#sdk/core';
import type {
  ClientEvents,
  ClientOptions,
  FuselinkClient,
  ReadingsOptions,
  ReadingValue,
  ReceiveOptions,
  ReceiveResult,
  RecordOptions,
  RecordResult,
  SendOptions,
  SendResult,
  SendSource,
} from './api.ts';
import { FuselinkError, optionInvalid } from './errors.ts';
import type { Transport, TransportOptions } from './http/transport.ts';
import { createTransport } from './http/transport.ts';
import { createMetrics } from './metrics.ts';
import type { Recorder } from './readings/recorder.ts';
import { checkReadings } from './readings/settings.ts';
import { defaultStateFolder } from './record-store.ts';
import type { BegunRotation } from './rotation/index.ts';
import type { SealingContext } from './seal/client-sealing.ts';
import { createSender, GIVE_UP_AFTER_MS_DEFAULT } from './send/sender.ts';
import type { JobHooks } from './send/uploader.ts';
import { Uploader } from './send/uploader.ts';

/** The server's address, checked. Throws `option_invalid` without repeating user or password of a URL. */
export function parseServerUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw optionInvalid('url is expected as http://host[:port] or https://host[:port]');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw optionInvalid(`url is expected with http or https, got ${url.protocol}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw optionInvalid('url is expected without user and password: the API key goes into `key`');
  }
  return url;
}

export function transportOptions(options: Omit<ClientOptions, 'url'>): TransportOptions {
  const { ca, tlsCert, tlsKey, proxy, silenceMs } = options;
  return { ca, cert: tlsCert, key: tlsKey, proxy, silenceMs };
}

/** A key as a header value. What cannot stand in a header is refused here, where no message repeats it. */
function bearer(key: unknown): string {
  if (typeof key !== 'string' || !/^[\x21-\x7e]+$/.test(key)) {
    const what = key
      ? 'the API key has characters no key has (a space or a line end copied with it?)'
      : 'an API key is needed to send, and there is none';
    throw new FuselinkError('key_missing', what);
  }
  return `Bearer ${key}`;
}

/** A rotation that has just begun may finish its step before the client closes; what is left goes on at the next start. */
const ROTATION_WAIT_MS = 3000;

/** The key for the next request, asked anew each time: it may have been changed meanwhile. */
async function keyOf(options: ClientOptions): Promise<string | undefined> {
  return typeof options.key === 'function' ? await options.key() : options.key;
}

/** The device's key, driven from its store, and what stands for it in a request. */
type LoadedRotation = BegunRotation & { authorization: string };

/** What needs a key waits until its rotation is open. */
function throughRotation(transport: Transport, rotation: Promise<BegunRotation>): Transport {
  return {
    exchange: async (request) => (await rotation).transport.exchange(request),
    open: async (request) => (await rotation).transport.open(request),
    close: () => transport.close(),
  };
}

function codeOf(error: unknown): string {
  return error instanceof FuselinkError ? error.code : 'failed';
}

class Client extends EventEmitter<ClientEvents> implements FuselinkClient {
  readonly #transport: Transport;
  readonly #uploader: Uploader;
  readonly #sender: ReturnType<typeof createSender>;
  readonly #stateFolder: string | null;
  readonly #closing = new AbortController();
  readonly #base: URL;
  readonly #authorization: () => Promise<string>;
  /** Drives the device's key, where it comes from a store. */
  readonly #rotation: Promise<LoadedRotation> | null;
  readonly #metrics = createMetrics();
  readonly #device: string;
  readonly #readings: ReadingsOptions;
  #recorder: Recorder | null = null;
  #opening: Promise<Recorder> | null = null;

  constructor(options: ClientOptions) {
    super();
    const base = parseServerUrl(options.url);
    this.#base = base;
    const transport = createTransport(transportOptions(options));
    if (options.key !== undefined && options.store !== undefined) {
      throw optionInvalid('expected key or store, got both');
    }
    const rotation = options.store === undefined ? null : this.#beginRotation(options, options.store, transport);
    this.#rotation = rotation;
    this.#transport = rotation === null ? transport : throughRotation(transport, rotation);
    this.#authorization = async () =>
      rotation === null ? bearer(await keyOf(options)) : (await rotation).authorization;
    this.#stateFolder = options.stateFolder === undefined ? defaultStateFolder() : options.stateFolder;
    const oneShotBytesMax = Math.min(
      options.oneShotBytesMax ?? UPLOAD_LIMITS.oneShotBytesMax,
      UPLOAD_LIMITS.oneShotBytesMax,
    );
    const parallelMax = Math.max(1, Math.min(options.parallel ?? UPLOAD_LIMITS.parallelMax, PARALLEL_CEILING));
    this.#uploader = new Uploader({
      base,
      transport: this.#transport,
      authorization: this.#authorization,
      limits: { ...UPLOAD_LIMITS, oneShotBytesMax, parallelMax },
      credentialRefused: (code, fingerprint) => this.emit('credentialRefused', { code, fingerprint }),
    });
    this.#sender = createSender({
      uploader: this.#uploader,
      server: base.href,
      device: options.device,
      stateFolder: this.#stateFolder,
      oneShotBytesMax,
      warn: (code, detail) => this.emit('warning', { code, detail }),
      hooksFor: (filename, given) => this.#hooks(filename, given),
      openSealed: async (from, given) => {
        const { openSealedSend } = await import('./seal/client-sealing.ts');
        const { giveUpAfterMs = GIVE_UP_AFTER_MS_DEFAULT } = given;
        return openSealedSend(from, given, this.#sealing(), { giveUpAfterMs, oneShotBytesMax });
      },
    });
    this.#device = options.device ?? hostname();
    this.#readings = options.readings ?? {};
    this.#count();
    if (options.afterOutage) this.#uploader.outageEnded();
    if (options.readings === undefined) return;
    checkReadings(options.readings);
    this.#openRecorder().catch((error: Error) => {
      // Whoever records or flushes is told as well; what only waits on the disk has nobody else to say so.
      if (!this.#closing.signal.aborted) this.emit('warning', { code: codeOf(error), detail: error.message });
    });
  }

  async #beginRotation(options: ClientOptions, store: string, transport: Transport): Promise<LoadedRotation> {
    const { beginRotation, ROTATING } = await import('./rotation/index.ts');
    const begun = beginRotation({
      store,
      base: this.#base,
      transport,
      trustPlainHttp: options.trustPlainHttp === true,
      changed: ({ phase, base, candidate }) => {
        this.#uploader.credentialsChanged();
        this.emit('rotation', { phase, generation: (candidate ?? base)?.generation ?? null });
      },
      warn: (code, detail) => this.emit('warning', { code, detail }),
    });
    return { ...begun, authorization: ROTATING };
  }

  /** Counters follow the events, so that what is told and what is counted cannot differ. */
  #count(): void {
    const metrics = this.#metrics;
    const counted = (sizeBytes: number) => {
      metrics.add('fuselink_transfers');
      metrics.add('fuselink_sent_bytes', {}, sizeBytes);
    };
    this.on('sent', ({ sizeBytes }) => counted(sizeBytes));
    this.on('batch', ({ sizeBytes, lane, readings }) => {
      counted(sizeBytes);
      metrics.add('fuselink_readings_sent', { lane: String(lane) }, readings);
    });
    this.on('retrying', ({ code }) => metrics.add('fuselink_retries', { code }));
    this.on('restarted', ({ reason }) => metrics.add('fuselink_restarts', { reason }));
    this.on('credentialRefused', ({ code }) => metrics.add('fuselink_credential_refusals', { code }));
    this.on('dropped', ({ lane, reason, readings }) => {
      metrics.add('fuselink_readings_dropped', { lane: String(lane), reason }, readings);
    });
  }

  /** One at a time; what could not be opened is tried again by the next that needs it. */
  #openRecorder(): Promise<Recorder> {
    this.#opening ??= this.#loadRecorder().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #loadRecorder(): Promise<Recorder> {
    const { openRecorder } = await import('./readings/recorder.ts');
    this.#assertOpen();
    this.#recorder ??= openRecorder({
      readings: this.#readings,
      stateFolder: this.#stateFolder,
      device: this.#device,
      uploader: this.#uploader,
      hooksFor: (filename) => this.#hooks(filename, {}),
      warn: (code, detail) => this.emit('warning', { code, detail }),
      dropped: (lane, reason, readings) => this.emit('dropped', { lane, reason, readings }),
      sent: (batch) => this.emit('batch', batch),
    });
    return this.#recorder;
  }

  async record(reading: ReadingValue, options: RecordOptions = {}): Promise<RecordResult> {
    this.#assertOpen();
    const recorder = this.#recorder ?? (await this.#openRecorder());
    const outcome = await recorder.record(reading, options);
    if (outcome.kept) this.#metrics.add('fuselink_readings', { lane: String(outcome.lane) });
    return outcome;
  }

  async flush(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.#assertOpen();
    const recorder = this.#recorder ?? (await this.#openRecorder());
    return recorder.flush(options.signal);
  }

  credentialsChanged(): void {
    this.#uploader.credentialsChanged();
  }

  metrics(): string {
    return this.#metrics.text(this.#recorder?.gauges() ?? []);
  }

  #sealing(): SealingContext {
    return {
      base: this.#base,
      transport: this.#transport,
      authorization: this.#authorization,
      stateFolder: this.#stateFolder,
      warn: (code, detail) => this.emit('warning', { code, detail }),
    };
  }

  #hooks(filename: string, given: SendOptions): JobHooks {
    return {
      progress: (bytes, sizeBytes) => {
        given.onProgress?.({ bytes, sizeBytes });
        this.emit('progress', { filename, bytes, sizeBytes });
      },
      retrying: (retry) => this.emit('retrying', { filename, ...retry }),
      reopened: (reason) => this.emit('restarted', { filename, reason }),
    };
  }

  #failed(error: unknown): never {
    this.#metrics.add('fuselink_failures', { code: codeOf(error) });
    throw error;
  }

  #assertOpen(): void {
    if (this.#closing.signal.aborted) throw new FuselinkError('closed', 'this client was closed');
  }

  async send(source: SendSource, options: SendOptions = {}): Promise<SendResult> {
    this.#assertOpen();
    const result = await this.#sender.send(source, options).catch((error: unknown) => this.#failed(error));
    this.emit('sent', result);
    return result;
  }

  async receive(url: string, options: ReceiveOptions = {}): Promise<ReceiveResult> {
    this.#assertOpen();
    try {
      const { readLink } = await import('./receive/read-link.ts');
      const [transport, stateFolder, closing] = [this.#transport, this.#stateFolder, this.#closing.signal];
      const result = await readLink({ transport, stateFolder, sealing: this.#sealing(), closing }, url, options);
      this.#metrics.add('fuselink_received_bytes', {}, result.sizeBytes);
      return result;
    } catch (error) {
      return this.#failed(error);
    }
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    // The recorder stops taking before the uploader gives back what is under way: nothing is taken again.
    await this.#opening?.catch(() => {});
    const recorderClosed = this.#recorder?.close();
    this.#uploader.close();
    await recorderClosed;
    await (await this.#rotation)?.close(ROTATION_WAIT_MS);
    this.#transport.close();
  }
}

/** A client of one server. Throws FuselinkError `option_invalid` for options that cannot be meant. */
export function createClient(options: ClientOptions): FuselinkClient {
  return new Client(options);
}

/** Read a link without a client: no server address and no key are needed, the link is all. */
export async function receive(
  url: string,
  options: ReceiveOptions & Omit<ClientOptions, 'url' | 'key' | 'store' | 'device' | 'readings'> = {},
): Promise<ReceiveResult> {
  const transport = createTransport(transportOptions(options));
  const stateFolder = options.stateFolder === undefined ? defaultStateFolder() : options.stateFolder;
  try {
    const { readLink } = await import('./receive/read-link.ts');
    return await readLink({ transport, stateFolder, sealing: null }, url, options);
  } finally {
    transport.close();
  }
}

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
import { FuselinkError } from './errors.ts';
import type { Transport, TransportOptions } from './http/transport.ts';
import { createTransport } from './http/transport.ts';
import { createMetrics } from './metrics.ts';
import type { Recorder } from './readings/recorder.ts';
import { openRecorder } from './readings/recorder.ts';
import { receiveLink } from './receive/receive.ts';
import { defaultStateFolder } from './record-store.ts';
import type { BegunRotation } from './rotation/index.ts';
import { beginRotation, ROTATING } from './rotation/index.ts';
import type { Directory } from './seal/directory.ts';
import { createDirectory } from './seal/directory.ts';
import { loadSeal } from './seal/library.ts';
import { pinStore } from './seal/pins.ts';
import { openSealed, SEALED_NAME } from './seal/send-sealed.ts';
import { createUnsealing, fragmentOf, type Unsealing } from './seal/unsealing.ts';
import { createSender, GIVE_UP_AFTER_MS_DEFAULT } from './send/sender.ts';
import type { JobHooks } from './send/uploader.ts';
import { Uploader } from './send/uploader.ts';

/** The server's address, checked. Throws `option_invalid` without repeating user or password of a URL. */
export function parseServerUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new FuselinkError('option_invalid', 'url is expected as http://host[:port] or https://host[:port]');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new FuselinkError('option_invalid', `url is expected with http or https, got ${url.protocol}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new FuselinkError('option_invalid', 'url is expected without user and password: the API key goes into `key`');
  }
  return url;
}

export function transportOptions(options: Omit<ClientOptions, 'url'>): TransportOptions {
  const out: TransportOptions = {};
  if (options.ca !== undefined) out.ca = options.ca;
  if (options.tlsCert !== undefined) out.cert = options.tlsCert;
  if (options.tlsKey !== undefined) out.key = options.tlsKey;
  if (options.proxy !== undefined) out.proxy = options.proxy;
  if (options.silenceMs !== undefined) out.silenceMs = options.silenceMs;
  return out;
}

/** A key as a header value. What cannot stand in a header is refused here, where no message repeats it. */
function bearer(key: unknown): string {
  if (typeof key !== 'string' || key === '') {
    throw new FuselinkError('key_missing', 'an API key is needed to send, and there is none');
  }
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw new FuselinkError(
      'key_missing',
      'the API key has characters no key has (a space or a line end copied with it?)',
    );
  }
  return `Bearer ${key}`;
}

/** A rotation that has just begun may finish its step before the client closes; what is left goes on at the next start. */
const ROTATION_WAIT_MS = 3000;

/** The key for the next request, asked anew each time: it may have been changed meanwhile. */
async function keyOf(options: ClientOptions): Promise<string | undefined> {
  return typeof options.key === 'function' ? await options.key() : options.key;
}

/** What opens a read: for links with a key behind their `#`, and wherever the caller gave keys. Else null. */
async function unsealingOf(
  url: string,
  options: ReceiveOptions,
  directory: Directory | null,
): Promise<Unsealing | null> {
  const fragment = fragmentOf(url);
  if (fragment === null && options.unseal === undefined) return null;
  return createUnsealing(await loadSeal(), {
    fragment,
    options: options.unseal ?? {},
    directory,
    signal: options.signal,
  });
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
  readonly #rotation: BegunRotation | null;
  readonly #metrics = createMetrics();
  readonly #device: string;
  readonly #readings: ReadingsOptions;
  #recorder: Recorder | null = null;

  constructor(options: ClientOptions) {
    super();
    const base = parseServerUrl(options.url);
    this.#base = base;
    const transport = createTransport(transportOptions(options));
    this.#rotation = options.store === undefined ? null : this.#beginRotation(options, options.store, transport);
    this.#transport = this.#rotation?.transport ?? transport;
    this.#authorization = async () => (options.store === undefined ? bearer(await keyOf(options)) : ROTATING);
    if (options.key !== undefined && options.store !== undefined) {
      throw new FuselinkError('option_invalid', 'expected key or store, got both');
    }
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
        const sealing = { ...given, seal: given.seal as NonNullable<SendOptions['seal']> };
        const { source, name } = await openSealed(from, sealing, {
          seal: await loadSeal(),
          directory: await this.#directory(),
          giveUpAfterMs: given.giveUpAfterMs === undefined ? GIVE_UP_AFTER_MS_DEFAULT : given.giveUpAfterMs,
          oneShotBytesMax,
        });
        const sealed = { name, fragment: () => source.fragment() };
        return { source, name: SEALED_NAME, file: null, sealed };
      },
    });
    this.#device = options.device ?? hostname();
    this.#readings = options.readings ?? {};
    this.#count();
    if (options.afterOutage) this.#uploader.outageEnded();
    if (options.readings !== undefined) this.#openRecorder();
  }

  #beginRotation(options: ClientOptions, store: string, transport: Transport): BegunRotation {
    return beginRotation({
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

  #openRecorder(): Recorder {
    this.#recorder ??= openRecorder({
      readings: this.#readings,
      stateFolder: this.#stateFolder,
      device: this.#device,
      uploader: this.#uploader,
      hooksFor: (filename) => this.#hooks(filename, {}),
      warn: (code, detail) => this.emit('warning', { code, detail }),
      dropped: (lane, reason, readings) => this.emit('dropped', { lane, reason, readings }),
      sent: (file, { link, sizeBytes, sha256 }, lane) => {
        const { id, url, state, expiresAt } = link;
        const { filename, readings, note: manifest } = file;
        this.emit('batch', {
          id,
          url,
          state,
          expiresAt,
          filename,
          sizeBytes,
          sha256,
          sealed: false,
          lane,
          readings,
          manifest,
        });
      },
    });
    return this.#recorder;
  }

  async record(reading: ReadingValue, options: RecordOptions = {}): Promise<RecordResult> {
    this.#assertOpen();
    const outcome = await this.#openRecorder().record(reading, options);
    if (outcome.kept) this.#metrics.add('fuselink_readings', { lane: String(outcome.lane) });
    return outcome;
  }

  async flush(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.#assertOpen();
    const flushed = this.#openRecorder().flush();
    const { signal } = options;
    if (signal === undefined) return flushed;
    const stopped = () => new FuselinkError('aborted', 'the caller stopped waiting; readings go on being sent');
    let stop = () => {};
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(stopped());
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    });
    // Whichever loses the race must not count as unhandled.
    flushed.catch(() => {});
    return Promise.race([flushed, aborted]).finally(() => signal.removeEventListener('abort', stop));
  }

  credentialsChanged(): void {
    this.#uploader.credentialsChanged();
  }

  metrics(): string {
    return this.#metrics.text(this.#recorder?.gauges() ?? []);
  }

  async #directory(): Promise<Directory> {
    return createDirectory({
      seal: await loadSeal(),
      base: this.#base,
      transport: this.#transport,
      authorization: this.#authorization,
      pins: this.#stateFolder === null ? null : pinStore(this.#stateFolder, this.#base.href),
      warn: (code, detail) => this.emit('warning', { code, detail }),
    });
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
    const code = error instanceof FuselinkError ? error.code : 'failed';
    this.#metrics.add('fuselink_failures', { code });
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
    const stop = new AbortController();
    const onAbort = () => stop.abort();
    const watched = [this.#closing.signal, ...(options.signal === undefined ? [] : [options.signal])];
    for (const signal of watched) signal.addEventListener('abort', onAbort);
    if (options.signal?.aborted) stop.abort();
    try {
      const directory = options.unseal === undefined ? null : await this.#directory();
      const unsealing = await unsealingOf(url, options, directory);
      const settings = { ...options, unsealing, signal: stop.signal, stateFolder: this.#stateFolder };
      const result = await receiveLink(this.#transport, url, settings);
      this.#metrics.add('fuselink_received_bytes', {}, result.sizeBytes);
      return result;
    } catch (error) {
      return this.#failed(error);
    } finally {
      for (const signal of watched) signal.removeEventListener('abort', onAbort);
    }
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    // The recorder stops taking before the uploader gives back what is under way: nothing is taken again.
    const recorderClosed = this.#recorder?.close();
    this.#uploader.close();
    await recorderClosed;
    await this.#rotation?.close(ROTATION_WAIT_MS);
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
    const unsealing = await unsealingOf(url, options, null);
    return await receiveLink(transport, url, { ...options, unsealing, stateFolder });
  } finally {
    transport.close();
  }
}

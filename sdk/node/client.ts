import { EventEmitter } from 'node:events';
import { PARALLEL_CEILING, UPLOAD_LIMITS } from '#sdk/core';
import type {
  ClientEvents,
  ClientOptions,
  FuselinkClient,
  ReceiveOptions,
  ReceiveResult,
  SendOptions,
  SendResult,
  SendSource,
} from './api.ts';
import { FuselinkError } from './errors.ts';
import type { Transport, TransportOptions } from './http/transport.ts';
import { createTransport } from './http/transport.ts';
import { receiveLink } from './receive/receive.ts';
import { defaultStateFolder } from './record-store.ts';
import { createSender } from './send/sender.ts';
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

class Client extends EventEmitter<ClientEvents> implements FuselinkClient {
  readonly #transport: Transport;
  readonly #uploader: Uploader;
  readonly #sender: ReturnType<typeof createSender>;
  readonly #stateFolder: string | null;
  readonly #closing = new AbortController();

  constructor(options: ClientOptions) {
    super();
    const base = parseServerUrl(options.url);
    this.#stateFolder = options.stateFolder === undefined ? defaultStateFolder() : options.stateFolder;
    const oneShotBytesMax = Math.min(
      options.oneShotBytesMax ?? UPLOAD_LIMITS.oneShotBytesMax,
      UPLOAD_LIMITS.oneShotBytesMax,
    );
    const parallelMax = Math.max(1, Math.min(options.parallel ?? UPLOAD_LIMITS.parallelMax, PARALLEL_CEILING));
    this.#transport = createTransport(transportOptions(options));
    this.#uploader = new Uploader({
      base,
      transport: this.#transport,
      authorization: async () => bearer(typeof options.key === 'function' ? await options.key() : options.key),
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
    });
    if (options.afterOutage) this.#uploader.outageEnded();
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

  #assertOpen(): void {
    if (this.#closing.signal.aborted) throw new FuselinkError('closed', 'this client was closed');
  }

  async send(source: SendSource, options: SendOptions = {}): Promise<SendResult> {
    this.#assertOpen();
    const result = await this.#sender.send(source, options);
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
      return await receiveLink(this.#transport, url, {
        ...options,
        signal: stop.signal,
        stateFolder: this.#stateFolder,
      });
    } finally {
      for (const signal of watched) signal.removeEventListener('abort', onAbort);
    }
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#uploader.close();
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
  options: ReceiveOptions & Omit<ClientOptions, 'url' | 'key' | 'device'> = {},
): Promise<ReceiveResult> {
  const transport = createTransport(transportOptions(options));
  const stateFolder = options.stateFolder === undefined ? defaultStateFolder() : options.stateFolder;
  try {
    return await receiveLink(transport, url, { ...options, stateFolder });
  } finally {
    transport.close();
  }
}

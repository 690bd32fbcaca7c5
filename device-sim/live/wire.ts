import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { rootCertificates } from 'node:tls';
import type { RelayAnswer, RelayRequest } from '#server';
import { type Meter, verbOf } from './meter.ts';

/** What is done to one request on its way, as a bad network would. */
export type Cut = 'in-request' | 'in-answer' | 'silence';

/** An answer with its body as it came. */
export interface LiveAnswer extends RelayAnswer {
  bytes: Buffer;
}

/** How one request is sent otherwise than plainly. */
export interface Sending {
  cut?: Cut;
  timeoutMs?: number;
}

export interface WireOptions {
  /** Where the server is; a path in it stands before every other. */
  url: URL;
  /** PEM certificates to trust beside those that Node brings. */
  ca?: string;
  /** Open connections at most; further requests wait for one. */
  connectionsMax: number;
  /** A request without an answer for so long is given up. */
  timeoutMs: number;
  meter: Meter;
}

/** An answer larger than this is not one of this API. */
const ANSWER_BYTES_MAX = 8_388_608;

/** Real HTTP with kept-alive connections. Every request ends in exactly one call of `answered`, null where no answer came. */
export class Wire {
  readonly #options: WireOptions;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #open = new Set<ClientRequest>();
  readonly #prefix: string;
  /** Why the last request without an answer had none: for messages, without anything secret. */
  lastFault = '';
  #closed = false;

  constructor(options: WireOptions) {
    this.#options = options;
    const { url, ca, connectionsMax } = options;
    const common = { keepAlive: true, maxSockets: connectionsMax, maxFreeSockets: connectionsMax };
    this.#agent =
      url.protocol === 'https:'
        ? new HttpsAgent({ ...common, ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }) })
        : new HttpAgent(common);
    this.#prefix = url.pathname.replace(/\/+$/, '');
  }

  send(request: RelayRequest, answered: (answer: LiveAnswer | null) => void, how: Sending = {}): void {
    if (this.#closed) {
      answered(null);
      return;
    }
    const { url, meter } = this.#options;
    const { cut = null, timeoutMs = this.#options.timeoutMs } = how;
    const verb = verbOf(request);
    const began = performance.now();
    let over = false;
    const end = (answer: LiveAnswer | null) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      this.#open.delete(outgoing);
      meter.ended(verb, answer?.status ?? null, performance.now() - began);
      answered(answer);
    };
    const { body } = request;
    const outgoing = (url.protocol === 'https:' ? httpsRequest : httpRequest)({
      protocol: url.protocol,
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port,
      path: this.#prefix + request.path,
      method: request.method,
      headers: body === null ? request.headers : { ...request.headers, 'content-length': body.byteLength },
      agent: this.#agent,
    });
    meter.sent(request);
    this.#open.add(outgoing);
    const timer = setTimeout(() => outgoing.destroy(new Error(`no answer in ${timeoutMs / 1000} s`)), timeoutMs);
    outgoing.on('error', (error) => {
      this.lastFault = error.message;
      end(null);
    });
    outgoing.on('close', () => end(null));
    outgoing.on('response', (response) => {
      if (cut === 'in-answer') outgoing.destroy();
      else this.#read(response, end);
    });
    if (body === null || cut === null || cut === 'in-answer') outgoing.end(body ?? undefined);
    else {
      // Half of it leaves; then the connection dies, or says nothing any more.
      outgoing.write(body.subarray(0, body.byteLength >> 1), () => {
        if (cut === 'in-request') outgoing.destroy();
      });
    }
  }

  ask(request: RelayRequest): Promise<LiveAnswer | null> {
    return new Promise((resolve) => this.send(request, resolve));
  }

  /** Cuts everything that is under way; later requests get no answer. */
  close(): void {
    this.#closed = true;
    for (const outgoing of this.#open) outgoing.destroy();
    this.#agent.destroy();
  }

  #read(response: IncomingMessage, end: (answer: LiveAnswer | null) => void): void {
    const parts: Buffer[] = [];
    let bytes = 0;
    response.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes > ANSWER_BYTES_MAX) response.destroy();
      else parts.push(part);
    });
    response.on('error', () => end(null));
    response.on('end', () => {
      if (!response.complete) return;
      const body = Buffer.concat(parts);
      const headers = response.headers as Record<string, string>;
      end({ status: response.statusCode ?? 0, headers, json: jsonOf(headers['content-type'], body), bytes: body });
    });
  }
}

function jsonOf(type: string | undefined, body: Buffer): RelayAnswer['json'] {
  if (type === undefined || !/\bjson\b/.test(type)) return null;
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

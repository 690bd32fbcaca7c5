import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import { type ClientRequest, request as nodeRequest } from 'node:http';
import { createContext, runInContext } from 'node:vm';
import { crc32 } from 'node:zlib';
import { type CutFlash, isPowerCut } from '#sdk/core';
import { GLOBALS_LACKING, MEMBERS_LACKING } from './lacks.ts';

/** Where the two pages begin in the emulated address space. */
export const FLASH_ADDRESS = 0x60000;

/** What becomes of one request of the device. */
export type Fate =
  | 'arrives'
  /** Refused at once: the interpreter throws. */
  | 'refused'
  /** Never reaches the server, and no answer comes. */
  | 'lost'
  /** The server does it, and its answer never comes. */
  | 'answer-lost';

export interface RealmOptions {
  /** The built module. */
  bundle: string;
  flash: CutFlash;
  fate?: (request: { method: string; path: string }) => Fate;
}

/** What a callback of the device's program is given, and what the client does. */
export interface RealmClient {
  send(
    data: unknown,
    said: Record<string, string>,
    done?: (error: string | null, told: Record<string, string>) => void,
  ): boolean;
  rotation(): string;
}

interface Timer {
  id: number;
  atMs: number;
  run: (...values: unknown[]) => void;
  values: unknown[];
}

/**
 * `node:vm` reduced to what Espruino has, with its quirks: status codes are text, typed arrays are stringified, CTR ignores
 * its IV, `E.hwRand` begins with the same seed, refused connections throw, callbacks come twice, answers end with
 * `close`. Time is virtual: it passes when no request is under way. A power cut stops everything for good.
 */
export class Realm {
  readonly #options: RealmOptions;
  readonly #context: Record<string, unknown>;
  readonly #timers: Timer[] = [];
  #timerId = 0;
  #underWay = 0;
  #seed = 1;
  nowMs = 0;
  /** The power was cut. */
  dark = false;
  /** What escaped from the device's program, other than a cut. */
  readonly faults: unknown[] = [];
  requests = 0;
  client: RealmClient | null = null;

  constructor(options: RealmOptions) {
    this.#options = options;
    this.#context = createContext({});
    this.#reduce();
    this.#install();
  }

  #reduce(): void {
    const lines = GLOBALS_LACKING.map((name) => `delete globalThis.${name};`);
    for (const [place, names] of Object.entries(MEMBERS_LACKING)) {
      for (const name of names) lines.push(`delete (${place}).${name};`);
    }
    // A typed array's slice is a plain array there, and an error has no name.
    lines.push(`{ const view = Object.getPrototypeOf(Uint8Array.prototype); view.slice = Array.prototype.slice; }`);
    lines.push('delete Error.prototype.name; delete globalThis.globalThis;');
    // The list has to be worked off before the names it uses are gone.
    runInContext(
      lines.sort((a, b) => Number(a.includes('globalThis.')) - Number(b.includes('globalThis.'))).join('\n'),
      this.#context,
    );
  }

  #install(): void {
    const own = (name: string) => runInContext(name, this.#context) as never;
    const [Bytes, Buffer8] = [own('Uint8Array') as Uint8ArrayConstructor, own('ArrayBuffer') as ArrayBufferConstructor];
    const bytesOf = (value: unknown) =>
      typeof value === 'string' ? Buffer.from(value, 'latin1') : Buffer.from(value as Uint8Array);
    const inside = (bytes: Uint8Array) => {
      const copy = new Bytes(new Buffer8(bytes.length));
      copy.set(bytes);
      return copy;
    };
    const modules: Record<string, unknown> = {
      crypto: {
        SHA256: (value: unknown) => inside(createHash('sha256').update(bytesOf(value)).digest()).buffer,
        AES: {
          encrypt: (data: unknown, key: unknown, options: AesOptions) =>
            inside(aes(true, bytesOf(data), bytesOf(key), options)).buffer,
          decrypt: (data: unknown, key: unknown, options: AesOptions) =>
            inside(aes(false, bytesOf(data), bytesOf(key), options)).buffer,
        },
      },
      Flash: this.#flashModule(inside),
      http: { request: (asked: Asked, answered: (response: unknown) => void) => this.#request(asked, answered) },
    };
    Object.assign(this.#context, {
      E: {
        CRC32: (bytes: Uint8Array) => crc32(bytesOf(bytes)),
        toUint8Array: (...parts: unknown[]) => inside(Buffer.concat(parts.map(bytesOf))),
        toString: (bytes: unknown) => bytesOf(bytes).toString('latin1'),
        hwRand: () => {
          this.#seed = (Math.imul(this.#seed, 1103515245) + 12345) & 0x7fffffff;
          return this.#seed;
        },
      },
      getTime: () => 946_684_800 + this.nowMs / 1000 + (this.requests % 1000) / 1e6,
      btoa: (text: string) => Buffer.from(text, 'latin1').toString('base64'),
      atob: (text: string) => Buffer.from(text, 'base64').toString('latin1'),
      setTimeout: (run: Timer['run'], ms: number, ...values: unknown[]) => {
        this.#timers.push({ id: ++this.#timerId, atMs: this.nowMs + ms, run, values });
        return this.#timerId;
      },
      clearTimeout: (...ids: unknown[]) => {
        if (ids.length > 0 && ids[0] === undefined) throw new Error('clearTimeout(undefined) not allowed');
        const at = this.#timers.findIndex(({ id }) => id === ids[0]);
        if (at >= 0) this.#timers.splice(at, 1);
      },
      require: (name: string) => {
        if (modules[name] === undefined) throw new Error(`Module ${name} not found`);
        return modules[name];
      },
      exports: {},
    });
    // The same sequence after every boot.
    runInContext(
      '{ let seed = 1; Math.random = () => (seed = (seed * 16807) % 2147483647) / 2147483647; }',
      this.#context,
    );
  }

  #flashModule(inside: (bytes: Uint8Array) => Uint8Array) {
    const { flash } = this.#options;
    return {
      getFree: () => [{ addr: FLASH_ADDRESS, length: flash.bytes.length }],
      getPage: (address: number) => ({
        addr: address - ((address - FLASH_ADDRESS) % flash.pageBytes),
        length: flash.pageBytes,
      }),
      erasePage: (address: number) => flash.erase((address - FLASH_ADDRESS) / flash.pageBytes),
      write: (words: Uint8Array, address: number) => flash.program(address - FLASH_ADDRESS, Uint8Array.from(words)),
      read: (length: number, address: number) => {
        if (flash.power.dark) throw Object.assign(new Error('no power'), { code: 'power_cut' });
        return inside(flash.read(address - FLASH_ADDRESS, length));
      },
    };
  }

  /** The module's text as the interpreter runs it: in a function with `exports` and `require`. */
  #module(): { connect(options: unknown): RealmClient } {
    runInContext(`(function (exports, require) {${this.#options.bundle}\n})(exports, require);`, this.#context);
    return this.#context['exports'] as { connect(options: unknown): RealmClient };
  }

  connect(options: Record<string, unknown>): void {
    this.#guarded(() => {
      this.client = this.#module().connect(options);
    });
  }

  /** A program as it lies on the board, beside the module stored as `fuselink`. What it prints comes to `print`. */
  run(program: string, print: (...values: unknown[]) => void): void {
    this.#guarded(() => {
      const own = this.#module();
      const native = this.#context['require'] as (name: string) => unknown;
      const require = (name: string) => (name === 'fuselink' ? own : native(name));
      const started = runInContext(`(function (require, print) {${program}\n})`, this.#context) as Program;
      started(require, print);
    });
  }

  /** Lets time pass until `done` says so, or until `msMax` of it have. False: it never did. */
  async until(done: () => boolean | Promise<boolean>, msMax = 7_200_000): Promise<boolean> {
    const end = this.nowMs + msMax;
    for (;;) {
      if (this.dark) return false;
      if (this.#underWay > 0) await new Promise((resolve) => setImmediate(resolve));
      else if (await done()) return true;
      else if (!this.#tick(end)) return false;
    }
  }

  #tick(end: number): boolean {
    this.#timers.sort((a, b) => a.atMs - b.atMs || a.id - b.id);
    const timer = this.#timers[0];
    if (timer === undefined || timer.atMs > end) return false;
    this.#timers.shift();
    this.nowMs = Math.max(this.nowMs, timer.atMs);
    this.#guarded(() => timer.run(...timer.values));
    return true;
  }

  #guarded(run: () => void): void {
    if (this.dark) return;
    try {
      run();
    } catch (error) {
      if (isPowerCut(error)) this.dark = true;
      else this.faults.push(error);
    }
    if (this.#options.flash.power.dark) this.dark = true;
    if (this.dark) this.#timers.length = 0;
  }

  #request(asked: Asked, answered: (response: unknown) => void) {
    const fate = this.#options.fate?.({ method: asked.method, path: asked.path }) ?? 'arrives';
    if (fate === 'refused') throw new Error('Unable to create socket');
    this.requests++;
    const handlers = heardBy();
    const lengths = Object.keys(asked.headers).filter((name) => name.toLowerCase() === 'content-length');
    return {
      on: handlers.on,
      end: (body: unknown) => {
        if (fate === 'lost') return;
        const text = typeof body === 'string' ? body : String(body ?? '');
        if (lengths.length === 0 && asked.headers['Transfer-Encoding'] !== 'chunked')
          throw new Error('a body without a length');
        this.#underWay++;
        const sent = this.#send(asked, text, (response) => this.#answer(response, fate, answered));
        sent.on('error', () => {
          this.#underWay--;
          // Twice, as it comes there.
          for (let i = 0; i < 2; i++) this.#guarded(() => handlers.say('error', { code: -7 }));
        });
      },
    };
  }

  #send(asked: Asked, text: string, done: (response: RawResponse) => void): ClientRequest {
    const { host, port, method, path, headers } = asked;
    const sent = nodeRequest({ host, port, method, path, headers: { ...headers, Connection: 'close' }, agent: false });
    sent.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => {
        this.#underWay--;
        done({
          status: response.statusCode ?? 0,
          fields: response.rawHeaders,
          body: Buffer.concat(pieces).toString('latin1'),
        });
      });
    });
    sent.end(Buffer.from(text, 'latin1'));
    return sent;
  }

  #answer(response: RawResponse, fate: Fate, answered: (response: unknown) => void): void {
    if (fate === 'answer-lost') return;
    const headers: Record<string, string> = {};
    for (let i = 0; i < response.fields.length; i += 2)
      headers[response.fields[i] as string] = response.fields[i + 1] as string;
    const handlers = heardBy();
    const say = (event: string, value: unknown) => this.#guarded(() => handlers.say(event, value));
    this.#guarded(() =>
      answered({
        statusCode: String(response.status),
        headers,
        on: handlers.on,
      }),
    );
    // A few bytes at a time, and the end twice.
    for (let at = 0; at < response.body.length; at += 211) say('data', response.body.slice(at, at + 211));
    say('close', false);
    say('close', false);
  }
}

type Program = (require: (name: string) => unknown, print: (...values: unknown[]) => void) => void;

function heardBy() {
  const handlers = new Map<string, ((value: unknown) => void)[]>();
  return {
    on(event: string, heard: (value: unknown) => void): void {
      handlers.set(event, [...(handlers.get(event) ?? []), heard]);
    },
    say(event: string, value: unknown): void {
      for (const heard of handlers.get(event) ?? []) heard(value);
    },
  };
}

interface Asked {
  host: string;
  port: number;
  method: string;
  path: string;
  headers: Record<string, string>;
}

interface RawResponse {
  status: number;
  fields: string[];
  body: string;
}

interface AesOptions {
  mode: string;
  iv?: unknown;
}

function aes(encrypts: boolean, data: Buffer, key: Buffer, { mode, iv }: AesOptions): Buffer {
  const name = `aes-${key.length * 8}-${mode.toLowerCase()}`;
  // CTR takes no notice of its IV.
  const start =
    mode === 'ECB' ? null : mode === 'CTR' ? Buffer.alloc(16) : Buffer.from((iv as Uint8Array) ?? Buffer.alloc(16));
  const cipher = encrypts ? createCipheriv(name, key, start) : createDecipheriv(name, key, start);
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(data), cipher.final()]);
}

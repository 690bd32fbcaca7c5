import { createDecipheriv, createHash } from 'node:crypto';
import { request as nodeRequest } from 'node:http';
import { crc32 } from 'node:zlib';
import { getQuickJS, type QuickJSContext } from 'quickjs-emscripten';
import type { CutFlash } from '#sdk/core';

/** What the module sees of Espruino, in QuickJS's own words; everything real is asked of the host, as text. */
const PRELUDE = `
const hex = (bytes) => { let text = ''; for (const byte of bytes) text += (byte + 256).toString(16).slice(1); return text; };
const unhex = (text) => { const bytes = new Uint8Array(text.length / 2); for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(text.substr(2 * i, 2), 16); return bytes; };
const ascii = (bytes) => { let text = ''; for (const byte of bytes) text += String.fromCharCode(byte); return text; };
const bytesOf = (value) => typeof value === 'string' ? Uint8Array.from(value, (c) => c.charCodeAt(0)) : new Uint8Array(value);
const timers = []; let ids = 0; let nowMs = 0; const underWay = {};
globalThis.E = {
  CRC32: (bytes) => Number(host('crc32', hex(bytes))),
  toUint8Array: (...parts) => unhex(parts.map((part) => hex(bytesOf(part))).join('')),
  toString: (bytes) => ascii(bytesOf(bytes)),
  hwRand: () => 12345,
};
globalThis.getTime = () => 1e9 + nowMs / 1000;
globalThis.btoa = (text) => host('btoa', hex(bytesOf(text)));
globalThis.setTimeout = (run, ms, ...values) => { timers.push({ id: ++ids, atMs: nowMs + ms, run, values }); return ids; };
globalThis.clearTimeout = (id) => { const at = timers.findIndex((one) => one.id === id); if (at >= 0) timers.splice(at, 1); };
globalThis.tick = () => {
  timers.sort((a, b) => a.atMs - b.atMs);
  const timer = timers.shift();
  if (timer === undefined) return -1;
  nowMs = Math.max(nowMs, timer.atMs);
  timer.run(...timer.values);
  return nowMs;
};
globalThis.answer = (id, status, headers, body) => {
  const heard = {};
  underWay[id]({ statusCode: String(status), headers, on: (event, run) => { heard[event] = run; } });
  heard.data(ascii(unhex(body)));
  heard.close(false);
};
const modules = {
  crypto: {
    SHA256: (value) => unhex(host('sha256', hex(bytesOf(value)))).buffer,
    AES: { decrypt: (data, key) => unhex(host('aes', hex(data), hex(key))).buffer },
  },
  Flash: {
    getFree: () => [{ addr: 4096, length: Number(host('flash-bytes')) }],
    getPage: (address) => ({ addr: address, length: Number(host('page-bytes')) }),
    erasePage: (address) => void host('erase', String(address - 4096)),
    write: (words, address) => void host('write', String(address - 4096), hex(words)),
    read: (length, address) => unhex(host('read', String(address - 4096), String(length))),
  },
  http: {
    request: (asked, answered) => ({
      on: () => {},
      end: (body) => { const id = ++ids; underWay[id] = answered; host('request', String(id), JSON.stringify(asked), hex(bytesOf(body))); },
    }),
  },
};
globalThis.exports = {};
globalThis.require = (name) => modules[name];
`;

/** The built module in QuickJS: an engine that shares nothing with V8 but the language. */
export class QuickJsDevice {
  readonly #context: QuickJSContext;
  readonly #flash: CutFlash;
  #underWay = 0;

  private constructor(context: QuickJSContext, flash: CutFlash) {
    this.#context = context;
    this.#flash = flash;
  }

  static async boot(bundle: string, flash: CutFlash, options: Record<string, unknown>): Promise<QuickJsDevice> {
    const context = (await getQuickJS()).newContext();
    const device = new QuickJsDevice(context, flash);
    const host = context.newFunction('host', (...handles) =>
      context.newString(device.#host(handles.map((handle) => context.getString(handle)))),
    );
    context.setProp(context.global, 'host', host);
    host.dispose();
    device.eval(PRELUDE);
    device.eval(
      `(function (exports, require) {${bundle}\n})(exports, require); globalThis.ended = []; globalThis.client = exports.connect(${JSON.stringify(options)});`,
    );
    return device;
  }

  /** The value of an expression as JSON; throws what it throws. */
  eval(code: string): unknown {
    const result = this.#context.evalCode(code);
    const value = this.#context.unwrapResult(result);
    const dumped = this.#context.dump(value) as unknown;
    value.dispose();
    return dumped;
  }

  /** Lets virtual time pass until `done`; false when nothing is left to wait for. */
  async until(done: () => boolean | Promise<boolean>, stepsMax = 5_000): Promise<boolean> {
    for (let step = 0; step < stepsMax; step++) {
      while (this.#underWay > 0) await new Promise((resolve) => setImmediate(resolve));
      if (await done()) return true;
      if (this.eval('tick()') === -1) return false;
    }
    return false;
  }

  close(): void {
    this.#context.dispose();
  }

  #host([operation, first = '', second = '', third = '']: string[]): string {
    const bytes = Buffer.from(first, 'hex');
    switch (operation) {
      case 'crc32':
        return String(crc32(bytes));
      case 'btoa':
        return bytes.toString('base64');
      case 'sha256':
        return createHash('sha256').update(bytes).digest('hex');
      case 'aes': {
        const cipher = createDecipheriv('aes-256-ecb', Buffer.from(second, 'hex'), null).setAutoPadding(false);
        return cipher.update(first, 'hex', 'hex');
      }
      case 'flash-bytes':
        return String(this.#flash.bytes.length);
      case 'page-bytes':
        return String(this.#flash.pageBytes);
      case 'erase':
        this.#flash.erase(Number(first) / this.#flash.pageBytes);
        return '';
      case 'write':
        this.#flash.program(Number(first), Uint8Array.from(Buffer.from(second, 'hex')));
        return '';
      case 'read':
        return Buffer.from(this.#flash.read(Number(first), Number(second))).toString('hex');
      case 'request':
        this.#request(first, JSON.parse(second) as Asked, Buffer.from(third, 'hex'));
        return '';
      default:
        throw new Error(`the host knows no ${operation}`);
    }
  }

  #request(id: string, { host, port, method, path, headers }: Asked, body: Buffer): void {
    this.#underWay++;
    const sent = nodeRequest({ host, port, method, path, headers: { ...headers, Connection: 'close' }, agent: false });
    sent.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => {
        this.#underWay--;
        const came = Buffer.concat(pieces).toString('hex');
        this.eval(`answer(${id}, ${response.statusCode}, ${JSON.stringify(response.headers)}, '${came}')`);
      });
    });
    sent.end(body);
  }
}

interface Asked {
  host: string;
  port: number;
  method: string;
  path: string;
  headers: Record<string, string>;
}

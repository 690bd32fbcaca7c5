import { ChildProcess } from 'node:child_process';
import { type IncomingMessage, OutgoingMessage, Server, ServerResponse } from 'node:http';
import { Server as SecureServer } from 'node:https';
import { nodeRandom } from '../../../server/adapters/node/random.ts';
import type { SecretScan } from './secret-scan.ts';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** Larger answers are files or lists. */
const ANSWER_BYTES_MAX = 65_536;
const CREDENTIAL_HEADERS = ['authorization', 'x-api-key', 'cookie', 'set-cookie', 'idempotency-key'];
/** Fields of JSON that hold secrets, in any of the APIs; `url` and `totp_uri` have theirs inside. */
const SECRET_FIELDS =
  /^(key|api_?key|token|twofactortoken|setup_secret|recovery_secret|secret|recovery_codes?|claim|password)$/i;

/**
 * Makes the scan see every secret this process draws, sends, is sent or answers, whoever does it, and every line that it
 * and its children write to standard error. Nothing is taken from anybody: each hook passes on what came.
 */
export function harvestInto(scan: SecretScan): void {
  watchRandom(scan);
  watchServers(scan);
  watchClients(scan);
  watchLogs(scan);
}

/** The server's keys, tokens, cookies (32 bytes) and authenticator seeds (20). */
function watchRandom(scan: SecretScan): void {
  const draw = nodeRandom.bytes;
  nodeRandom.bytes = (count) => {
    const bytes = draw(count);
    if (count === 20) scan.add(base32(bytes), 'a seed drawn');
    if (count === 32) {
      const buffer = Buffer.from(bytes);
      scan.add(buffer.toString('hex'), '32 bytes drawn');
      scan.add(buffer.toString('base64url'), '32 bytes drawn');
    }
    return bytes;
  };
}

function base32(bytes: Uint8Array): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? []).map((five) => BASE32.charAt(Number.parseInt(five, 2))).join('');
}

function watchServers(scan: SecretScan): void {
  for (const { prototype } of [Server, SecureServer]) {
    const { emit } = prototype;
    prototype.emit = function (this: Server, event: string, ...args: unknown[]) {
      if (event === 'request') harvestRequest(scan, args[0] as IncomingMessage);
      return Reflect.apply(emit, this, [event, ...args]) as boolean;
    };
  }
  const { end } = ServerResponse.prototype;
  ServerResponse.prototype.end = function (this: ServerResponse, ...args: unknown[]) {
    harvestText(scan, args[0]);
    return Reflect.apply(end, this, args) as ServerResponse;
  } as typeof end;
}

function watchClients(scan: SecretScan): void {
  const { setHeader } = OutgoingMessage.prototype;
  OutgoingMessage.prototype.setHeader = function (this: OutgoingMessage, name, value) {
    harvestHeader(scan, name, value);
    return setHeader.call(this, name, value);
  };
  const plain = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    for (const [name, value] of new Headers(init?.headers)) harvestHeader(scan, name, value);
    harvestPath(scan, String(input instanceof Request ? input.url : input));
    const answer = await plain(input, init);
    const { headers } = answer;
    if (/json/.test(headers.get('content-type') ?? '') && Number(headers.get('content-length')) <= ANSWER_BYTES_MAX) {
      const text = answer.text.bind(answer);
      const json = answer.json.bind(answer);
      Object.assign(answer, {
        async text() {
          const said = await text();
          harvestText(scan, said);
          return said;
        },
        async json() {
          const said: unknown = await json();
          harvestJson(scan, said);
          return said;
        },
      });
    }
    for (const [name, value] of headers) harvestHeader(scan, name, value);
    return answer;
  };
}

function watchLogs(scan: SecretScan): void {
  const write = process.stderr.write;
  process.stderr.write = (...args: unknown[]) => {
    scan.hear(String(args[0]));
    return Reflect.apply(write, process.stderr, args) as boolean;
  };
  const prototype = ChildProcess.prototype as unknown as { spawn(options: unknown): number };
  const { spawn } = prototype;
  prototype.spawn = function (this: ChildProcess, options: unknown) {
    const outcome = spawn.call(this, options);
    const { stderr } = this;
    if (stderr !== null && stderr !== undefined) {
      // Listening would set the stream flowing before whoever started the child listens.
      const push = stderr.push.bind(stderr);
      stderr.push = (piece: Buffer | null, encoding?: BufferEncoding) => {
        if (piece !== null) scan.hear(piece.toString());
        return push(piece, encoding);
      };
    }
    return outcome;
  };
}

function harvestRequest(scan: SecretScan, req: IncomingMessage): void {
  for (const name of CREDENTIAL_HEADERS) harvestHeader(scan, name, req.headers[name]);
  harvestPath(scan, req.url ?? '');
}

/** A link's token, and the secret in the Location of a resumable upload. */
function harvestPath(scan: SecretScan, path: string): void {
  const found = /\/(?:get|v1\/uploads)\/([\w-]{40,})/.exec(path)?.[1];
  if (found !== undefined) scan.add(found, 'a link');
  const fragment = /#(k1\.[\w-]{40,})/.exec(path)?.[1];
  if (fragment !== undefined) scan.add(fragment, 'the key of a fragment');
}

function harvestHeader(scan: SecretScan, name: string, value: unknown): void {
  const known = name.toLowerCase();
  if (known === 'location') harvestPath(scan, String(value));
  if (!CREDENTIAL_HEADERS.includes(known)) return;
  for (const one of Array.isArray(value) ? value : [value]) {
    if (typeof one !== 'string') continue;
    const text = known.endsWith('cookie') ? (one.split(';')[0] ?? '').replace(/^[^=]*=/, '') : one.replace(/^\w+ /, '');
    scan.add(text.trim(), known);
  }
}

function harvestText(scan: SecretScan, said: unknown): void {
  if (typeof said !== 'string' || said.length > ANSWER_BYTES_MAX || !/^\s*[[{]/.test(said)) return;
  try {
    harvestJson(scan, JSON.parse(said));
  } catch {
    // Not JSON after all: nothing of ours.
  }
}

function harvestJson(scan: SecretScan, value: unknown, name = ''): void {
  if (Array.isArray(value)) for (const item of value) harvestJson(scan, item, name);
  else if (typeof value === 'object' && value !== null)
    for (const [field, item] of Object.entries(value)) harvestJson(scan, item, field);
  else if (typeof value === 'string') {
    if (SECRET_FIELDS.test(name)) scan.add(value, name);
    if (name === 'url') harvestPath(scan, value);
    const seed = name === 'totp_uri' ? /secret=([A-Z2-7]+)/.exec(value)?.[1] : undefined;
    if (seed !== undefined) scan.add(seed, 'a seed');
  }
}

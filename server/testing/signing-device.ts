import { createDecipheriv, createHash, createHmac } from 'node:crypto';
import type { Called, Kit } from './server-kit.ts';

/** What one signed request says, and what of it a test puts wrong. */
export interface ToSign {
  method?: string;
  /** Path and query. */
  target?: string;
  body?: string | Uint8Array;
  headers?: Record<string, string>;
  /** Instead of the one the last answer brought. */
  nonce?: string;
  keyId?: string;
  /** Put behind the other parameters, as text: `;created=1`. */
  params?: string;
  /** Left out of what is covered. */
  uncovered?: string;
}

export interface SignedFields {
  method: string;
  target: string;
  body: string | Uint8Array;
  headers: Record<string, string>;
}

const hmac = (key: Uint8Array, text: string) => createHmac('sha256', key).update(text, 'latin1').digest();

/** A device that signs by sdk/SIGNED.md and node:crypto alone, for the server's own tests. */
export class SigningDevice {
  readonly #server: Pick<Kit, 'call'>;
  readonly id: string;
  readonly fingerprint: string;
  readonly #secret: Uint8Array;
  #sequence = 0;
  nonce = '';

  constructor(server: Pick<Kit, 'call'>, device: { id: string; key: string }) {
    const key = Buffer.from(device.key, 'hex');
    this.#server = server;
    this.id = device.id;
    this.fingerprint = createHash('sha256').update('fuselink fp').update(key).digest('hex').slice(0, 16);
    this.#secret = hmac(key, 'fuselink device v1');
  }

  sign(what: ToSign): SignedFields {
    const { method = 'POST', target = '/v1/upload', body = '', nonce = this.nonce } = what;
    const fields: Record<string, string> = {
      'content-digest': `sha-256=:${createHash('sha256').update(body).digest('base64')}:`,
      ...what.headers,
      'fuselink-device': `boot=1;seq=${++this.#sequence};tag=0011aabb`,
    };
    const [path = '', query] = target.split('?');
    const values: Record<string, string> = { '@method': method, '@path': path, '@query': `?${query ?? ''}`, ...fields };
    if (what.uncovered !== undefined) delete values[what.uncovered];
    const list = Object.keys(values).map((name) => `"${name}"`);
    const keyId = what.keyId ?? `${this.id}:${this.fingerprint}`;
    const params = `(${list.join(' ')});keyid="${keyId}";alg="hmac-sha256";nonce="${nonce}"${what.params ?? ''}`;
    const base = `${Object.entries(values)
      .map(([name, value]) => `"${name}": ${value}\n`)
      .join('')}"@signature-params": ${params}`;
    const mac = hmac(hmac(this.#secret, 'fuselink sign v1'), base).toString('base64');
    return {
      method,
      target,
      body,
      headers: { ...fields, 'signature-input': `fl=${params}`, signature: `fl=:${mac}:` },
    };
  }

  /** Sends what was signed, perhaps altered on the way; keeps the nonce that comes back. */
  async send({ method, target, body, headers }: SignedFields): Promise<Called> {
    const bodiless = method === 'GET' || method === 'HEAD';
    // As bytes: a text would be sent with a Content-Type of its own.
    const bytes = new Uint8Array(Buffer.from(body));
    const answer = await this.#server.call(method, target, { headers, ...(bodiless ? {} : { body: bytes }) });
    this.nonce = answer.headers.get('fuselink-nonce') ?? this.nonce;
    return answer;
  }

  /** Signs with a nonce it has, or fetches the first. */
  async call(what: ToSign): Promise<Called> {
    if (this.nonce === '') await this.send(this.sign({ method: 'GET', target: '/v1/device' }));
    return this.send(this.sign(what));
  }

  /** Whether the answer is the server's own, bound to this request and whole. */
  vouchedFor(request: SignedFields, answer: Called): boolean {
    const input = answer.headers.get('signature-input') ?? '';
    if (!input.startsWith('fl=("signature";req;key="fl" "@status" "content-digest"')) return false;
    const list = input.slice(4, input.indexOf(')')).split(' ');
    const digest = `sha-256=:${createHash('sha256').update(answer.text).digest('base64')}:`;
    const known: Record<string, string> = {
      '"signature";req;key="fl"': request.headers['signature']?.slice(3) ?? '',
      '"@status"': String(answer.status),
      '"content-digest"': digest,
    };
    const valueFor = (name: string) => known[name] ?? answer.headers.get(name.slice(1, -1)) ?? '';
    const base = `${list.map((name) => `${name}: ${valueFor(name)}\n`).join('')}"@signature-params": ${input.slice(3)}`;
    const mac = hmac(hmac(this.#secret, 'fuselink answer v1'), base).toString('base64');
    return answer.headers.get('signature') === `fl=:${mac}:` && answer.headers.get('content-digest') === digest;
  }

  /** What came wrapped under a key of D: `fuselink wrap v1` or `fuselink link v1`. */
  unwrap(label: string, wrapped: string): Buffer {
    return unwrapped(this.#secret, label, wrapped);
  }
}

function unwrapped(secret: Uint8Array, label: string, wrapped: string): Buffer {
  const cipher = createDecipheriv('id-aes256-wrap', hmac(secret, label), Buffer.alloc(8, 0xa6));
  return Buffer.concat([cipher.update(wrapped, 'hex'), cipher.final()]);
}

/** The token of a link that came wrapped, for whoever holds the device's key (64 hex characters). */
export function unwrapLink(key: string, wrapped: string): string {
  const secret = hmac(Buffer.from(key, 'hex'), 'fuselink device v1');
  return unwrapped(secret, 'fuselink link v1', wrapped).toString('base64url');
}

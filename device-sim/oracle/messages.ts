import { createHash } from 'node:crypto';

/** A request and an answer as they pass on the wire: all the oracle sees of either side, beside the bytes in slots. */
export interface SeenRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Uint8Array | null;
}

export interface SeenAnswer {
  status: number;
  headers: Record<string, string>;
  json: Record<string, unknown> | null;
}

export type RequestKind = 'upload' | 'status' | 'register' | 'ask' | 'recover' | 'other';

export interface ReadRequest {
  kind: RequestKind;
  /** Fingerprint of the key it was made with; null for a recovery proof. */
  by: string | null;
  /** Registrations: the key they are about. */
  fingerprint: string | null;
  generation: number | null;
  /** The phase the device says it is in. */
  phase: string;
}

const KINDS: Readonly<Record<string, RequestKind>> = {
  '/v1/upload': 'upload',
  '/v1/device/status': 'status',
  '/v1/device/rotation': 'register',
  '/v1/device/recovery': 'recover',
};

/** What the messages of a run say. Keeps every key it saw on the wire, for the search for keys where none may be. */
export class Reader {
  /** Fingerprint of each key seen, by its text. */
  readonly keys = new Map<string, string>();
  readonly #texts = new Map<string, string>();

  read(request: SeenRequest): ReadRequest {
    const kind = KINDS[request.path] ?? 'other';
    const by = this.#fingerprintOf(request.headers['authorization'] ?? '');
    const phase = /phase=([A-Z]+)/.exec(request.headers['fuselink-device'] ?? '')?.[1] ?? '';
    if (kind !== 'register' && kind !== 'recover') return { kind, by, fingerprint: null, generation: null, phase };
    const said = JSON.parse(Buffer.from(request.body ?? new Uint8Array(0)).toString('utf8')) as Record<string, unknown>;
    const fingerprint = typeof said['fingerprint'] === 'string' ? said['fingerprint'] : null;
    const generation = typeof said['generation'] === 'number' ? said['generation'] : null;
    return { kind: said['offer'] === true ? 'ask' : kind, by, fingerprint, generation, phase };
  }

  /** The key's text behind a fingerprint that was seen, or null. */
  keyBehind(fingerprint: string): string | null {
    return this.#texts.get(fingerprint) ?? null;
  }

  learn(key: string): string {
    const known = this.keys.get(key);
    if (known !== undefined) return known;
    const fingerprint = createHash('sha256')
      .update('fuselink fp')
      .update(Buffer.from(key, 'hex'))
      .digest('hex')
      .slice(0, 16);
    this.keys.set(key, fingerprint);
    this.#texts.set(fingerprint, key);
    return fingerprint;
  }

  #fingerprintOf(authorization: string): string | null {
    return authorization.startsWith('Bearer ') ? this.learn(authorization.slice(7)) : null;
  }
}

export interface ReadWish {
  generation: number;
  base: string;
}

/** What an answer tells of the rotation. */
export function readTold(answer: SeenAnswer): { wanted: ReadWish | null; settled: number | null } {
  const text = answer.headers['fuselink-rotation'] ?? '';
  const wanted = /wanted;gen=(\d+);base=([0-9a-f]{16})/.exec(text);
  const recoverable = /recoverable;gen=(\d+);base=([0-9a-f]{16})/.exec(text);
  const settled = /settled;gen=(\d+)/.exec(text);
  const wish = wanted ?? recoverable;
  return {
    wanted: wish === null ? null : { generation: Number(wish[1]), base: String(wish[2]) },
    settled: settled === null ? null : Number(settled[1]),
  };
}

/** The key that an answer calls revoked, or null. */
export function readRevoked(answer: SeenAnswer): string | null {
  if (answer.status !== 401 || answer.json?.['code'] !== 'key_revoked') return null;
  const { fingerprint } = answer.json;
  return typeof fingerprint === 'string' ? fingerprint : null;
}

/** The readings in a batch, by the numbers the devices give them. */
export function readReadings(body: Uint8Array | null): number[] {
  const numbers: number[] = [];
  if (body === null) return numbers;
  for (const line of Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1').split('\n')) {
    const at = line.indexOf('{"n":');
    if (at === 0) numbers.push(Number(line.slice(5, -1)));
  }
  return numbers;
}

import { apiUrl, type HttpAnswer, problemOf, type Transport } from '#sdk/node';

/** The header in which a gateway names the device it acts for. */
export const HEADER_ON_BEHALF = 'X-Device';

export interface RelayOptions {
  base: URL;
  transport: Transport;
  /** The gateway's key; asked anew for every request. */
  gatewayKey(): string;
}

export interface SignInQuestion {
  device: string;
  /** SHA-256 of the key's 32 bytes, hex. */
  keySha256: string;
}

export type KeyState = 'valid' | 'unknown' | 'revoked' | 'quarantined';

export interface SignInReply {
  device: string;
  state: KeyState;
  fingerprint: string | null;
}

/** The server could not be asked, or did not answer as a Fuselink server does. */
export class RelayUnavailable extends Error {
  override readonly name = 'RelayUnavailable';
  /** The server refused the gateway itself: nothing mends that but a person. */
  readonly refused: boolean;
  constructor(detail: string, refused = false) {
    super(detail);
    this.refused = refused;
  }
}

/** What the bridge asks the server under its own key. Throws RelayUnavailable for everything that is not an answer. */
export interface Relay {
  /** What the keys are that devices showed; `used`: they showed them just now. */
  signIns(asked: readonly SignInQuestion[], options: { used: boolean; timeoutMs: number }): Promise<SignInReply[]>;
  /** The gateway's name and how many devices it may speak for. */
  about(timeoutMs: number): Promise<{ name: string; devices: number }>;
}

const STATES: readonly string[] = ['valid', 'unknown', 'revoked', 'quarantined'];

export function createRelay(options: RelayOptions): Relay {
  async function ask(method: string, path: string, body: unknown, timeoutMs: number): Promise<Record<string, unknown>> {
    let answer: HttpAnswer;
    try {
      answer = await options.transport.exchange({
        method,
        url: apiUrl(options.base, path),
        headers: { Authorization: `Bearer ${options.gatewayKey()}`, 'Content-Type': 'application/json' },
        body: body === null ? null : Buffer.from(JSON.stringify(body)),
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch (error) {
      throw new RelayUnavailable(error instanceof Error ? error.message : String(error));
    }
    if (answer.status !== 200) {
      const { code, detail } = problemOf(answer);
      throw new RelayUnavailable(
        `${detail} [${code ?? answer.status}]`,
        answer.status === 401 || answer.status === 403,
      );
    }
    try {
      return JSON.parse(answer.body.toString('utf8')) as Record<string, unknown>;
    } catch {
      throw new RelayUnavailable('expected JSON from the server, got another text');
    }
  }

  return {
    async signIns(asked, { used, timeoutMs }) {
      const questions = asked.map(({ device, keySha256 }) => ({ device_id: device, key_sha256: keySha256 }));
      const answer = await ask('POST', '/v1/gateway/sign-in', { sign_ins: questions, used }, timeoutMs);
      const replies = answer['sign_ins'];
      if (!Array.isArray(replies) || replies.length !== asked.length) {
        throw new RelayUnavailable('expected an answer for each sign-in, got another number');
      }
      return asked.map(({ device }, i) => {
        const { device_id, state, fingerprint } = replies[i] as Record<string, unknown>;
        if (device_id !== device || !STATES.includes(String(state))) {
          throw new RelayUnavailable('expected the answers in the order of the questions, got something else');
        }
        return { device, state: state as KeyState, fingerprint: typeof fingerprint === 'string' ? fingerprint : null };
      });
    },
    async about(timeoutMs) {
      const { name, devices } = await ask('GET', '/v1/gateway', null, timeoutMs);
      return { name: String(name), devices: Number(devices) };
    },
  };
}

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
  override readonly name: string = 'RelayUnavailable';
  /** The server refused the gateway itself: nothing mends that but a person. */
  readonly refused: boolean;
  constructor(detail: string, refused = false) {
    super(detail);
    this.refused = refused;
  }
}

/** The server answered that what was asked cannot be: asking again changes nothing. */
export class RelayRefused extends RelayUnavailable {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, detail: string) {
    super(`${detail} [${code}]`);
    this.status = status;
    this.code = code;
  }
}

/** A device's line of JSON and by what it is known to be its own: its session with our own broker, or a MAC. */
export interface CarriedMessage {
  device: string;
  text: string;
  keySha256?: string;
  fingerprint?: string;
  mac?: string;
}

export interface CarriedAnswer {
  text: string;
  fingerprint: string | null;
  mac: string | null;
}

export interface GatewayWork {
  /** Devices whose key is to be replaced: `base` is the fingerprint of the present one. */
  wishes: { device: string; generation: number; base: string }[];
  /** Files for devices: `linkPath` is a capability. */
  deliveries: { id: string; device: string; linkPath: string }[];
  /** Images for devices. */
  firmware: { device: string; image: string }[];
}

/** An image as it was signed. */
export interface FirmwareImage {
  /** The line of JSON. */
  manifest: string;
  /** Base64url. */
  signature: string;
  /** Public key, 64 hex characters. */
  signer: string;
}

/** What the bridge asks the server under its own key. Throws RelayUnavailable for everything that is not an answer. */
export interface Relay {
  /** What the keys are that devices showed; `used`: they showed them just now. */
  signIns(asked: readonly SignInQuestion[], options: { used: boolean; timeoutMs: number }): Promise<SignInReply[]>;
  /** The gateway's name and how many devices it may speak for. */
  about(timeoutMs: number): Promise<{ name: string; devices: number }>;
  /** A device's own call, and the server's answer to it. Throws RelayRefused where it is no call of a listed device. */
  message(carried: CarriedMessage, timeoutMs: number): Promise<CarriedAnswer>;
  work(timeoutMs: number): Promise<GatewayWork>;
  refuseDelivery(id: string, reason: string, timeoutMs: number): Promise<void>;
  /** Vouches for the key of a device's upload; true: nothing more of its key is waited for. */
  attest(upload: { device: string; keySha256: string; transfer: string }, timeoutMs: number): Promise<boolean>;
  /** Whose keys this gateway holds, because they cannot: all of them. */
  holds(devices: readonly string[], timeoutMs: number): Promise<void>;
  image(id: string): Promise<FirmwareImage>;
  imageContent(id: string): Promise<AsyncIterable<Buffer>>;
}

const IMAGE_TIMEOUT_MS = 30_000;
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
      if (answer.status === 400 || answer.status === 404) {
        throw new RelayRefused(answer.status, code ?? 'bad_request', detail);
      }
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
    async message({ device, text, keySha256, fingerprint, mac }, timeoutMs) {
      const said = { device_id: device, text, key_sha256: keySha256, fingerprint, mac };
      const answer = await ask('POST', '/v1/gateway/messages', said, timeoutMs);
      if (typeof answer['text'] !== 'string') throw new RelayUnavailable('expected the text of an answer, got none');
      const orNull = (name: string) => (typeof answer[name] === 'string' ? (answer[name] as string) : null);
      return { text: answer['text'], fingerprint: orNull('fingerprint'), mac: orNull('mac') };
    },
    async work(timeoutMs) {
      const work = await ask('GET', '/v1/gateway/work', null, timeoutMs);
      const { wishes, deliveries, firmware } = work;
      if (!Array.isArray(wishes) || !Array.isArray(deliveries) || !Array.isArray(firmware)) {
        throw new RelayUnavailable('expected lists of what there is to do, got something else');
      }
      return {
        firmware: (firmware as Record<string, unknown>[]).map(({ device_id, image_id }) => ({
          device: String(device_id),
          image: String(image_id),
        })),
        deliveries: (deliveries as Record<string, unknown>[]).map(({ id, device_id, link_path }) => ({
          id: String(id),
          device: String(device_id),
          linkPath: String(link_path),
        })),
        wishes: (wishes as Record<string, unknown>[]).map(({ device_id, generation, base }) => ({
          device: String(device_id),
          generation: Number(generation),
          base: String(base),
        })),
      };
    },
    async refuseDelivery(id, reason, timeoutMs) {
      await ask('POST', '/v1/gateway/refusals', { delivery: id, reason }, timeoutMs);
    },
    async attest({ device, keySha256, transfer }, timeoutMs) {
      const said = { device_id: device, key_sha256: keySha256, transfer_id: transfer };
      return (await ask('POST', '/v1/gateway/attestations', said, timeoutMs))['settled'] === true;
    },
    async holds(devices, timeoutMs) {
      await ask('PUT', '/v1/gateway/held-keys', { devices }, timeoutMs);
    },
    async image(id) {
      const path = `/v1/gateway/firmware?image=${encodeURIComponent(id)}`;
      const { manifest, signature, signer } = await ask('GET', path, null, IMAGE_TIMEOUT_MS);
      return { manifest: String(manifest), signature: String(signature), signer: String(signer) };
    },
    async imageContent(id) {
      const stream = await options.transport.open({
        method: 'GET',
        url: apiUrl(options.base, `/v1/gateway/firmware/content?image=${encodeURIComponent(id)}`),
        headers: { Authorization: `Bearer ${options.gatewayKey()}` },
      });
      if (stream.status === 200) return stream.bytes;
      stream.discard();
      throw new RelayUnavailable(`expected the bytes of an image, got status ${stream.status}`);
    },
    async about(timeoutMs) {
      const { name, devices } = await ask('GET', '/v1/gateway', null, timeoutMs);
      return { name: String(name), devices: Number(devices) };
    },
  };
}

import { GATEWAY_MESSAGE_BYTES_MAX, type GatewayAnswer } from '#sdk/protocol';
import { type CarriedAnswer, type Relay, RelayRefused, RelayUnavailable } from '../relay/relay.ts';
import type { ControlMessage } from './control.ts';

export interface MessageDeskOptions {
  relay: Pick<Relay, 'message'>;
  timeoutMs?: number;
  count(name: string, label?: string): void;
  note(detail: string): void;
  /** The server named keys of the device that are revoked. */
  revoked(device: string, fingerprints: readonly string[]): void;
  /** A device's call was answered: what its rotation wishes may be another thing now. */
  moved(device: string): void;
}

/** Calls of one device that may wait for the server: a device has one request out at a time. */
const WAITING_PER_DEVICE_MAX = 4;
/** Behind the line of JSON: a line feed, 16 and 64 hex characters and the space between them. */
const TRAILER_BYTES = 82;

/**
 * Carries the calls of devices to the server and its answers back. It holds nothing and decides nothing: where the server
 * is away the device is told so and asks again, and whatever is lost on the way is asked for again as well.
 */
export class MessageDesk {
  readonly #options: MessageDeskOptions;
  readonly #waiting = new Map<string, number>();

  constructor(options: MessageDeskOptions) {
    this.#options = options;
  }

  /** Takes a call; its answer is published later. Never rejects. */
  async handle(message: ControlMessage): Promise<void> {
    const { count } = this.#options;
    const { device } = message;
    const waiting = this.#waiting.get(device) ?? 0;
    if (message.payload.length > GATEWAY_MESSAGE_BYTES_MAX + TRAILER_BYTES || waiting >= WAITING_PER_DEVICE_MAX) {
      count('refused_messages', waiting >= WAITING_PER_DEVICE_MAX ? 'waiting' : 'size');
      return;
    }
    this.#waiting.set(device, waiting + 1);
    // Not waited for: the publisher's connection goes on while the server is asked.
    void this.#carry(message).finally(() => {
      const left = (this.#waiting.get(device) ?? 1) - 1;
      if (left > 0) this.#waiting.set(device, left);
      else this.#waiting.delete(device);
    });
  }

  async #carry(message: ControlMessage): Promise<void> {
    const { relay, count, note, revoked, moved, timeoutMs } = this.#options;
    const { device, keySha256, reply } = message;
    const [text = '', trailer = ''] = message.payload.toString('utf8').split('\n', 2);
    const [fingerprint, mac] = trailer.split(' ');
    try {
      const answer = await relay.message(
        {
          device,
          text,
          ...(keySha256 === null ? {} : { keySha256 }),
          ...(fingerprint === undefined || mac === undefined ? {} : { fingerprint, mac }),
        },
        timeoutMs ?? 10_000,
      );
      count('messages_carried');
      // Over our own connection to the server the answer is the server's; only then may it move the cache of keys.
      const heard = JSON.parse(answer.text) as GatewayAnswer;
      if (heard.revoked.length > 0) revoked(device, heard.revoked);
      reply(device, 'down/ack', carried(answer));
      moved(device);
    } catch (error) {
      const refused = error instanceof RelayRefused;
      if (!refused && !(error instanceof RelayUnavailable)) note(`${device}: a message failed: ${String(error)}`);
      count('messages_unanswered', refused ? 'refused' : 'away');
      const code = refused ? error.code : 'storage_unavailable';
      const body = { code, detail: refused ? error.message : 'The server cannot be reached now.' };
      const answer = { re: idOf(text), status: refused ? error.status : 503, told: '', revoked: [], body };
      reply(device, 'down/ack', JSON.stringify(answer));
    }
  }
}

function carried({ text, fingerprint, mac }: CarriedAnswer): string {
  return mac === null ? text : `${text}\n${fingerprint} ${mac}`;
}

/** What the device calls its message, so that it knows which one was not answered. */
function idOf(text: string): string {
  try {
    const { id } = JSON.parse(text) as { id?: unknown };
    return typeof id === 'string' ? id.slice(0, 40) : '';
  } catch {
    return '';
  }
}

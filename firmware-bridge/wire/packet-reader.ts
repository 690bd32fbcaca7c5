import type { BridgeLimits } from '../limits.ts';
import { checkPacket, PACKET, type PacketContext, type Violation } from './check-packet.ts';

export type ReadOutcome = { type: 'packet'; bytes: Buffer; kind: number } | { type: 'violation'; violation: Violation };

/**
 * Cuts a stream into whole, checked packets. Holds at most one packet of the size that is allowed, and never trusts an
 * announced length before it has looked at it: 256 MB may be announced in four bytes.
 */
export class PacketReader {
  readonly #context: PacketContext;
  #held: Buffer[] = [];
  #heldBytes = 0;

  constructor(limits: BridgeLimits) {
    this.#context = { limits, protocolLevel: null };
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The packets that are whole with these bytes, in order; ends at the first violation. */
  *feed(chunk: Buffer): Generator<ReadOutcome> {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    for (;;) {
      const frame = this.#frame();
      if (frame === null) return;
      if ('reason' in frame) {
        yield { type: 'violation', violation: frame };
        return;
      }
      const bytes = this.#cut(frame.end);
      const verdict = checkPacket(bytes, frame.bodyAt, this.#context);
      if (!verdict.ok) {
        yield { type: 'violation', violation: verdict.violation };
        return;
      }
      if (verdict.type === PACKET.connect) this.#context.protocolLevel = bytes[frame.bodyAt + 1] === 6 ? 3 : 4;
      yield { type: 'packet', bytes, kind: verdict.type };
    }
  }

  /** Where the next packet's body begins and ends; null while that cannot be known or it is not all here. */
  #frame(): { bodyAt: number; end: number } | Violation | null {
    const head = this.#peek(5);
    // Whoever does not begin with CONNECT is not waited for until its supposed length has come.
    if (this.#context.protocolLevel === null && head.length > 0 && head[0] !== 0x10) {
      return { reason: 'expected CONNECT as the first packet', answer: null };
    }
    let length = 0;
    for (let i = 1; i < head.length; i++) {
      const byte = head[i] as number;
      length += (byte & 127) * 128 ** (i - 1);
      if (byte < 128) {
        const { limits, protocolLevel } = this.#context;
        const most = protocolLevel === null ? limits.connectBytesMax : limits.packetBytesMax;
        if (length > most) return { reason: `expected a packet of at most ${most} bytes, got ${length}`, answer: null };
        const end = i + 1 + length;
        return this.#heldBytes >= end ? { bodyAt: i + 1, end } : null;
      }
    }
    // [MQTT-2.2.3]: four bytes are the most a remaining length has.
    return head.length === 5 ? { reason: 'the remaining length has more than four bytes', answer: null } : null;
  }

  #peek(count: number): Buffer {
    const first = this.#held[0];
    if (first === undefined) return Buffer.alloc(0);
    if (first.length >= count || this.#held.length === 1) return first.subarray(0, count);
    this.#merge();
    return (this.#held[0] as Buffer).subarray(0, count);
  }

  #cut(end: number): Buffer {
    if ((this.#held[0] as Buffer).length < end) this.#merge();
    const first = this.#held[0] as Buffer;
    if (first.length === end) this.#held.shift();
    else this.#held[0] = first.subarray(end);
    this.#heldBytes -= end;
    return first.subarray(0, end);
  }

  #merge(): void {
    this.#held = [Buffer.concat(this.#held)];
  }
}

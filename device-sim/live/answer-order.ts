import type { RelayAnswer, RelayRequest } from '#server';
import { readRevoked, readTold } from '../oracle/messages.ts';

/** One answer as it came, with the order in which its request went out. */
export interface Answered {
  device: number;
  request: RelayRequest;
  answer: RelayAnswer;
  begunAt: number;
}

interface Line {
  open: number;
  held: Answered[];
}

/**
 * A client sees when requests went out and when answers came, and not when the server did what they say. Answers of one
 * device whose requests overlapped are therefore held until none of them is under way, and handed on in an order that the
 * server may have had: what was stored before what was revoked, wishes by generation. Nothing false is found so;
 * what could have been either way is not held against the server.
 */
export class AnswerOrder {
  readonly #lines = new Map<number, Line>();
  readonly #tell: (answered: Answered) => void;

  constructor(tell: (answered: Answered) => void) {
    this.#tell = tell;
  }

  sent(device: number): void {
    const line = this.#lines.get(device);
    if (line === undefined) this.#lines.set(device, { open: 1, held: [] });
    else line.open++;
  }

  /** `answered` null: no answer came. */
  ended(device: number, answered: Answered | null): void {
    const line = this.#lines.get(device);
    if (line === undefined) return;
    line.open--;
    if (answered !== null) line.held.push(answered);
    if (line.open === 0) this.#flush(line);
  }

  /** Hands on what is held, whatever is under way: the run is over. */
  finish(): void {
    for (const line of this.#lines.values()) this.#flush(line);
  }

  #flush(line: Line): void {
    const { held } = line;
    line.held = [];
    if (held.length > 1) held.sort(inPossibleOrder);
    for (const answered of held) this.#tell(answered);
  }
}

function inPossibleOrder(a: Answered, b: Answered): number {
  const revoked = Number(readRevoked(a.answer) !== null) - Number(readRevoked(b.answer) !== null);
  if (revoked !== 0) return revoked;
  const wantedA = readTold(a.answer).wanted?.generation;
  const wantedB = readTold(b.answer).wanted?.generation;
  if (wantedA !== undefined && wantedB !== undefined && wantedA !== wantedB) return wantedA - wantedB;
  return a.begunAt - b.begunAt;
}

import type { TraceHash } from '../kernel/trace-hash.ts';

/** What a trace is made of. The number goes into the hash, so an entry keeps its number for ever. */
export const ENTRY = {
  sent: 1,
  served: 2,
  heard: 3,
  phase: 4,
  fault: 5,
  order: 6,
  campaign: 7,
  boot: 8,
  dropped: 9,
  slots: 10,
  read: 11,
} as const;
export type EntryKind = keyof typeof ENTRY;

/** One line of a kept trace. −1: no device's. */
export interface Entry {
  atMs: number;
  device: number;
  kind: EntryKind;
  text: string;
}

export interface Sample {
  atMs: number;
  campaign: string;
  wave: number;
  progress: Record<string, number>;
  phases: Record<string, number>;
}

/** Hashes everything that happens, and keeps as much of it as the run was asked to. */
export class Recorder {
  readonly #hash: TraceHash;
  readonly #nowMs: () => number;
  readonly #keep: boolean;
  readonly entries: Entry[] = [];
  readonly samples: Sample[] = [];
  readonly faults: Record<string, number> = {};
  /** Device: phase → event → how often. */
  readonly device: Record<string, Record<string, number>> = {};
  /** Server: state → arrow → how often. */
  readonly server: Record<string, Record<string, number>> = {};
  /** Campaign: state → state → how often. */
  readonly campaign: Record<string, Record<string, number>> = {};

  constructor(hash: TraceHash, nowMs: () => number, keep: boolean) {
    this.#hash = hash;
    this.#nowMs = nowMs;
    this.#keep = keep;
  }

  /** `value` and `word` go into the hash; `text` is only made where somebody will read it. */
  note(kind: EntryKind, device: number, value: number, text: () => string, word = ''): void {
    this.#hash.add(this.#nowMs());
    this.#hash.add(ENTRY[kind] * 65_536 + device + 1);
    this.#hash.add(value);
    if (word !== '') this.#hash.addText(word);
    if (this.#keep) this.entries.push({ atMs: this.#nowMs(), device, kind, text: text() });
  }

  fault(name: string, device: number, detail = ''): void {
    this.faults[name] = (this.faults[name] ?? 0) + 1;
    this.note('fault', device, 0, () => (detail === '' ? name : `${name}: ${detail}`), name);
  }

  stepped(phase: string, event: string): void {
    count(this.device, phase, event);
  }

  arrow(from: string, action: string): void {
    count(this.server, from, action);
  }

  campaignMoved(from: string, to: string): void {
    count(this.campaign, from, to);
  }
}

function count(matrix: Record<string, Record<string, number>>, row: string, column: string): void {
  const cells = matrix[row] ?? {};
  matrix[row] = cells;
  cells[column] = (cells[column] ?? 0) + 1;
}

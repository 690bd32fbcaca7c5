import type { Row } from '../rows.ts';
import { comparePrefix, type Ordered } from './order.ts';

/** Entries a chunk holds before it splits: insertion moves at most this many. */
const CHUNK_ENTRIES_MAX = 512;

interface Entry {
  tuple: Ordered[];
  row: Row;
}

/** Rows kept sorted by some columns and then the key, in chunks, so that a large table takes insertions without a sort. */
export class SortedRows {
  readonly columns: readonly string[];
  readonly #key: string;
  #chunks: Entry[][] = [];
  /** Each row's entry by its key: an update that moves nothing need not search for it. */
  readonly #entries = new Map<string, Entry>();

  constructor(columns: readonly string[], key: string) {
    this.columns = columns;
    this.#key = key;
  }

  /** Puts a row in the place of the one before it (null: there was none). Where it belongs at the same place nothing moves. */
  put(before: Row | null, row: Row): void {
    if (before === null) {
      this.add(row);
      return;
    }
    if (this.columns.every((column) => before[column] === row[column])) {
      const entry = this.#entries.get(before[this.#key] as string);
      if (entry === undefined) throw new Error('expected the row in the index');
      entry.row = row;
      return;
    }
    this.remove(before);
    this.add(row);
  }

  add(row: Row): void {
    const entry = { tuple: this.#tuple(row), row };
    this.#entries.set(row[this.#key] as string, entry);
    const at = this.#chunkOf(entry.tuple);
    const chunk = this.#chunks[at];
    if (chunk === undefined) {
      this.#chunks.push([entry]);
      return;
    }
    chunk.splice(firstAtLeast(chunk, entry.tuple), 0, entry);
    if (chunk.length > CHUNK_ENTRIES_MAX) this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK_ENTRIES_MAX / 2));
  }

  /** Removes the row with these columns and this key. */
  remove(row: Row): void {
    const tuple = this.#tuple(row);
    const at = this.#chunkOf(tuple);
    const chunk = this.#chunks[at];
    if (chunk === undefined) throw new Error('expected the row in the index');
    const place = firstAtLeast(chunk, tuple);
    const found = chunk[place];
    if (found === undefined || comparePrefix(found.tuple, tuple) !== 0)
      throw new Error('expected the row in the index');
    chunk.splice(place, 1);
    this.#entries.delete(row[this.#key] as string);
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** Rows in order, from the first whose columns are not below `from` (a prefix), for as long as the caller asks. */
  *ascending(from: readonly Ordered[]): Generator<Row> {
    let at = this.#chunkOf(from);
    let place = firstAtLeast(this.#chunks[at] ?? [], from);
    for (; at < this.#chunks.length; at++, place = 0) {
      const chunk = this.#chunks[at] as Entry[];
      for (; place < chunk.length; place++) yield (chunk[place] as Entry).row;
    }
  }

  /** Rows in reverse order, from the last whose columns are not above `from` (a prefix). */
  *descending(from: readonly Ordered[]): Generator<Row> {
    let at = Math.max(0, partition(this.#chunks, (chunk) => comparePrefix((chunk[0] as Entry).tuple, from) <= 0) - 1);
    let place = firstAbove(this.#chunks[at] ?? [], from) - 1;
    for (; at >= 0; at--, place = (this.#chunks[at]?.length ?? 0) - 1) {
      const chunk = this.#chunks[at] as Entry[];
      for (; place >= 0; place--) yield (chunk[place] as Entry).row;
    }
  }

  #tuple(row: Row): Ordered[] {
    return [...this.columns.map((column) => row[column] as Ordered), row[this.#key] as Ordered];
  }

  /** The first chunk whose last entry is not below `tuple`; the last chunk where all are. */
  #chunkOf(tuple: readonly Ordered[]): number {
    const at = partition(this.#chunks, (chunk) => comparePrefix((chunk.at(-1) as Entry).tuple, tuple) < 0);
    return Math.max(0, Math.min(at, this.#chunks.length - 1));
  }
}

function firstAtLeast(chunk: readonly Entry[], tuple: readonly Ordered[]): number {
  return partition(chunk, (entry) => comparePrefix(entry.tuple, tuple) < 0);
}

function firstAbove(chunk: readonly Entry[], tuple: readonly Ordered[]): number {
  return partition(chunk, (entry) => comparePrefix(entry.tuple, tuple) <= 0);
}

/** How many items come before the first of which `before` is false. */
function partition<T>(items: readonly T[], before: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (before(items[middle] as T)) low = middle + 1;
    else high = middle;
  }
  return low;
}

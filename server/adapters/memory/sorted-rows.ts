import type { Row } from '../rows.ts';
import { compareValues, type Ordered } from './order.ts';

/** Entries a chunk holds before it splits: insertion moves at most this many. */
const CHUNK_ENTRIES_MAX = 512;

/** Where a table keeps one row: the same place for as long as there is a row under its key, so that every index holds it. */
export interface Place {
  row: Row;
}

/**
 * Rows kept sorted by some columns and then the key, in chunks, so that a large table takes insertions without a sort. Nothing is
 * kept until the order is first asked for: most tables have more indexes than one process ever reads by.
 */
export class SortedRows {
  readonly columns: readonly string[];
  readonly #order: readonly string[];
  readonly #all: () => Iterable<Place>;
  #chunks: Place[][] | null = null;

  constructor(columns: readonly string[], key: string, all: () => Iterable<Place>) {
    this.columns = columns;
    this.#order = columns.includes(key) ? columns : [...columns, key];
    this.#all = all;
  }

  /** Whether a row would have to move for another to take its place. */
  isMoved(before: Row, row: Row): boolean {
    if (this.#chunks === null) return false;
    for (const column of this.columns) if (before[column] !== row[column]) return true;
    return false;
  }

  add(place: Place): void {
    const chunks = this.#chunks;
    if (chunks === null) return;
    const last = chunks.at(-1);
    if (last === undefined) {
      chunks.push([place]);
      return;
    }
    if (this.#compareRows((last.at(-1) as Place).row, place.row) < 0) {
      // Behind all others, as most new rows are: full chunks stay full.
      if (last.length < CHUNK_ENTRIES_MAX) last.push(place);
      else chunks.push([place]);
      return;
    }
    const at = this.#chunkOf(chunks, place.row);
    const chunk = chunks[at] as Place[];
    chunk.splice(this.#placeIn(chunk, place.row), 0, place);
    if (chunk.length > CHUNK_ENTRIES_MAX) chunks.splice(at + 1, 0, chunk.splice(CHUNK_ENTRIES_MAX / 2));
  }

  /** Removes a place, which must still hold the row it was added with. */
  remove(place: Place): void {
    const chunks = this.#chunks;
    if (chunks === null) return;
    const at = this.#chunkOf(chunks, place.row);
    const chunk = chunks[at];
    const found = chunk === undefined ? -1 : this.#placeIn(chunk, place.row);
    if (chunk === undefined || chunk[found] !== place) throw new Error('expected the row in the index');
    chunk.splice(found, 1);
    if (chunk.length === 0) chunks.splice(at, 1);
  }

  /** Visits rows in order, from the first whose columns are not below `from` (a prefix), until `visit` says false. */
  ascend(from: readonly Ordered[], visit: (row: Row) => boolean): void {
    const chunks = this.#built();
    let at = Math.max(
      0,
      partition(chunks, (chunk) => this.#compare((chunk.at(-1) as Place).row, from) < 0),
    );
    let place = partition(chunks[at] ?? [], (one) => this.#compare(one.row, from) < 0);
    for (; at < chunks.length; at++, place = 0) {
      const chunk = chunks[at] as Place[];
      for (; place < chunk.length; place++) if (!visit((chunk[place] as Place).row)) return;
    }
  }

  /** Visits rows in reverse order, from the last whose columns are not above `from` (a prefix), until `visit` says false. */
  descend(from: readonly Ordered[], visit: (row: Row) => boolean): void {
    const chunks = this.#built();
    let at = Math.max(0, partition(chunks, (chunk) => this.#compare((chunk[0] as Place).row, from) <= 0) - 1);
    let place = partition(chunks[at] ?? [], (one) => this.#compare(one.row, from) <= 0) - 1;
    for (; at >= 0; at--, place = (chunks[at]?.length ?? 0) - 1) {
      const chunk = chunks[at] as Place[];
      for (; place >= 0; place--) if (!visit((chunk[place] as Place).row)) return;
    }
  }

  #built(): Place[][] {
    if (this.#chunks !== null) return this.#chunks;
    const all = [...this.#all()].sort((a, b) => this.#compareRows(a.row, b.row));
    const chunks: Place[][] = [];
    for (let at = 0; at < all.length; at += CHUNK_ENTRIES_MAX) chunks.push(all.slice(at, at + CHUNK_ENTRIES_MAX));
    this.#chunks = chunks;
    return chunks;
  }

  #compare(row: Row, tuple: readonly Ordered[]): number {
    const length = Math.min(tuple.length, this.#order.length);
    for (let at = 0; at < length; at++) {
      const order = compareValues(row[this.#order[at] as string] as Ordered, tuple[at] as Ordered);
      if (order !== 0) return order;
    }
    return 0;
  }

  #compareRows(a: Row, b: Row): number {
    for (const column of this.#order) {
      const order = compareValues(a[column] as Ordered, b[column] as Ordered);
      if (order !== 0) return order;
    }
    return 0;
  }

  /** The first chunk whose last row is not below this one; the last chunk where all are. */
  #chunkOf(chunks: readonly Place[][], row: Row): number {
    const at = partition(chunks, (chunk) => this.#compareRows((chunk.at(-1) as Place).row, row) < 0);
    return Math.max(0, Math.min(at, chunks.length - 1));
  }

  #placeIn(chunk: readonly Place[], row: Row): number {
    return partition(chunk, (one) => this.#compareRows(one.row, row) < 0);
  }
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

import type { Row, Table } from '../rows.ts';
import { SortedRows } from './sorted-rows.ts';

/** One table in memory: rows by key, by each unique index, and sorted by each index. Stored rows are never changed in place. */
export class MemoryTable {
  readonly shape: Table;
  readonly rows = new Map<string, Row>();
  readonly indexes: SortedRows[];
  #unique: { columns: readonly string[]; keys: Map<string, string> }[];

  constructor(shape: Table) {
    this.shape = shape;
    this.indexes = [[shape.key], ...shape.unique, ...shape.indexes].map(
      (columns) => new SortedRows(columns, shape.key),
    );
    this.#unique = shape.unique.map((columns) => ({ columns, keys: new Map() }));
  }

  keyOf(row: Row): string {
    return row[this.shape.key] as string;
  }

  /** The row with these values in the key's or a unique index's columns. */
  find(names: readonly string[], where: Row): Row | null {
    if (names.length === 1 && names[0] === this.shape.key)
      return this.rows.get(where[this.shape.key] as string) ?? null;
    for (const { columns, keys } of this.#unique) {
      if (columns.length !== names.length || !columns.every((column) => names.includes(column))) continue;
      const key = keys.get(uniqueName(columns, where) ?? '');
      return key === undefined ? null : (this.rows.get(key) ?? null);
    }
    return null;
  }

  /** Whether a row other than the one with this row's key has its values in some unique index. */
  isTaken(row: Row): boolean {
    return this.#unique.some(({ columns, keys }) => {
      const name = uniqueName(columns, row);
      const owner = name === null ? undefined : keys.get(name);
      return owner !== undefined && owner !== this.keyOf(row);
    });
  }

  /** Stores the row in place of the one with its key, and gives that one back. */
  set(row: Row): Row | null {
    const key = this.keyOf(row);
    const before = this.rows.get(key) ?? null;
    this.rows.set(key, row);
    for (const index of this.indexes) index.put(before, row);
    for (const { columns, keys } of this.#unique) {
      if (before !== null && columns.every((column) => before[column] === row[column])) continue;
      const old = before === null ? null : uniqueName(columns, before);
      if (old !== null) keys.delete(old);
      const name = uniqueName(columns, row);
      if (name !== null) keys.set(name, key);
    }
    return before;
  }

  remove(key: string): Row | null {
    const row = this.rows.get(key);
    if (row === undefined) return null;
    this.rows.delete(key);
    for (const index of this.indexes) index.remove(row);
    for (const { columns, keys } of this.#unique) {
      const name = uniqueName(columns, row);
      if (name !== null) keys.delete(name);
    }
    return row;
  }
}

/** One text for the values of a unique index; null where one of them is null, which exempts the row. */
function uniqueName(columns: readonly string[], row: Row): string | null {
  if (columns.some((column) => row[column] === null)) return null;
  return columns.length === 1
    ? String(row[columns[0] as string])
    : JSON.stringify(columns.map((column) => row[column]));
}

/** A copy that shares nothing with `row`, so that neither the caller nor the store can change the other's. */
export function copyRow(table: Table, row: Row): Row {
  const copy: Row = {};
  for (const { name, base } of table.columns) {
    const value = row[name];
    if (base === 'json') copy[name] = copyJson(value);
    else if (base === 'bytes' && value !== null) copy[name] = new Uint8Array(value as Uint8Array);
    else copy[name] = value;
  }
  return copy;
}

/** As if written and read back: members that are undefined go, values with `toJSON` become what they say. */
function copyJson(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((item) => (item === undefined ? null : copyJson(item)));
  // Plain objects are copied member by member, five times faster; whatever else there may be is for JSON to say.
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return JSON.parse(JSON.stringify(value));
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[name];
    if (typeof member === 'function' || name === '__proto__') return JSON.parse(JSON.stringify(value));
    if (member !== undefined) copy[name] = typeof member === 'number' ? numberOf(member) : copyJson(member);
  }
  return copy;
}

/** JSON has no NaN and no infinities, and one zero. */
function numberOf(value: number): number | null {
  return Number.isFinite(value) ? value + 0 : null;
}

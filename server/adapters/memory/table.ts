import type { Row, Table } from '../rows.ts';
import type { Plan } from './select.ts';
import { type Place, SortedRows } from './sorted-rows.ts';

/** One table in memory: rows by key, by each unique index, and sorted by each index that is read by. */
export class MemoryTable {
  readonly shape: Table;
  readonly indexes: SortedRows[];
  readonly plans = new Map<string, Plan>();
  readonly #places = new Map<string, Place>();
  readonly #unique: { columns: readonly string[]; places: Map<string, Place> }[];

  constructor(shape: Table) {
    this.shape = shape;
    const all = () => this.#places.values();
    this.indexes = [[shape.key], ...shape.unique, ...shape.indexes].map(
      (columns) => new SortedRows(columns, shape.key, all),
    );
    this.#unique = shape.unique.map((columns) => ({ columns, places: new Map() }));
  }

  keyOf(row: Row): string {
    return row[this.shape.key] as string;
  }

  get(key: string): Row | undefined {
    return this.#places.get(key)?.row;
  }

  /** The row with these values in the key's or a unique index's columns. */
  find(names: readonly string[], where: Row): Row | null {
    if (names.length === 1 && names[0] === this.shape.key) return this.get(where[this.shape.key] as string) ?? null;
    for (const { columns, places } of this.#unique) {
      if (columns.length !== names.length || !columns.every((column) => names.includes(column))) continue;
      return places.get(uniqueName(columns, where) ?? '')?.row ?? null;
    }
    return null;
  }

  /** Whether a row other than the one with this row's key has its values in some unique index. */
  isTaken(row: Row): boolean {
    for (const { columns, places } of this.#unique) {
      const name = uniqueName(columns, row);
      const owner = name === null ? undefined : places.get(name);
      if (owner !== undefined && this.keyOf(owner.row) !== this.keyOf(row)) return true;
    }
    return false;
  }

  /** Stores the row in place of the one with its key, and gives that one back. */
  set(row: Row): Row | null {
    const key = this.keyOf(row);
    const known = this.#places.get(key);
    if (known === undefined) {
      const place = { row };
      this.#places.set(key, place);
      for (const index of this.indexes) index.add(place);
      this.#name(place);
      return null;
    }
    const before = known.row;
    const moved = this.indexes.filter((index) => index.isMoved(before, row));
    for (const index of moved) index.remove(known);
    const renamed = this.#unique.some(({ columns }) => columns.some((column) => before[column] !== row[column]));
    if (renamed) this.#unname(before);
    known.row = row;
    for (const index of moved) index.add(known);
    if (renamed) this.#name(known);
    return before;
  }

  remove(key: string): Row | null {
    const place = this.#places.get(key);
    if (place === undefined) return null;
    this.#places.delete(key);
    for (const index of this.indexes) index.remove(place);
    this.#unname(place.row);
    return place.row;
  }

  #name(place: Place): void {
    for (const { columns, places } of this.#unique) {
      const name = uniqueName(columns, place.row);
      if (name !== null) places.set(name, place);
    }
  }

  #unname(row: Row): void {
    for (const { columns, places } of this.#unique) {
      const name = uniqueName(columns, row);
      if (name !== null) places.delete(name);
    }
  }
}

/** One text for the values of a unique index; null where one of them is null, which exempts the row. No text holds a NUL. */
function uniqueName(columns: readonly string[], row: Row): string | null {
  let name = '';
  for (let at = 0; at < columns.length; at++) {
    const value = row[columns[at] as string];
    if (value === null) return null;
    name = at === 0 ? String(value) : `${name}\0${String(value)}`;
  }
  return name;
}

/** A copy that shares nothing with `row`, so that neither the caller nor the store can change the other's. */
export function copyRow(table: Table, row: Row): Row {
  return ownParts(table, { ...row });
}

/** As `copyRow`, of a row that comes from outside: its columns in the table's order and nothing besides. */
export function takeRow(table: Table, row: Row): Row {
  const copy: Row = { ...table.blank };
  for (const { name } of table.columns) copy[name] = row[name];
  return ownParts(table, copy);
}

function ownParts(table: Table, copy: Row): Row {
  for (const { name, base } of table.compound) {
    const value = copy[name];
    if (value === null) continue;
    copy[name] = base === 'json' ? copyJson(value) : new Uint8Array(value as Uint8Array);
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

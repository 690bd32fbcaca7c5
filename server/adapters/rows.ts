import { type ColumnKind, TABLES, type TableName } from '../ports/tables.ts';

/** A row as every adapter sees it; the port's types are put back at its edge. */
export type Row = Record<string, unknown>;

export interface Column {
  name: string;
  kind: ColumnKind;
  /** The kind without its question mark. */
  base: 'text' | 'int' | 'bool' | 'bytes' | 'json';
  nullable: boolean;
}

/** One table's shape with its columns in the order of statements. */
export interface Table {
  name: TableName;
  key: string;
  columns: readonly Column[];
  column: ReadonlyMap<string, Column>;
  /** A row of nothing but nulls. Rows that begin as its copy have their shape from the start, and are a third of the work to fill. */
  blank: Readonly<Row>;
  unique: readonly (readonly string[])[];
  indexes: readonly (readonly string[])[];
  rising: ReadonlySet<string>;
  /** Columns whose values have an inside that two rows must not share. */
  compound: readonly Column[];
  /** Columns that an index begins with. */
  leads: ReadonlySet<string>;
}

function describe(name: TableName): Table {
  const shape = TABLES[name];
  const columns = Object.entries<ColumnKind>(shape.columns).map(
    ([column, kind]): Column => ({
      name: column,
      kind,
      base: kind.replace('?', '') as Column['base'],
      nullable: kind.endsWith('?'),
    }),
  );
  return {
    name,
    key: shape.key,
    columns,
    column: new Map(columns.map((column) => [column.name, column])),
    blank: Object.fromEntries(columns.map((column) => [column.name, null])),
    unique: shape.unique,
    indexes: shape.indexes,
    rising: new Set<string>(shape.rising ?? []),
    compound: columns.filter(({ base }) => base === 'json' || base === 'bytes'),
    leads: new Set([shape.key, ...[...shape.unique, ...shape.indexes].map((index) => index[0] as string)]),
  };
}

const described = new Map((Object.keys(TABLES) as TableName[]).map((name) => [name, describe(name)]));

/** The table of that name. Throws TypeError where the schema has none. */
export function tableOf(name: TableName): Table {
  const table = described.get(name);
  if (table === undefined) throw new TypeError(`expected a table of the schema, came ${String(name)}`);
  return table;
}

export function allTables(): Table[] {
  return [...described.values()];
}

/** The named column. Throws TypeError where the table has none. */
export function columnOf(table: Table, name: string): Column {
  const column = table.column.get(name);
  if (column === undefined) throw new TypeError(`expected a column of ${table.name}, came ${name}`);
  return column;
}

/**
 * Throws TypeError unless `value` may be stored in `column`, and says what was expected, never the value. Text must
 * be well-formed Unicode without NUL, integers exact: what one store would keep and another would change is refused by all.
 */
export function checkValue(table: Table, column: Column, value: unknown): void {
  if (value === null) {
    if (!column.nullable) throw wrong(table, column, value);
    return;
  }
  switch (column.base) {
    case 'text':
      if (typeof value !== 'string') throw wrong(table, column, value);
      if (value.includes('\0') || !isWellFormed(value)) {
        throw new TypeError(`expected well-formed text without NUL in ${table.name}.${column.name}`);
      }
      return;
    case 'int':
      if (!Number.isSafeInteger(value)) throw wrong(table, column, value);
      return;
    case 'bool':
      if (typeof value !== 'boolean') throw wrong(table, column, value);
      return;
    case 'bytes':
      if (!(value instanceof Uint8Array)) throw wrong(table, column, value);
      return;
    case 'json':
      if (typeof value !== 'object') throw wrong(table, column, value);
      return;
  }
}

/** Throws TypeError unless `row` has every column of the table, each of its kind, and a version of at least 1. */
export function checkRow(table: Table, row: Row): void {
  for (const column of table.columns) checkValue(table, column, row[column.name]);
  const version = row['version'] as number;
  if (version < 1) throw new RangeError(`expected ${table.name}.version of at least 1, came ${version}`);
}

/** Throws unless an update raises the version by exactly one, as the port asks. */
export function checkUpdate(table: Table, row: Row, expectVersion: number): void {
  checkRow(table, row);
  if (row['version'] !== expectVersion + 1) {
    throw new RangeError(`expected ${table.name}.version ${expectVersion + 1}, came ${String(row['version'])}`);
  }
}

/** Throws unless `touch` may raise this column: an integer declared as rising. */
export function checkTouch(table: Table, name: string, value: number): void {
  const column = columnOf(table, name);
  if (!table.rising.has(name)) throw new TypeError(`expected a rising column of ${table.name}, came ${name}`);
  checkValue(table, column, value);
}

function wrong(table: Table, column: Column, value: unknown): TypeError {
  const came = value === null ? 'null' : Number.isNaN(value) ? 'NaN' : typeof value;
  return new TypeError(`expected ${column.kind} in ${table.name}.${column.name}, came ${came}`);
}

/** `String.prototype.isWellFormed` is ES2024: no lone surrogates, which UTF-8 cannot carry. */
function isWellFormed(text: string): boolean {
  return !/[\ud800-\udfff]/.test(text) || !/\p{Surrogate}/u.test(text);
}

import type { CheckedCondition, CheckedQuery } from '../queries.ts';
import { columnOf, type Table } from '../rows.ts';
import { encodeValue } from './codec.ts';
import type { SqliteValue } from './driver.ts';
import { quoted } from './schema.ts';

/** SQL and its values. The text depends on the query's shape alone, so that one prepared statement serves all of a shape. */
export interface Sql {
  text: string;
  values: SqliteValue[];
}

function columnList(table: Table): string {
  return table.columns.map(({ name }) => quoted(name)).join(', ');
}

const texts = new Map<string, string>();

/** The text of a statement that depends on `name` alone, built once: building it costs as much as running it. */
export function once(name: string, build: () => string): string {
  let text = texts.get(name);
  if (text === undefined) {
    text = build();
    texts.set(name, text);
  }
  return text;
}

export function selectOne(table: Table, names: readonly string[]): string {
  return once(`select ${table.name} ${names.join(' ')}`, () => {
    const where = names.map((name) => `${quoted(name)} = ?`).join(' AND ');
    return `SELECT ${columnList(table)} FROM ${quoted(table.name)} WHERE ${where}`;
  });
}

/**
 * Both rows' columns, and the version of the one beside once more, which is null where there is none. Values: the prefix, then those of `names`.
 */
export function selectBeside(
  table: Table,
  names: readonly string[],
  beside: { table: Table; columns: readonly string[] },
): string {
  const { table: other, columns } = beside;
  return once(`beside ${table.name} ${names.join(' ')} ${other.name} ${columns.join(' ')}`, () => {
    const of = (alias: string, name: string) => `${alias}.${quoted(name)}`;
    const all = [
      ...table.columns.map(({ name }) => of('r', name)),
      ...other.columns.map(({ name }) => of('b', name)),
      'b."version"',
    ];
    const told = columns.map((name) => of('r', name));
    const key = told.length === 1 ? told[0] : `coalesce(${told.join(', ')})`;
    return `SELECT ${all.join(', ')} FROM ${quoted(table.name)} AS r
      LEFT JOIN ${quoted(other.name)} AS b ON ${of('b', other.key)} = ? || ${key}
      WHERE ${names.map((name) => `${of('r', name)} = ?`).join(' AND ')}`;
  });
}

export function selectMany(table: Table, query: CheckedQuery): Sql {
  const values: SqliteValue[] = [];
  const clauses = query.where.map((condition) => conditionClause(table, condition, values));
  if (query.after !== null) {
    // A row-value comparison: SQLite seeks straight to the row in the index.
    const names = query.order.map(({ column }) => quoted(column)).join(', ');
    const marks = query.order.map(() => '?').join(', ');
    clauses.push(`(${names}) ${query.order[0]?.descending ? '<' : '>'} (${marks})`);
    values.push(...query.after);
  }
  const order = query.order.map(({ column, descending }) => `${quoted(column)} ${descending ? 'DESC' : 'ASC'}`);
  const text = [
    `SELECT ${columnList(table)} FROM ${quoted(table.name)}`,
    clauses.length > 0 ? `WHERE ${clauses.join(' AND ')}` : '',
    order.length > 0 ? `ORDER BY ${order.join(', ')}` : '',
    'LIMIT ?',
  ];
  values.push(query.limit);
  return { text: text.filter((part) => part !== '').join(' '), values };
}

export function countMany(table: Table, where: readonly CheckedCondition[], sum: string | undefined): Sql {
  const values: SqliteValue[] = [];
  const clauses = where.map((condition) => conditionClause(table, condition, values));
  const total = sum === undefined ? '0' : `coalesce(sum(${quoted(sum)}), 0)`;
  const filter = clauses.length > 0 ? ` WHERE ${clauses.join(' AND ')}` : '';
  return { text: `SELECT count(*), ${total} FROM ${quoted(table.name)}${filter}`, values };
}

function conditionClause(table: Table, condition: CheckedCondition, values: SqliteValue[]): string {
  const column = columnOf(table, condition.column);
  const name = quoted(column.name);
  switch (condition.operator) {
    case 'is-null':
      return `${name} IS NULL`;
    case 'not-null':
      return `${name} IS NOT NULL`;
    case 'in':
      // One parameter for any number of values keeps one statement a shape.
      values.push(JSON.stringify((condition.value as unknown[]).map((value) => encodeValue(column, value))));
      return `${name} IN (SELECT value FROM json_each(?))`;
    default:
      values.push(encodeValue(column, condition.value));
      return `${name} ${condition.operator} ?`;
  }
}

export function insertOne(table: Table): string {
  const marks = table.columns.map(() => '?').join(', ');
  return `INSERT INTO ${quoted(table.name)} (${columnList(table)}) VALUES (${marks})`;
}

/** As `insertOne`, but a taken key or unique index shows as zero changes instead of an error, which is far cheaper. */
export function insertIfFree(table: Table): string {
  return `${insertOne(table)} ON CONFLICT DO NOTHING`;
}

/** Stands for null among rising values: below every integer a row may hold. */
const LOWEST = Number.MIN_SAFE_INTEGER - 1;

function assignments(table: Table, incoming: (name: string) => string): string {
  return table.columns
    .filter(({ name }) => name !== table.key)
    .map((column) => {
      const name = quoted(column.name);
      const value = incoming(column.name);
      if (!table.rising.has(column.name)) return `${name} = ${value}`;
      return `${name} = nullif(max(coalesce(${name}, ${LOWEST}), coalesce(${value}, ${LOWEST})), ${LOWEST})`;
    })
    .join(', ');
}

/** Values: the row's columns but the key, the key, the version it must have now. */
export function updateOne(table: Table): string {
  const set = assignments(table, () => '?');
  return `UPDATE ${quoted(table.name)} SET ${set} WHERE ${quoted(table.key)} = ? AND "version" = ?`;
}

export function putOne(table: Table): string {
  const set = assignments(table, (name) => `excluded.${quoted(name)}`);
  return `${insertOne(table)} ON CONFLICT (${quoted(table.key)}) DO UPDATE SET ${set}`;
}

export function deleteOne(table: Table, versioned: boolean): string {
  return `DELETE FROM ${quoted(table.name)} WHERE ${quoted(table.key)} = ?${versioned ? ' AND "version" = ?' : ''}`;
}

export function selectVersion(table: Table): string {
  return `SELECT "version" FROM ${quoted(table.name)} WHERE ${quoted(table.key)} = ?`;
}

/** Values: the new value, the key, the new value again. */
export function raiseOne(table: Table, column: string): string {
  const name = quoted(column);
  return `UPDATE ${quoted(table.name)} SET ${name} = ? WHERE ${quoted(table.key)} = ? AND coalesce(${name}, ${LOWEST}) < ?`;
}

import type { Operator } from '../ports/metadata-store.ts';
import { checkValue, columnOf, type Row, type Table } from './rows.ts';

/** A condition after checking: `value` is an array for `in` and null for the null tests. */
export interface CheckedCondition {
  column: string;
  operator: Operator;
  value: unknown;
}

export interface CheckedQuery {
  where: CheckedCondition[];
  order: { column: string; descending: boolean }[];
  /** Keyset position, one value an order column. */
  after: readonly (string | number)[] | null;
  limit: number;
}

/** The most rows one query may ask for: a page, not a table. */
export const QUERY_ROWS_MAX = 100_000;

/**
 * The columns of a `get`, in the caller's order. Throws TypeError unless they are the key or one unique index, each
 * with a value: anything else would be a scan that returns one row by luck.
 */
export function checkGet(table: Table, where: Row): string[] {
  const names = Object.keys(where);
  for (const name of names) {
    const column = columnOf(table, name);
    if (where[name] === null) throw new TypeError(`expected a value for ${table.name}.${name}, came null`);
    checkValue(table, column, where[name]);
  }
  const matches = (index: readonly string[]) => index.length === names.length && index.every((c) => names.includes(c));
  if (!matches([table.key]) && !table.unique.some(matches)) {
    throw new TypeError(`expected the key or a unique index of ${table.name}, came (${names.join(', ')})`);
  }
  return names;
}

/** Throws TypeError unless the key of `other` is made of text and columns of `table` that hold text. */
export function checkBeside(table: Table, other: Table, columns: readonly string[]): void {
  if (columnOf(other, other.key).base !== 'text') throw new TypeError(`expected a key of text, came ${other.name}`);
  if (columns.length === 0) throw new TypeError('expected a column at least that tells the key of the row beside');
  for (const name of columns) {
    if (columnOf(table, name).base !== 'text')
      throw new TypeError(`expected a column of text, came ${table.name}.${name}`);
  }
}

interface LooseQuery {
  where: readonly (readonly unknown[])[];
  orderBy?: readonly (readonly [string, 'asc' | 'desc'])[];
  after?: readonly (string | number)[];
  limit: number;
}

/**
 * The query with every name and value checked. Throws TypeError for an unknown column, a value of the wrong kind, a
 * comparison with null, an order that mixes directions while paging, an order by a column that may be null in the rows
 * asked for (stores disagree where nulls sort), and for filters that no index begins with.
 */
export function checkQuery(table: Table, query: LooseQuery): CheckedQuery {
  const where = query.where.map((condition) => checkCondition(table, condition));
  const order = (query.orderBy ?? []).map(([column, direction]) => {
    columnOf(table, column);
    return { column, descending: direction === 'desc' };
  });
  for (const { column } of order) {
    if (columnOf(table, column).nullable && !where.some((c) => c.column === column && c.operator !== 'is-null')) {
      throw new TypeError(
        `expected a filter on ${table.name}.${column} that rules out null, since rows are ordered by it`,
      );
    }
  }
  checkAfter(table, order, query.after);
  if (!Number.isSafeInteger(query.limit) || query.limit < 0 || query.limit > QUERY_ROWS_MAX) {
    throw new RangeError(`expected a limit from 0 to ${QUERY_ROWS_MAX}, came ${query.limit}`);
  }
  checkIndexed(table, where, order[0]?.column);
  return { where, order, after: query.after ?? null, limit: query.limit };
}

/** The conditions of a count, checked like a query's; `sum` must be an integer column. */
export function checkCount(table: Table, query: { where: LooseQuery['where']; sum?: string }): CheckedCondition[] {
  const where = query.where.map((condition) => checkCondition(table, condition));
  checkIndexed(table, where, undefined);
  if (query.sum !== undefined && columnOf(table, query.sum).base !== 'int') {
    throw new TypeError(`expected an int column of ${table.name} to sum, came ${query.sum}`);
  }
  return where;
}

const OPERATORS: ReadonlySet<unknown> = new Set(['=', '<', '<=', '>', '>=', 'in', 'is-null', 'not-null']);

function checkCondition(table: Table, condition: readonly unknown[]): CheckedCondition {
  const name = condition[0] as string;
  const operator = condition[1] as Operator;
  const column = columnOf(table, name);
  if (!OPERATORS.has(operator)) throw new TypeError(`expected an operator of the port, came ${String(operator)}`);
  if (operator === 'is-null' || operator === 'not-null') return { column: name, operator, value: null };
  if (column.base === 'json' || column.base === 'bytes') {
    throw new TypeError(`expected a column of text, int or bool to compare, came ${table.name}.${name}`);
  }
  const values = operator === 'in' ? condition[2] : [condition[2]];
  if (!Array.isArray(values)) throw new TypeError(`expected an array for in on ${table.name}.${name}`);
  for (const value of values) {
    if (value === null) throw new TypeError(`expected a value for ${table.name}.${name}, came null: use is-null`);
    checkValue(table, column, value);
  }
  return { column: name, operator, value: condition[2] };
}

function checkAfter(table: Table, order: CheckedQuery['order'], after: readonly (string | number)[] | undefined): void {
  if (after === undefined) return;
  if (after.length === 0 || after.length !== order.length) {
    throw new TypeError(
      `expected as many values behind after as order columns (${order.length}), came ${after.length}`,
    );
  }
  if (order.some(({ descending }) => descending !== order[0]?.descending)) {
    throw new TypeError('expected all orders to agree where a page starts behind a row');
  }
  order.forEach(({ column }, at) => {
    checkValue(table, columnOf(table, column), after[at]);
  });
}

function checkIndexed(table: Table, where: CheckedCondition[], firstOrder: string | undefined): void {
  if (where.length === 0 && firstOrder === undefined) return;
  const { leads } = table;
  if (firstOrder !== undefined && leads.has(firstOrder)) return;
  if (where.some(({ column }) => leads.has(column))) return;
  const named = [...where.map(({ column }) => column), firstOrder ?? ''].filter((name) => name !== '');
  throw new TypeError(`expected a column that leads an index of ${table.name}, came (${named.join(', ')})`);
}

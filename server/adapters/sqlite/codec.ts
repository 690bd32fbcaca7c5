import type { Column, Row, Table } from '../rows.ts';
import type { SqliteValue } from './driver.ts';

/** A checked value as SQLite holds it: booleans are 0 and 1, JSON is its text. */
export function encodeValue(column: Column, value: unknown): SqliteValue {
  if (value === null) return null;
  if (column.base === 'bool') return value === true ? 1 : 0;
  if (column.base === 'json') return JSON.stringify(value);
  return value as SqliteValue;
}

/** A checked row as the values of a statement, in the order of the table's columns. */
export function encodeRow(table: Table, row: Row): SqliteValue[] {
  return table.columns.map((column) => encodeValue(column, row[column.name]));
}

/** A row from an array of values in the order of the table's columns. */
export function decodeRow(table: Table, values: readonly unknown[]): Row {
  const row: Row = { ...table.blank };
  const { columns } = table;
  for (let at = 0; at < columns.length; at++) {
    const column = columns[at] as Column;
    const value = values[at];
    if (value === null) continue;
    if (column.base === 'bool') row[column.name] = value !== 0;
    else if (column.base === 'json') row[column.name] = JSON.parse(value as string);
    else row[column.name] = value;
  }
  return row;
}

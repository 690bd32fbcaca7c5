import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { allTables, type Row } from '../adapters/rows.ts';
import type { MetadataStore, Write } from '../ports/metadata-store.ts';
import { TABLES, type TableName } from '../ports/tables.ts';

const PORTS = join(import.meta.dirname, '../ports');

/** The names of all tables that any file of `server/ports` describes, whether the stores know of them or not. */
export async function tablesOfPorts(): Promise<string[]> {
  const names = new Set<string>(Object.keys(TABLES));
  for (const file of readdirSync(PORTS).filter((name) => name.endsWith('-tables.ts'))) {
    const exported: Record<string, object> = await import(join(PORTS, file));
    for (const [name, value] of Object.entries(exported)) {
      if (name.endsWith('_TABLES')) for (const table of Object.keys(value)) names.add(table);
    }
  }
  return [...names].sort();
}

export function everyTable(): string[] {
  return allTables()
    .map(({ name }) => name as string)
    .sort();
}

/** A row with something in every column, no two alike; it means nothing. */
export function exampleRow(name: TableName, number: number): Row {
  const table = allTables().find((one) => one.name === name);
  const row: Row = {};
  for (const column of table?.columns ?? []) {
    const values: Record<typeof column.base, unknown> = {
      text: `${name} ${column.name} ${number}`,
      int: number,
      bool: number % 2 === 0,
      bytes: new Uint8Array([number, 0, 255]),
      json: { of: [name, number, { ä: null }] },
    };
    row[column.name] = values[column.base];
  }
  return { ...row, version: 1 };
}

/** Two rows more in every table. */
export async function fillEveryTable(store: MetadataStore): Promise<void> {
  for (const { name } of allTables()) {
    for (const number of [1, 2]) {
      const outcome = await store.commit([exampleWrite(name, number)]);
      if (!outcome.ok) throw new Error(`${name}: expected a row to be taken, got ${outcome.reason}`);
    }
  }
}

function exampleWrite(name: TableName, number: number): Write {
  if (name !== 'audit') return { kind: 'insert', table: name, row: exampleRow(name, number) } as unknown as Write;
  const entry = { chain: 'example', at_ms: number, actor: 'test', action: 'example.made', subject: 'x', from: 'local' };
  return { kind: 'audit', entry: { ...entry, outcome: 'done', detail: { number } } };
}

export async function rowsOfEveryTable(store: MetadataStore): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { name } of allTables()) counts[name] = (await store.count(name, { where: [] })).rows;
  return counts;
}

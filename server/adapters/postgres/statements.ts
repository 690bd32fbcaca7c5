import { createHash } from 'node:crypto';
import { canonicalAuditText } from '../../domain/audit-chain.ts';
import type { AuditEntry, TakeWrite } from '../../ports/metadata-store.ts';
import type { CheckedCondition, CheckedQuery } from '../queries.ts';
import { type Column, checkValue, columnOf, type Row, type Table, tableOf } from '../rows.ts';
import { HEADS, qualified, quoted } from './schema.ts';

/** A statement as the driver takes it: prepared once a connection under its name, rows as arrays. */
export interface Statement {
  name: string;
  text: string;
  values: unknown[];
  rowMode: 'array';
}

const names = new Map<string, string>();

function statement(text: string, values: unknown[]): Statement {
  let name = names.get(text);
  if (name === undefined) {
    name = `f${createHash('sha256').update(text).digest('hex').slice(0, 20)}`;
    names.set(text, name);
  }
  return { name, text, values, rowMode: 'array' };
}

/** The statement's own error where it touched no row: the transaction then fails as a whole, with nothing asked in between. */
function holds(changing: string): string {
  return `WITH held AS (${changing}) SELECT 1 / count(*) FROM held`;
}

export function encode(column: Column, value: unknown): unknown {
  return column.base === 'json' && value !== null ? JSON.stringify(value) : value;
}

export function decodeRow(table: Table, values: readonly unknown[]): Row {
  const row: Row = { ...table.blank };
  table.columns.forEach((column, at) => {
    const value = values[at];
    row[column.name] = column.base === 'json' && value !== null ? JSON.parse(value as string) : value;
  });
  return row;
}

const encoded = (table: Table, row: Row) => table.columns.map((column) => encode(column, row[column.name]));
const columnList = (table: Table) => table.columns.map(({ name }) => quoted(name)).join(', ');

/** The statements of one schema's tables. */
export class Statements {
  readonly #schema: string;

  constructor(schema: string) {
    this.#schema = schema;
  }

  #name(table: Table): string {
    return qualified(this.#schema, table.name);
  }

  get(table: Table, columns: readonly string[], where: Row): Statement {
    const clauses = columns.map((column, at) => `${quoted(column)} = $${at + 1}`).join(' AND ');
    const values = columns.map((column) => encode(columnOf(table, column), where[column]));
    return statement(`SELECT ${columnList(table)} FROM ${this.#name(table)} WHERE ${clauses}`, values);
  }

  /** Both rows' columns, and the version of the one beside once more, which is null where there is none. */
  getBeside(
    table: Table,
    columns: readonly string[],
    where: Row,
    beside: { table: Table; prefix: string; columns: readonly string[] },
  ): Statement {
    const { table: other } = beside;
    const of = (alias: string, name: string) => `${alias}.${quoted(name)}`;
    const all = [
      ...table.columns.map(({ name }) => of('r', name)),
      ...other.columns.map(({ name }) => of('b', name)),
      'b.version',
    ];
    const told = beside.columns.map((name) => of('r', name)).join(', ');
    const values = [beside.prefix, ...columns.map((column) => encode(columnOf(table, column), where[column]))];
    const clauses = columns.map((column, at) => `${of('r', column)} = $${at + 2}`).join(' AND ');
    const text = `SELECT ${all.join(', ')} FROM ${this.#name(table)} AS r
      LEFT JOIN ${this.#name(other)} AS b ON ${of('b', other.key)} = $1::text || coalesce(${told}) WHERE ${clauses}`;
    return statement(text, values);
  }

  list(table: Table, query: CheckedQuery): Statement {
    const values: unknown[] = [];
    const clauses = query.where.map((condition) => conditionClause(table, condition, values));
    if (query.after !== null) {
      const columns = query.order.map(({ column }) => quoted(column)).join(', ');
      const marks = query.after.map((value) => `$${values.push(value)}`).join(', ');
      clauses.push(`(${columns}) ${query.order[0]?.descending ? '<' : '>'} (${marks})`);
    }
    const order = query.order.map(({ column, descending }) => `${quoted(column)} ${descending ? 'DESC' : 'ASC'}`);
    const text = [
      `SELECT ${columnList(table)} FROM ${this.#name(table)}`,
      clauses.length > 0 ? `WHERE ${clauses.join(' AND ')}` : '',
      order.length > 0 ? `ORDER BY ${order.join(', ')}` : '',
      `LIMIT $${values.push(query.limit)}`,
    ];
    return statement(text.filter((part) => part !== '').join(' '), values);
  }

  count(table: Table, where: readonly CheckedCondition[], sum: string | undefined): Statement {
    const values: unknown[] = [];
    const clauses = where.map((condition) => conditionClause(table, condition, values));
    const total = sum === undefined ? '0::bigint' : `coalesce(sum(${quoted(sum)}), 0)`;
    const filter = clauses.length > 0 ? ` WHERE ${clauses.join(' AND ')}` : '';
    return statement(`SELECT count(*), ${total} FROM ${this.#name(table)}${filter}`, values);
  }

  insert(table: Table, row: Row): Statement {
    return statement(this.#insert(table), encoded(table, row));
  }

  #insert(table: Table): string {
    const marks = table.columns.map((_, at) => `$${at + 1}`).join(', ');
    return `INSERT INTO ${this.#name(table)} AS old (${columnList(table)}) VALUES (${marks})`;
  }

  update(table: Table, row: Row, expectVersion: number): Statement {
    const set = assignments(table, (_, at) => `$${at + 1}`);
    const key = table.columns.findIndex(({ name }) => name === table.key) + 1;
    const changing = `UPDATE ${this.#name(table)} AS old SET ${set}
      WHERE ${quoted(table.key)} = $${key} AND version = $${table.columns.length + 1} RETURNING 1`;
    return statement(holds(changing), [...encoded(table, row), expectVersion]);
  }

  put(table: Table, row: Row): Statement {
    const set = assignments(table, (name) => `excluded.${quoted(name)}`);
    return statement(
      `${this.#insert(table)} ON CONFLICT (${quoted(table.key)}) DO UPDATE SET ${set}`,
      encoded(table, row),
    );
  }

  delete(table: Table, key: string, expectVersion: number | undefined): Statement {
    const deleting = `DELETE FROM ${this.#name(table)} WHERE ${quoted(table.key)} = $1`;
    if (expectVersion === undefined) return statement(deleting, [key]);
    return statement(holds(`${deleting} AND version = $2 RETURNING 1`), [key, expectVersion]);
  }

  /**
   * Locks the row, so that what was expected holds until the commit. `alone`: nothing else of the batch writes the row, so
   * others may expect the same meanwhile; two that shared the lock and then both wrote would wait for each other for ever.
   */
  expect(table: Table, key: string, version: number, alone: boolean): Statement {
    const from = `FROM ${this.#name(table)} WHERE ${quoted(table.key)} = $1`;
    if (version === 0) return statement(`SELECT 1 / (CASE WHEN EXISTS (SELECT 1 ${from}) THEN 0 ELSE 1 END)`, [key]);
    return statement(holds(`SELECT 1 ${from} AND version = $2 ${alone ? 'FOR SHARE' : 'FOR NO KEY UPDATE'}`), [
      key,
      version,
    ]);
  }

  raise(table: Table, column: string, values: { keys: string[]; values: number[] }): Statement {
    const name = quoted(column);
    const text = `UPDATE ${this.#name(table)} AS old SET ${name} = new.value
      FROM unnest($1::text[], $2::bigint[]) AS new (key, value)
      WHERE old.${quoted(table.key)} = new.key AND (old.${name} IS NULL OR old.${name} < new.value)`;
    return statement(text, [values.keys, values.values]);
  }

  /** domain/sliding-window.ts in one statement, so that the row's lock is held for no round trip; the contract suite compares. */
  take(write: TakeWrite): Statement {
    const table = tableOf('windows');
    for (const [column, value] of [['id', write.id]] as const) checkValue(table, columnOf(table, column), value);
    for (const number of [write.atMs, write.windowMs, write.max]) {
      if (!Number.isSafeInteger(number)) throw new TypeError(`expected whole numbers for a window, came ${number}`);
    }
    const inside = `json_array_elements_text(old.hits::json) WITH ORDINALITY AS hit (at, number)
      WHERE hit.at::bigint > $2::bigint - $3::bigint AND hit.at::bigint <= $2::bigint + $3::bigint`;
    const changing = `INSERT INTO ${this.#name(table)} AS old (id, hits, version)
      SELECT $1, '[' || $2::bigint || ']', 1 WHERE $4::bigint > 0
      ON CONFLICT (id) DO UPDATE SET version = old.version + 1, hits =
        (SELECT '[' || coalesce(string_agg(hit.at, ',' ORDER BY hit.number) || ',', '') || $2::bigint || ']' FROM ${inside})
      WHERE (SELECT count(*) FROM ${inside}) < $4::bigint RETURNING 1`;
    return statement(holds(changing), [write.id, write.atMs, write.windowMs, write.max]);
  }

  /** Appends to a chain in one statement: it locks the head, hashes what follows it, and moves the head. */
  audit(entry: AuditEntry): Statement {
    const { before, middle } = splitAuditText(entry);
    const heads = qualified(this.#schema, HEADS);
    const hash = (seq: string, prev: string) =>
      `rtrim(translate(encode(sha256(convert_to($2::text || ${seq} || $3::text || ${prev} || '"]', 'UTF8')), 'base64'), '+/', '-_'), '=')`;
    const text = `WITH head AS (
        INSERT INTO ${heads} AS old (chain, seq, hash, prev_hash) VALUES ($1::text, 1, ${hash("'1'", "''")}, '')
        ON CONFLICT (chain) DO UPDATE SET seq = old.seq + 1, prev_hash = old.hash, hash = ${hash('(old.seq + 1)::text', 'old.hash')}
        RETURNING seq, hash, prev_hash)
      INSERT INTO ${this.#name(tableOf('audit'))}
        (id, chain, seq, at_ms, actor, action, subject, outcome, detail, "from", prev_hash, hash, version)
      SELECT $1::text || '/' || seq, $1::text, seq, $4::bigint, $5::text, $6::text, $7::text, $8::text, $9::text, $10::text,
        prev_hash, hash, 1 FROM head`;
    const { chain, at_ms, actor, action, subject, outcome, detail, from } = entry;
    return statement(text, [
      chain,
      before,
      middle,
      at_ms,
      actor,
      action,
      subject,
      outcome,
      JSON.stringify(detail),
      from,
    ]);
  }
}

function assignments(table: Table, incoming: (name: string, at: number) => string): string {
  return table.columns
    .map(({ name }, at) => ({ name, value: incoming(name, at) }))
    .filter(({ name }) => name !== table.key)
    .map(({ name, value }) => {
      // `greatest` passes over nulls.
      const risen = table.rising.has(name) ? `greatest(old.${quoted(name)}, ${value})` : value;
      return `${quoted(name)} = ${risen}`;
    })
    .join(', ');
}

const ARRAYS: Partial<Record<Column['base'], string>> = { text: 'text[]', int: 'bigint[]', bool: 'boolean[]' };

function conditionClause(table: Table, condition: CheckedCondition, values: unknown[]): string {
  const column = columnOf(table, condition.column);
  const name = quoted(column.name);
  switch (condition.operator) {
    case 'is-null':
      return `${name} IS NULL`;
    case 'not-null':
      return `${name} IS NOT NULL`;
    case 'in':
      return `${name} = ANY ($${values.push(condition.value)}::${ARRAYS[column.base]})`;
    default:
      return `${name} ${condition.operator} $${values.push(condition.value)}`;
  }
}

/**
 * The audit chain's canonical text around what only the database knows: `before ‖ seq ‖ middle ‖ prev_hash ‖ "]`. Throws
 * where the canonical text is no longer of that form, rather than storing a hash that verification would refuse.
 */
export function splitAuditText(entry: AuditEntry): { before: string; middle: string } {
  const text = canonicalAuditText({ ...entry, seq: 1, prev_hash: '' });
  const before = `${JSON.stringify(['fuselink audit v1', entry.chain]).slice(0, -1)},`;
  const middle = text.slice(before.length + 1, -2);
  const again = canonicalAuditText({ ...entry, seq: 27, prev_hash: 'a_-Z9' });
  if (again !== `${before}27${middle}a_-Z9"]`)
    throw new Error('expected the canonical audit text to hold seq and prev_hash apart');
  return { before, middle };
}

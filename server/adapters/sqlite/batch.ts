import { createHash } from 'node:crypto';
import { canonicalAuditText } from '../../domain/audit-chain.ts';
import { takeFromWindow } from '../../domain/sliding-window.ts';
import type { AuditEntry, CommitOutcome, TakeWrite, Write } from '../../ports/metadata-store.ts';
import { checkRow, checkUpdate, type Row, tableOf } from '../rows.ts';
import { encodeRow } from './codec.ts';
import type { SqliteConnection } from './connection.ts';
import { isTaken } from './faults.ts';
import * as sql from './statements.ts';

type Refusal = 'conflict' | 'exists' | 'window-full';

/** The SQL of a fixed statement of one table. */
function fixed(kind: string, table: string, build: () => string): string {
  return sql.once(`${kind} ${table}`, build);
}

/**
 * Applies one batch inside the open transaction: all of it, or nothing and the outcome says why. Throws what is not an
 * outcome (a fault, a malformed row), also with nothing applied unless SQLite has ended the whole transaction.
 */
export function applyBatch(db: SqliteConnection, writes: readonly Write[]): CommitOutcome {
  // A single statement is atomic by itself.
  const alone = writes.length === 1;
  if (!alone) db.run('SAVEPOINT batch', []);
  let refused: Extract<CommitOutcome, { ok: false }> | null = null;
  try {
    for (let index = 0; index < writes.length && refused === null; index++) {
      const reason = applyWrite(db, writes[index] as Write);
      if (reason !== null) refused = { ok: false, index, reason };
    }
  } catch (error) {
    if (!alone && db.isTransaction) undo(db);
    throw error;
  }
  if (alone) return refused ?? { ok: true };
  if (refused !== null) undo(db);
  else db.run('RELEASE batch', []);
  return refused ?? { ok: true };
}

function undo(db: SqliteConnection): void {
  db.exec('ROLLBACK TO batch');
  db.run('RELEASE batch', []);
}

function applyWrite(db: SqliteConnection, write: Write): Refusal | null {
  switch (write.kind) {
    case 'insert': {
      const table = tableOf(write.table);
      checkRow(table, write.row as unknown as Row);
      const text = fixed('insert', table.name, () => sql.insertIfFree(table));
      return db.run(text, encodeRow(table, write.row as unknown as Row)) === 1 ? null : 'exists';
    }
    case 'update': {
      const table = tableOf(write.table);
      const row = write.row as unknown as Row;
      checkUpdate(table, row, write.expectVersion);
      const text = fixed('update', table.name, () => sql.updateOne(table));
      const key = table.columns.findIndex(({ name }) => name === table.key);
      const values = encodeRow(table, row);
      values.push(...values.splice(key, 1), write.expectVersion);
      return unlessTaken(() => (db.run(text, values) === 1 ? null : 'conflict'));
    }
    case 'put': {
      const table = tableOf(write.table);
      checkRow(table, write.row as unknown as Row);
      const text = fixed('put', table.name, () => sql.putOne(table));
      return unlessTaken(() => {
        db.run(text, encodeRow(table, write.row as unknown as Row));
        return null;
      });
    }
    case 'delete': {
      const table = tableOf(write.table);
      if (write.expectVersion === undefined) {
        db.run(
          fixed('delete', table.name, () => sql.deleteOne(table, false)),
          [write.key],
        );
        return null;
      }
      const text = fixed('delete at', table.name, () => sql.deleteOne(table, true));
      return db.run(text, [write.key, write.expectVersion]) === 1 ? null : 'conflict';
    }
    case 'expect': {
      const table = tableOf(write.table);
      const found = db.get(
        fixed('version', table.name, () => sql.selectVersion(table)),
        [write.key],
      );
      return (found?.[0] ?? 0) === write.version ? null : 'conflict';
    }
    case 'take':
      return take(db, write);
    case 'audit':
      appendAudit(db, write.entry);
      return null;
  }
}

function unlessTaken(apply: () => Refusal | null): Refusal | null {
  try {
    return apply();
  } catch (error) {
    if (isTaken(error)) return 'exists';
    throw error;
  }
}

function take(db: SqliteConnection, write: TakeWrite): Refusal | null {
  const found = db.get('SELECT "hits" FROM "windows" WHERE "id" = ?', [write.id]);
  const before = found === null ? [] : (JSON.parse(found[0] as string) as number[]);
  const hits = takeFromWindow(before, { nowMs: write.atMs, windowMs: write.windowMs, max: write.max });
  if (hits === null) return 'window-full';
  db.run(
    `INSERT INTO "windows" ("id", "hits", "version") VALUES (?, ?, 1)
     ON CONFLICT ("id") DO UPDATE SET "hits" = excluded."hits", "version" = "version" + 1`,
    [write.id, JSON.stringify(hits)],
  );
  return null;
}

/** The head is read inside the transaction, which no other process can write into: the chain cannot fork. */
function appendAudit(db: SqliteConnection, entry: AuditEntry): void {
  const head = db.get('SELECT "seq", "hash" FROM "audit" WHERE "chain" = ? ORDER BY "seq" DESC LIMIT 1', [entry.chain]);
  const seq = ((head?.[0] as number | undefined) ?? 0) + 1;
  const linked = { ...entry, seq, prev_hash: (head?.[1] as string | undefined) ?? '' };
  const hash = createHash('sha256').update(canonicalAuditText(linked)).digest('base64url');
  const row: Row = { ...linked, id: `${entry.chain}/${seq}`, hash, version: 1 };
  const table = tableOf('audit');
  checkRow(table, row);
  db.run(
    fixed('append', table.name, () => sql.insertOne(table)),
    encodeRow(table, row),
  );
}

/** What this adapter uses of node:sqlite; `@photostructure/sqlite` has the same face for Node before 22.13. */
export interface SqliteStatement {
  run(...values: SqliteValue[]): { changes: number | bigint };
  get(...values: SqliteValue[]): unknown;
  all(...values: SqliteValue[]): unknown[];
  setReturnArrays(enabled: boolean): void;
}

export interface SqliteDatabase {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
  readonly isTransaction: boolean;
}

export type SqliteValue = string | number | Uint8Array | null;

type DatabaseClass = new (path: string, options?: { open?: boolean; readOnly?: boolean }) => SqliteDatabase;

let loaded: Promise<DatabaseClass> | null = null;

/** The SQLite class of this Node, or the prebuilt one from npm where Node has none. */
export function loadSqlite(): Promise<DatabaseClass> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<DatabaseClass> {
  const own = quietly(() => process.getBuiltinModule?.('node:sqlite' as 'node:fs') as unknown);
  if (hasDatabase(own)) return own.DatabaseSync;
  const fromNpm: unknown = await import('@photostructure/sqlite');
  if (hasDatabase(fromNpm)) return fromNpm.DatabaseSync;
  throw new Error('expected DatabaseSync from node:sqlite or @photostructure/sqlite');
}

function hasDatabase(module: unknown): module is { DatabaseSync: DatabaseClass } {
  if (module === null || typeof module !== 'object' || !('DatabaseSync' in module)) return false;
  // Arrays instead of objects came with 22.16; an older node:sqlite would return rows this adapter cannot read.
  const { StatementSync } = module as { StatementSync?: { prototype: object } };
  return StatementSync === undefined || 'setReturnArrays' in StatementSync.prototype;
}

/** Runs `load` without the "SQLite is an experimental feature" line that some versions of Node print on standard error. */
function quietly<T>(load: () => T): T {
  const emitWarning = process.emitWarning;
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    if (String(warning).includes('SQLite')) return;
    (emitWarning as (...all: unknown[]) => void).call(process, warning, ...rest);
  }) as typeof process.emitWarning;
  try {
    return load();
  } finally {
    process.emitWarning = emitWarning;
  }
}

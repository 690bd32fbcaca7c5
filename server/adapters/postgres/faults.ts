import { StorageFullError, StorageUnavailableError } from '../../ports/faults.ts';

const REASONS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'the database refuses connections'],
  ['ENOTFOUND', 'the name of the database server is not known'],
  ['ECONNRESET', 'the connection to the database was lost'],
  ['EPIPE', 'the connection to the database was lost'],
  ['ETIMEDOUT', 'the database does not answer in time'],
  ['25006', 'the database is read-only'],
  ['28000', 'the database refuses the credentials'],
  ['28P01', 'the database refuses the credentials'],
  ['3D000', 'the database does not exist'],
  ['3F000', 'the schema does not exist'],
  ['42501', 'the database refuses permission'],
  ['42P01', 'a table is missing'],
  ['53300', 'the database has too many connections'],
  ['57P01', 'the database is being shut down'],
  ['57P02', 'the database has crashed'],
  ['57P03', 'the database is starting'],
]);

/** Classes of SQLSTATE that tell of the server and not of the statement [PostgreSQL, appendix A]. */
const SERVER_CLASSES: ReadonlySet<string> = new Set([
  '08',
  '25',
  '28',
  '3D',
  '3F',
  '53',
  '54',
  '55',
  '57',
  '58',
  'F0',
  'XX',
]);

/** The driver gives these no code. */
const LOST = /connection terminated|connection error|not queryable|timeout|client was closed/i;

export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : '';
}

/** The statement failed only because an earlier one of its transaction had. */
export function isAftermath(error: unknown): boolean {
  return codeOf(error) === '25P02';
}

/** A key or unique index is taken. */
export function isTaken(error: unknown): boolean {
  return codeOf(error) === '23505';
}

/** What `holds` in statements.ts raises where a statement touched no row. */
export function isNotHeld(error: unknown): boolean {
  return codeOf(error) === '22012';
}

/** Two transactions were in each other's way: nothing was done, and another attempt may succeed. */
export function isCollision(error: unknown): boolean {
  return codeOf(error) === '40001' || codeOf(error) === '40P01';
}

/** The connection is gone, or was never made. */
export function isLost(error: unknown): boolean {
  const code = codeOf(error);
  return /^(E[A-Z]+|08...|57P0.)$/.test(code) || (code === '' && error instanceof Error && LOST.test(error.message));
}

/** The port's fault for an error of the driver's; any other error as it is. Messages name no host, user or value. */
export function asFault(error: unknown): unknown {
  const code = codeOf(error);
  if (code === '53100') return new StorageFullError('metadata: no room on the database’s disk (53100)');
  const isServers = /^[0-9A-Z]{5}$/.test(code) && SERVER_CLASSES.has(code.slice(0, 2));
  if (!isServers && !isLost(error) && !REASONS.has(code)) return error;
  const reason = REASONS.get(code) ?? 'the database cannot be used';
  return new StorageUnavailableError(`metadata: ${reason}${code === '' ? '' : ` (${code})`}`);
}

import { FuselinkError } from '../../usecases/error.ts';

/** CloudTower's way to ask for a list: filters, an order, and a window by position. */
export interface ListQuery {
  where?: Record<string, unknown> | null;
  orderBy?: string | null;
  skip?: number | null;
  first?: number | null;
}

export interface Askable {
  /** Fields that `where` may name: plain, or with `_in`, `_not`, `_contains`, `_starts_with`. */
  where: readonly string[];
  /** Fields that `orderBy` may name, with `_ASC` or `_DESC`. */
  orderBy: readonly string[];
}

/** Rows one such call looks through: it has no cursor, so everything before the window is read again. */
const ROWS_MAX = 10_000;

/** Every row of a native list, page by page, up to the most such a call may look through. */
export async function allPages<Name extends string, Row>(
  load: (cursor: string | undefined) => Promise<{ [N in Name]: Row[] } & { next_cursor: string | null }>,
  name: Name,
): Promise<Row[]> {
  const rows: Row[] = [];
  let cursor: string | undefined;
  do {
    const page = await load(cursor);
    rows.push(...(page[name] as Row[]));
    cursor = page.next_cursor ?? undefined;
    if (rows.length > ROWS_MAX) {
      throw new FuselinkError(
        'invalid_field',
        `Expected at most ${ROWS_MAX} rows to look through, got more: use the native list with its cursor.`,
      );
    }
  } while (cursor !== undefined);
  return rows;
}

/** Filters, orders and cuts the rows; throws `invalid_field` for what cannot be asked. */
export function arrange<Row extends object>(rows: readonly Row[], query: ListQuery, askable: Askable): Row[] {
  const tests = Object.entries(query.where ?? {}).map(([name, value]) => testOf(name, value, askable));
  const found = rows.filter((row) => tests.every((test) => test(row as Record<string, unknown>)));
  const order = orderOf(query.orderBy, askable);
  if (order !== null) found.sort(order);
  const skip = position('skip', query.skip) ?? 0;
  const first = position('first', query.first);
  return found.slice(skip, first === null ? undefined : skip + first);
}

type Test = (row: Record<string, unknown>) => boolean;

function testOf(name: string, value: unknown, askable: Askable): Test {
  const match = /^([A-Za-z_]+?)(_in|_not|_contains|_starts_with)?$/.exec(name);
  const whole = askable.where.includes(name);
  const field = whole ? name : (match?.[1] ?? '');
  const operator = whole ? '' : (match?.[2] ?? '');
  if (!askable.where.includes(field)) {
    throw refused(`where.${name.slice(0, 40)}`, `expected a filter on ${askable.where.join(', ')}, got another`);
  }
  // A null filter filters nothing, as in those clients' generated code.
  if (value === null || value === undefined) return () => true;
  if (operator === '_in') {
    if (!Array.isArray(value)) throw refused(`where.${name}`, 'expected an array, got another');
    return (row) => value.includes(row[field]);
  }
  if (operator === '_contains' || operator === '_starts_with') {
    if (typeof value !== 'string') throw refused(`where.${name}`, 'expected a text, got another');
    return (row) => {
      const text = String(row[field] ?? '');
      return operator === '_contains' ? text.includes(value) : text.startsWith(value);
    };
  }
  if (typeof value === 'object')
    throw refused(`where.${name}`, 'expected a text, a number or true or false, got another');
  return (row) => (row[field] === value) === (operator === '');
}

function orderOf(text: unknown, askable: Askable): ((a: object, b: object) => number) | null {
  if (text === null || text === undefined) return null;
  const match = typeof text === 'string' ? /^(\w+)_(ASC|DESC)$/.exec(text) : null;
  const field = match?.[1] ?? '';
  if (!askable.orderBy.includes(field)) {
    const known = askable.orderBy.map((name) => `${name}_ASC, ${name}_DESC`).join(', ');
    throw refused('orderBy', `expected one of ${known}, got another`);
  }
  const sign = match?.[2] === 'DESC' ? -1 : 1;
  return (a, b) => sign * compare((a as Record<string, unknown>)[field], (b as Record<string, unknown>)[field]);
}

/** Nulls first; numbers by size, texts by code unit: dates are RFC 3339 and sort as text. */
function compare(a: unknown, b: unknown): number {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  return (a as string | number) < (b as string | number) ? -1 : 1;
}

function position(name: string, value: unknown): number | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw refused(name, 'expected a whole number from 0, got another');
}

function refused(field: string, detail: string): FuselinkError {
  return new FuselinkError('invalid_field', `${field}: ${detail}.`, { errors: [{ field, detail }] });
}

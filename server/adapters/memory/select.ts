import type { CheckedCondition, CheckedQuery } from '../queries.ts';
import type { Row } from '../rows.ts';
import { comparePrefix, compareValues, type Ordered } from './order.ts';
import type { SortedRows } from './sorted-rows.ts';

/** Rows that match, in order, at most `limit`: read from the index that narrows them best, sorted only where none is in order. */
export function selectRows(indexes: readonly SortedRows[], query: CheckedQuery): Row[] {
  const plan = planFor(indexes, query);
  const found: Row[] = [];
  if (query.limit === 0) return found;
  for (const row of candidates(plan, query)) {
    if (!query.where.every((condition) => holds(row, condition)) || !isAfter(row, query)) continue;
    found.push(row);
    if (plan.inOrder && found.length === query.limit) break;
  }
  if (plan.inOrder) return found;
  return found.sort((a, b) => compareRows(a, b, query.order)).slice(0, query.limit);
}

interface Plan {
  index: SortedRows;
  /** Values of the index's first columns that every match has. */
  prefix: Ordered[];
  /** Whether the index yields rows in the query's order. */
  inOrder: boolean;
  descending: boolean;
}

function planFor(indexes: readonly SortedRows[], query: CheckedQuery): Plan {
  const equal = new Map<string, Ordered>();
  for (const { column, operator, value } of query.where) if (operator === '=') equal.set(column, value as Ordered);
  let best: { plan: Plan; score: number } | null = null;
  for (const index of indexes) {
    const plan = planWith(index, equal, query);
    const score = plan.prefix.length * 2 + (plan.inOrder ? 1 : 0) + (ranged(plan, query) ? 1 : 0);
    if (best === null || score > best.score) best = { plan, score };
  }
  if (best === null) throw new Error('expected at least the index of the key');
  return best.plan;
}

function planWith(index: SortedRows, equal: ReadonlyMap<string, Ordered>, query: CheckedQuery): Plan {
  const prefix: Ordered[] = [];
  for (const column of index.columns) {
    const value = equal.get(column);
    if (value === undefined) break;
    prefix.push(value);
  }
  const rest = index.columns.slice(prefix.length);
  const descending = query.order[0]?.descending ?? false;
  const inOrder = query.order.every(({ column, descending: down }, at) => rest[at] === column && down === descending);
  return { index, prefix, inOrder, descending: inOrder && descending };
}

function ranged(plan: Plan, query: CheckedQuery): boolean {
  const next = plan.index.columns[plan.prefix.length];
  return query.where.some(({ column, operator }) => column === next && /^[<>]/.test(operator));
}

function* candidates(plan: Plan, query: CheckedQuery): Generator<Row> {
  const { index, prefix } = plan;
  const columns = index.columns.slice(0, prefix.length);
  const start = plan.inOrder && query.after !== null ? [...prefix, ...query.after] : startOf(plan, query);
  const rows = plan.descending ? index.descending(start) : index.ascending(start);
  for (const row of rows) {
    const here = columns.map((column) => row[column] as Ordered);
    if (comparePrefix(here, prefix) !== 0) return;
    if (beyondRange(row, plan, query)) return;
    yield row;
  }
}

/** Where a range on the column behind the prefix lets the walk begin. */
function startOf(plan: Plan, query: CheckedQuery): Ordered[] {
  const next = plan.index.columns[plan.prefix.length];
  const operators = plan.descending ? ['<', '<='] : ['>', '>='];
  const bound = query.where.find(({ column, operator }) => column === next && operators.includes(operator));
  return bound === undefined ? plan.prefix : [...plan.prefix, bound.value as Ordered];
}

/** Whether this row, and so every later one, lies past a range on the column behind the prefix. */
function beyondRange(row: Row, plan: Plan, query: CheckedQuery): boolean {
  const next = plan.index.columns[plan.prefix.length];
  if (next === undefined) return false;
  const end = plan.descending ? '>' : '<';
  return query.where.some(({ column, operator, value }) => {
    if (column !== next || operator[0] !== end) return false;
    const order = compareValues(row[column] as Ordered, value as Ordered);
    return plan.descending ? order < 0 : order > 0;
  });
}

/** Whether the row fulfils the condition; as in SQL, a comparison with a null column never holds. */
export function holds(row: Row, { column, operator, value }: CheckedCondition): boolean {
  const here = row[column] as Ordered;
  if (operator === 'is-null') return here === null;
  if (here === null) return false;
  switch (operator) {
    case 'not-null':
      return true;
    case 'in':
      return (value as Ordered[]).includes(here);
    case '=':
      return here === value;
    case '<':
      return compareValues(here, value as Ordered) < 0;
    case '<=':
      return compareValues(here, value as Ordered) <= 0;
    case '>':
      return compareValues(here, value as Ordered) > 0;
    case '>=':
      return compareValues(here, value as Ordered) >= 0;
  }
}

function isAfter(row: Row, query: CheckedQuery): boolean {
  if (query.after === null) return true;
  const here = query.order.map(({ column }) => row[column] as Ordered);
  const order = comparePrefix(here, query.after);
  return query.order[0]?.descending ? order < 0 : order > 0;
}

function compareRows(a: Row, b: Row, order: CheckedQuery['order']): number {
  for (const { column, descending } of order) {
    const difference = compareValues(a[column] as Ordered, b[column] as Ordered);
    if (difference !== 0) return descending ? -difference : difference;
  }
  return 0;
}

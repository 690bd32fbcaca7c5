import type { CheckedCondition, CheckedQuery } from '../queries.ts';
import type { Row } from '../rows.ts';
import { comparePrefix, compareValues, type Ordered } from './order.ts';
import type { SortedRows } from './sorted-rows.ts';

/** What rows are selected from: the indexes of a table, and the plans made for it so far. */
export interface Selectable {
  indexes: readonly SortedRows[];
  /** By the shape of the query: its columns, operators and orders, which come from code and are few. */
  plans: Map<string, Plan>;
}

/** How queries of one shape are answered. Conditions are meant by their place in the query. */
export interface Plan {
  index: SortedRows;
  /** Conditions that say the values of the index's first columns, which every match has. */
  prefix: readonly number[];
  /** All other conditions. */
  rest: readonly number[];
  /** Whether the index yields rows in the query's order. */
  inOrder: boolean;
  descending: boolean;
  /** Where a range on the column behind the prefix lets the walk begin; −1: there is none. */
  start: number;
  /** What ends the walk: the other side of such a range. */
  ends: readonly number[];
}

/** Rows that match, in order, at most `limit`: read from the index that narrows them best, sorted only where none is in order. */
export function selectRows(from: Selectable, query: CheckedQuery): Row[] {
  const found: Row[] = [];
  if (query.limit === 0) return found;
  const plan = planFor(from, query);
  const { index, rest, ends, inOrder, descending } = plan;
  const { where } = query;
  const prefix = plan.prefix.map((at) => (where[at] as CheckedCondition).value as Ordered);
  const visit = (row: Row): boolean => {
    for (let at = 0; at < prefix.length; at++) if (row[index.columns[at] as string] !== prefix[at]) return false;
    for (const at of ends) if (isBeyond(row, where[at] as CheckedCondition, descending)) return false;
    for (const at of rest) if (!holds(row, where[at] as CheckedCondition)) return true;
    if (!isAfter(row, query)) return true;
    found.push(row);
    return !inOrder || found.length < query.limit;
  };
  const start = inOrder && query.after !== null ? [...prefix, ...query.after] : startOf(plan, prefix, query);
  if (descending) index.descend(start, visit);
  else index.ascend(start, visit);
  if (inOrder) return found;
  return found.sort((a, b) => compareRows(a, b, query.order)).slice(0, query.limit);
}

function planFor({ indexes, plans }: Selectable, query: CheckedQuery): Plan {
  let shape = '';
  for (const { column, operator } of query.where) shape += `${column} ${operator},`;
  for (const { column, descending } of query.order) shape += descending ? `-${column}` : `+${column}`;
  const known = plans.get(shape);
  if (known !== undefined) return known;
  const plan = bestPlan(indexes, query);
  plans.set(shape, plan);
  return plan;
}

function bestPlan(indexes: readonly SortedRows[], query: CheckedQuery): Plan {
  let best: { plan: Plan; score: number } | null = null;
  for (const index of indexes) {
    const plan = planWith(index, query);
    const ranged = plan.start >= 0 || plan.ends.length > 0;
    const score = plan.prefix.length * 2 + (plan.inOrder ? 1 : 0) + (ranged ? 1 : 0);
    if (best === null || score > best.score) best = { plan, score };
  }
  if (best === null) throw new Error('expected at least the index of the key');
  return best.plan;
}

function planWith(index: SortedRows, { where, order }: CheckedQuery): Plan {
  const prefix: number[] = [];
  for (const column of index.columns) {
    const at = where.findLastIndex((condition) => condition.column === column && condition.operator === '=');
    if (at < 0) break;
    prefix.push(at);
  }
  const behind = index.columns.slice(prefix.length);
  const down = order[0]?.descending ?? false;
  const inOrder = order.every(({ column, descending }, at) => behind[at] === column && descending === down);
  const descending = inOrder && down;
  const all = where.map((_, at) => at);
  const bounds = (side: string) =>
    all.filter((at) => where[at]?.column === behind[0] && where[at]?.operator.startsWith(side));
  const [starts, ends] = descending ? [bounds('<'), bounds('>')] : [bounds('>'), bounds('<')];
  const rest = all.filter((at) => !prefix.includes(at));
  return { index, prefix, rest, inOrder, descending, start: starts[0] ?? -1, ends };
}

function startOf(plan: Plan, prefix: Ordered[], { where }: CheckedQuery): Ordered[] {
  if (plan.start >= 0) return [...prefix, (where[plan.start] as CheckedCondition).value as Ordered];
  const end = plan.ends[0];
  if (end === undefined || plan.descending) return prefix;
  // A comparison with null never holds: the rows without a value, which come first, are passed over.
  return [...prefix, lowestLike((where[end] as CheckedCondition).value as Ordered)];
}

function lowestLike(value: Ordered): Ordered {
  if (typeof value === 'number') return Number.NEGATIVE_INFINITY;
  return typeof value === 'string' ? '' : false;
}

/** Whether this row, and so every later one, lies past the end of a range on the column behind the prefix. */
function isBeyond(row: Row, { column, value }: CheckedCondition, descending: boolean): boolean {
  const order = compareValues(row[column] as Ordered, value as Ordered);
  return descending ? order < 0 : order > 0;
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

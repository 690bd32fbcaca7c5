import { expect, test } from 'vitest';
import { tableOf } from '../rows.ts';
import { type Place, SortedRows } from './sorted-rows.ts';
import { MemoryTable } from './table.ts';

interface Numbered {
  id: string;
  at: number | null;
}

const rowsOf = (index: SortedRows, from: (number | null)[] = []) => {
  const ids: string[] = [];
  index.ascend(from, (row) => ids.push(row['id'] as string) > 0);
  return ids;
};
const inOrder = (places: readonly Place[]) =>
  places
    .map(({ row }) => row as unknown as Numbered)
    .sort((a, b) => (a.at ?? -1) - (b.at ?? -1) || (a.id < b.id ? -1 : 1))
    .map(({ id }) => id);

test.each(['before the first of them', 'in the middle', 'after the last'])(
  'sorted rows: thousands come, go and move, first read %s → in order, from any place, both ways',
  (when) => {
    const places: Place[] = [];
    const index = new SortedRows(['at'], 'id', () => places);
    const steps = 3_000;
    const readAt = { 'before the first of them': 0, 'in the middle': steps / 2 }[when] ?? steps;
    let state = 1;
    const draw = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    for (let step = 0; step < steps; step++) {
      if (step === readAt) rowsOf(index);
      const at = draw(10) === 0 ? null : draw(500);
      const known = places[draw(places.length + 1)];
      if (known === undefined || draw(2) === 0) {
        const place = { row: { id: `r${String(step).padStart(5, '0')}`, at } };
        places.push(place);
        index.add(place);
      } else if (draw(3) === 0) {
        index.remove(known);
        places.splice(places.indexOf(known), 1);
      } else {
        const row = { ...known.row, at };
        const moves = index.isMoved(known.row, row);
        if (moves) index.remove(known);
        known.row = row;
        if (moves) index.add(known);
      }
    }
    expect(places.length).toBeGreaterThan(600);
    expect(rowsOf(index)).toEqual(inOrder(places));
    expect(rowsOf(index, [250])).toEqual(inOrder(places.filter(({ row }) => (row['at'] as number) >= 250)));
    const back: string[] = [];
    index.descend([250], (row) => back.push(row['id'] as string) > 0);
    expect(back.reverse()).toEqual(inOrder(places.filter(({ row }) => ((row['at'] as number | null) ?? -1) <= 250)));
  },
);

test('sorted rows: a place that is not there is removed → an error, not another row', () => {
  const known = { row: { id: 'a', at: 1 } };
  const index = new SortedRows(['at'], 'id', () => [known]);
  rowsOf(index);
  expect(() => index.remove({ row: { id: 'a', at: 1 } })).toThrow('expected the row in the index');
});

test('memory table: unique values whose texts could run into each other → kept apart', () => {
  const table = new MemoryTable(tableOf('devices'));
  const row = (id: string, account: string, name: string) => ({ ...table.shape.blank, id, account_id: account, name });
  table.set(row('1', '', 'x'));
  table.set(row('2', 'x', ''));
  expect(table.isTaken(row('3', '', 'x'))).toBe(true);
  expect(table.isTaken(row('3', 'x', 'x'))).toBe(false);
  expect(table.find(['name', 'account_id'], { name: '', account_id: 'x' })?.['id']).toBe('2');
  table.set(row('1', '', 'y'));
  expect(table.isTaken(row('3', '', 'x'))).toBe(false);
  expect(table.isTaken(row('3', '', 'y'))).toBe(true);
});

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { serverTableMarkdown, watchTableMarkdown } from './describe.ts';
import { SERVER_TABLE, WATCH_TABLE } from './table.ts';
import { ACTIONS, GUARDS } from './words.ts';

const design = readFileSync(new URL('./DESIGN.md', import.meta.url), 'utf8');

function section(name: string): string | undefined {
  return design.split(`<!-- ${name} -->\n`)[1]?.split(`\n<!-- /${name} -->`)[0];
}

test('server table: rendered → the table in DESIGN.md', () => {
  expect(section('table')).toBe(serverTableMarkdown());
});

test('watch table: rendered → the table in DESIGN.md', () => {
  expect(section('watch')).toBe(watchTableMarkdown());
});

test('server table: all rows → every word is used', () => {
  const calledByOthers = ['heardNew', 'heard'];
  const guards = [...SERVER_TABLE, ...WATCH_TABLE].flatMap((row) => row.when);
  expect(new Set(guards)).toEqual(new Set(Object.keys(GUARDS)));
  const actions = [...SERVER_TABLE.flatMap((row) => row.does), ...calledByOthers];
  expect(new Set(actions)).toEqual(new Set(Object.keys(ACTIONS)));
});

test('server table: an arrow → it has a word for the audit; no arrow → it has none', () => {
  for (const row of SERVER_TABLE) expect(row.audit !== null, `${row.from} ${row.on}`).toBe(row.to !== null);
});

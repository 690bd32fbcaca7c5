import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { deviceTableMarkdown } from './describe.ts';
import { ROTATION_ACTIONS, ROTATION_GUARDS } from './machine.ts';
import { DEVICE_TABLE, parseDeviceRow } from './table.ts';

const PHASES = ['*', 'EMPTY', 'SETTLED', 'STAGED', 'PROVING', 'PROVEN', 'LIMBO'];
const EVENTS = [
  ...['*', 'booted', 'provisioned', 'written', 'wanted', 'recoverable', 'candidate', 'registered', 'accepted'],
  ...['settled', 'revoked', 'unknown', 'failed', 'due'],
];

test('device table: rendered → the table in DESIGN.md', () => {
  const design = readFileSync(new URL('./DESIGN.md', import.meta.url), 'utf8');
  const held = design.split('<!-- table -->\n')[1]?.split('\n<!-- /table -->')[0];
  expect(held).toBe(deviceTableMarkdown());
});

test.each(DEVICE_TABLE)('device table: "%s" → only words that exist', (line) => {
  const row = parseDeviceRow(line);
  expect(line.split(' ').length).toBe(row.safety ? 6 : 5);
  for (const phase of row.phases) expect(PHASES).toContain(phase);
  for (const event of row.events) expect(EVENTS).toContain(event);
  expect([...PHASES.slice(1), '=']).toContain(row.next);
  for (const guard of row.guards) expect(Object.keys(ROTATION_GUARDS)).toContain(guard);
  for (const action of row.actions) expect(Object.keys(ROTATION_ACTIONS)).toContain(action);
});

test('device table: all rows → every word is used, and none stands twice', () => {
  const rows = DEVICE_TABLE.map(parseDeviceRow);
  expect(new Set(rows.flatMap((row) => row.guards))).toEqual(new Set(Object.keys(ROTATION_GUARDS)));
  expect(new Set(rows.flatMap((row) => row.actions))).toEqual(new Set(Object.keys(ROTATION_ACTIONS)));
  expect(new Set(DEVICE_TABLE).size).toBe(DEVICE_TABLE.length);
});

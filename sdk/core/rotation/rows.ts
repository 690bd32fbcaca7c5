import type { DeviceRow, DeviceRows } from './table.ts';
import type { Phase, RotationEffect, RotationEvent, RotationState } from './types.ts';
import type { ActionName, GuardName } from './words.ts';

/** Rows, and what their words mean. */
export interface Table {
  rows: DeviceRows;
  holds(name: GuardName, state: RotationState, event: RotationEvent): boolean;
  act(name: ActionName, state: RotationState, event: RotationEvent, effects: RotationEffect[]): void;
}

function fits(table: Table, row: DeviceRow, state: RotationState, event: RotationEvent): boolean {
  if (row.events[0] !== '*' && row.events.indexOf(event.kind) < 0) return false;
  if (row.phases[0] !== '*' && row.phases.indexOf(state.phase) < 0) return false;
  for (let i = 0; i < row.guards.length; i++) if (!table.holds(row.guards[i] as GuardName, state, event)) return false;
  return true;
}

/** Does what the first row says that fits, if there is one: changes `state`, a copy that the step owns, and adds effects. */
export function takeRowOf(table: Table, state: RotationState, event: RotationEvent, effects: RotationEffect[]): void {
  for (let i = 0; i < table.rows.count; i++) {
    const row = table.rows.at(i);
    if (!fits(table, row, state, event)) continue;
    if (row.next !== '=') state.phase = row.next as Phase;
    // What was being written is written, whatever came of it.
    if (event.kind === 'written') state.writing = null;
    for (let j = 0; j < row.actions.length; j++) table.act(row.actions[j] as ActionName, state, event, effects);
    return;
  }
}

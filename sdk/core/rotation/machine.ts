import { type RotationStep, stepTaking } from './agent.ts';
import { type Table, takeRowOf } from './rows.ts';
import type { DeviceRows } from './table.ts';
import type { RotationEffect, RotationEvent, RotationState } from './types.ts';
import { ACTION_NAMES, act, GUARD_NAMES, guardHolds } from './words.ts';

export type RotationGuard = (state: RotationState, event: RotationEvent) => boolean;
export type RotationAction = (state: RotationState, event: RotationEvent, effects: RotationEffect[]) => void;

/** The guards of the table by name, for a checker that puts others beside them. */
export const ROTATION_GUARDS: { [name: string]: RotationGuard } = {};
GUARD_NAMES.forEach((name) => {
  ROTATION_GUARDS[name] = (state, event) => guardHolds(name, state, event);
});

/** The actions of the table by name. */
export const ROTATION_ACTIONS: { [name: string]: RotationAction } = {};
ACTION_NAMES.forEach((name) => {
  ROTATION_ACTIONS[name] = (state, event, effects) => act(name, state, event, effects);
});

/** Rows and the words they use. The model checker passes patched ones; the product has exactly one. */
export interface DeviceMachine {
  rows: DeviceRows;
  guards: typeof ROTATION_GUARDS;
  actions: typeof ROTATION_ACTIONS;
}

/** `stepRotation` over any rows of the same form. */
export function stepRotationWith(machine: DeviceMachine, before: RotationState, event: RotationEvent): RotationStep {
  const table: Table = {
    rows: machine.rows,
    holds: (name, state, said) => (machine.guards[name] as RotationGuard)(state, said),
    act: (name, state, said, effects) => (machine.actions[name] as RotationAction)(state, said, effects),
  };
  return stepTaking((state, said, effects) => takeRowOf(table, state, said, effects), before, event);
}

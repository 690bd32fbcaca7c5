import { takeRowOf } from './rows.ts';
import { DEVICE_ROWS } from './table.ts';
import type { RotationEffect, RotationEvent, RotationState } from './types.ts';
import { act, guardHolds } from './words.ts';

/**
 * Takes the row of the product's own table that fits. A file of its own, because small devices have in its place what the
 * build has compiled from the same table and words (`sdk/espruino-table.ts`).
 */
export function takeRow(state: RotationState, event: RotationEvent, effects: RotationEffect[]): void {
  takeRowOf({ rows: DEVICE_ROWS, holds: guardHolds, act: act }, state, event, effects);
}

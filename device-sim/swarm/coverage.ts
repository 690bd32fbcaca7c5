import { DEVICE_ROWS } from '#sdk/core';
import { SERVER_MACHINE } from '#server';
import type { Coverage } from './run.ts';

/** One cell of the matrix that the product's tables name. */
export interface Cell {
  side: 'device' | 'server';
  state: string;
  event: string;
  hits: number;
}

/**
 * Cells that the swarm does not reach, each with its reason; a thousand seeds are expected to hit all others. What stands here is searched exhaustively by `model`.
 */
const UNREACHED: Readonly<Record<string, string>> = {
  'device LIMBO unknown': 'both keys revoked and then one unknown: needs a restore between two requests of one device',
  'server OVERDUE rotation.minted': 'whoever registers is heard first, and that leads back to WANTED',
  'server OVERDUE rotation.recovered':
    'between a deadline and the next contact the key has to be revoked, and the device to recover without being heard first',
};

const KEYED = ['IDLE', 'WANTED', 'OVERDUE', 'MINTED', 'PROVEN', 'QUARANTINED'];

/** Every cell that a row of the product's tables names outright, with how often it was hit in these runs. */
export function cellsOf(coverage: Pick<Coverage, 'device' | 'server'>): Cell[] {
  const cells = new Map<string, Cell>();
  const add = (side: Cell['side'], state: string, event: string) => {
    const hits = coverage[side][state]?.[event] ?? 0;
    cells.set(`${side} ${state} ${event}`, { side, state, event, hits });
  };
  for (let i = 0; i < DEVICE_ROWS.count; i++) {
    const { phases, events } = DEVICE_ROWS.at(i);
    if (phases[0] === '*' || events[0] === '*') continue;
    for (const phase of phases) for (const event of events) add('device', phase, event);
  }
  for (const row of SERVER_MACHINE.table) {
    const { from, to, audit } = row as { from: readonly string[] | '*'; to: string | null; audit: string | null };
    if (to === null || audit === null) continue;
    for (const state of from === '*' ? KEYED : from) add('server', state, `rotation.${audit}`);
  }
  return [...cells.values()];
}

/** Cells that were never hit and have no reason for it. */
export function neverHit(coverage: Pick<Coverage, 'device' | 'server'>): Cell[] {
  return cellsOf(coverage).filter(
    ({ side, state, event, hits }) => hits === 0 && UNREACHED[`${side} ${state} ${event}`] === undefined,
  );
}

/** Adds the hits of one run to those of others. */
export function addCoverage(sum: Coverage, more: Coverage): void {
  for (const side of ['device', 'server', 'campaign'] as const) {
    for (const [state, events] of Object.entries(more[side])) {
      const cells = sum[side][state] ?? {};
      sum[side][state] = cells;
      for (const [event, hits] of Object.entries(events)) cells[event] = (cells[event] ?? 0) + hits;
    }
  }
}

/** The matrix for a terminal: a line a state, `·` for what was never hit. */
export function coverageText(coverage: Pick<Coverage, 'device' | 'server'>): string {
  const lines: string[] = [];
  for (const side of ['device', 'server'] as const) {
    const cells = cellsOf(coverage).filter((cell) => cell.side === side);
    lines.push(`${side}:`);
    for (const state of [...new Set(cells.map((cell) => cell.state))]) {
      const own = cells.filter((cell) => cell.state === state);
      const words = own.map(({ event, hits }) => `${event.replace('rotation.', '')} ${hits === 0 ? '·' : hits}`);
      lines.push(`  ${state.padEnd(12)} ${words.join('  ')}`);
    }
  }
  return lines.join('\n');
}

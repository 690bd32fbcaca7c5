import type { RotationCommand } from '#server';
import type { ModelOptions } from './options.ts';
import { AFTER, BEFORE } from './server-moves.ts';
import type { World } from './world.ts';

/** A command that nobody's request brings: the operator's, or time's. */
export interface Initiative {
  command: RotationCommand;
  nowMs: number;
  /** Help that a waiting system may count on: time, or the operator ending what an operator began. */
  progress: boolean;
  /** An incident begins; there is one at most. */
  incident: boolean;
}

function plan(options: ModelOptions): Extract<RotationCommand, { kind: 'select' }> {
  return {
    kind: 'select',
    plan: {
      source: options.source,
      campaignId: null,
      policy: 'keep',
      deadlineAtMs: AFTER,
      soakMs: 1,
      pendingTtlMs: 1,
      oldContactsMax: 2,
    },
  };
}

/** What operators and time may do to this row now, apart from decisions taken on an earlier read. */
export function initiatives(options: ModelOptions, world: World, newKey: string): Initiative[] {
  const { row } = world.server;
  const { incident } = world.around;
  const list: Initiative[] = [];
  const add = (command: RotationCommand, more: Partial<Initiative> = {}) =>
    list.push({ command, nowMs: BEFORE, progress: false, incident: false, ...more });
  add({ kind: 'tick' }, { nowMs: AFTER, progress: true });
  switch (row.state) {
    case 'IDLE':
      if (row.generation < options.generationMax) add(plan(options));
      break;
    case 'WANTED':
    case 'OVERDUE':
      add({ kind: 'abort' });
      if (options.source !== 'manual') break;
      add({ kind: 'issue', fingerprint: newKey, paused: true });
      add({ kind: 'issue', fingerprint: newKey, paused: false }, { progress: true });
      break;
    case 'QUARANTINED':
      add({ kind: 'release' }, { progress: true });
      for (const { fingerprint } of row.proposals) add({ kind: 'approve', fingerprint }, { progress: true });
      break;
    case 'LOST':
      add({ kind: 'reprovision', fingerprint: newKey }, { progress: true });
      break;
    default:
      break;
  }
  // An incident needs a generation of its own to be ended.
  if (options.incidents && !incident && row.generation < options.generationMax) {
    add({ kind: 'quarantine', reason: 'suspicion' }, { incident: true });
    add({ kind: 'lose', reason: 'declared' }, { incident: true });
  }
  return list;
}

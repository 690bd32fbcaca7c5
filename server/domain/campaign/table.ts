import type { CampaignCommand, CampaignState } from './types.ts';
import type { ActionName, GuardName } from './words.ts';

/** One row: the first that fits state and command and whose guards all hold is taken. `to` '=': back to `resumeTo`. */
export interface CampaignRow {
  from: readonly CampaignState[];
  on: CampaignCommand['kind'];
  when: readonly GuardName[];
  to: CampaignState | '=';
  does: readonly ActionName[];
  audit: string;
}

const RUNNING = ['CANARY', 'SOAK', 'WAVE', 'STRAGGLERS'] as const;
const BEFORE = ['DRAFT', 'SCHEDULED'] as const;

/** Campaigns as one table: `stepCampaign` executes it, DESIGN.md renders it. */
export const CAMPAIGN_TABLE: readonly CampaignRow[] = [
  { from: BEFORE, on: 'start', when: [], to: 'CANARY', does: ['firstWave'], audit: 'started' },
  { from: BEFORE, on: 'schedule', when: [], to: 'SCHEDULED', does: ['schedule'], audit: 'scheduled' },
  { from: ['SCHEDULED'], on: 'tick', when: ['startDue'], to: 'CANARY', does: ['firstWave'], audit: 'started' },
  { from: BEFORE, on: 'abort', when: [], to: 'ABORTED', does: [], audit: 'aborted' },

  { from: RUNNING, on: 'pause', when: [], to: 'PAUSED', does: ['hold', 'sayWhy'], audit: 'paused' },
  { from: ['PAUSED'], on: 'resume', when: [], to: '=', does: ['goOn', 'forgive'], audit: 'resumed' },
  { from: [...RUNNING, 'PAUSED'], on: 'abort', when: [], to: 'ABORTING', does: ['goOn'], audit: 'aborting' },
  { from: [...RUNNING, 'PAUSED'], on: 'rollBack', when: [], to: 'ROLLING_BACK', does: ['goOn'], audit: 'rolling-back' },

  { from: RUNNING, on: 'tick', when: ['anyLimbo'], to: 'PAUSED', does: ['hold', 'sayLimbo'], audit: 'paused' },
  { from: RUNNING, on: 'tick', when: ['tooManyErrors'], to: 'PAUSED', does: ['hold', 'sayErrors'], audit: 'paused' },
  { from: ['CANARY', 'WAVE'], on: 'tick', when: ['waveOver'], to: 'SOAK', does: [], audit: 'wave-over' },
  { from: ['SOAK'], on: 'tick', when: ['soakOver', 'anyWaiting'], to: 'WAVE', does: ['nextWave'], audit: 'wave' },
  { from: ['SOAK'], on: 'tick', when: ['soakOver'], to: 'STRAGGLERS', does: [], audit: 'stragglers' },
  { from: ['STRAGGLERS'], on: 'tick', when: ['noneOpen'], to: 'COMPLETED', does: [], audit: 'completed' },
  {
    from: ['STRAGGLERS'],
    on: 'tick',
    when: ['stragglersOver'],
    to: 'COMPLETED_WITH_STRAGGLERS',
    does: [],
    audit: 'completed-with-stragglers',
  },
  { from: ['ABORTING'], on: 'tick', when: ['noneOpen'], to: 'ABORTED', does: [], audit: 'aborted' },
  { from: ['ROLLING_BACK'], on: 'tick', when: ['noneOpen'], to: 'ROLLED_BACK', does: [], audit: 'rolled-back' },
];

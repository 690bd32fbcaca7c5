import { CAMPAIGN_TABLE } from './table.ts';
import type { Campaign, CampaignCommand, CampaignOutcome, CampaignState } from './types.ts';
import { type Action, CAMPAIGN_ACTIONS, CAMPAIGN_GUARDS, type Guard } from './words.ts';

/** States in which nothing of the campaign mints a key. */
const STILL: readonly CampaignState[] = ['PAUSED', 'ABORTING', 'ROLLING_BACK', 'ABORTED', 'ROLLED_BACK'];

/** Whether a campaign in this state keeps its devices' rotations from minting keys (I13). */
export function isStill(state: CampaignState): boolean {
  return STILL.includes(state);
}

/** Whether the campaign has ended for good. */
export function hasEnded(state: CampaignState): boolean {
  return state.startsWith('COMPLETED') || state === 'ABORTED' || state === 'ROLLED_BACK';
}

/**
 * One command to one campaign at server time `nowMs`. Pure and total: what fits no row changes nothing. The caller stores
 * the outcome by compare-and-set, with one audit entry an arrow.
 */
export function stepCampaign(before: Campaign, command: CampaignCommand, nowMs: number): CampaignOutcome {
  const row = CAMPAIGN_TABLE.find(
    (one) =>
      one.on === command.kind &&
      one.from.includes(before.state) &&
      one.when.every((name) => (CAMPAIGN_GUARDS[name] as Guard)(before, command, nowMs)),
  );
  if (row === undefined) return { kind: 'stayed', campaign: before, audit: null };
  const campaign: Campaign = { ...before };
  for (const name of row.does) (CAMPAIGN_ACTIONS[name] as Action)(campaign, command, nowMs);
  campaign.state = row.to === '=' ? (before.resumeTo ?? 'STRAGGLERS') : row.to;
  if (row.to !== 'PAUSED') campaign.resumeTo = null;
  campaign.sinceMs = nowMs;
  return { kind: 'moved', campaign, audit: `campaign.${row.audit}` };
}

/** The table as the Markdown that DESIGN.md holds; a test compares the two. */
export function campaignTableMarkdown(): string {
  const cell = (words: readonly string[]) => words.map((word) => `\`${word}\``).join(' ');
  const rows = CAMPAIGN_TABLE.map(({ from, on, when, to, does, audit }) =>
    [
      cell(from),
      cell([on]),
      cell(when),
      to === '=' ? 'where it was' : cell([to]),
      cell(does),
      `campaign.${audit}`,
    ].join(' | '),
  );
  const head = ['state | command | when | next | does | audit', '--- | --- | --- | --- | --- | ---'];
  return [...head, ...rows].map((row) => `| ${row} |`).join('\n');
}

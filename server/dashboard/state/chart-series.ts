import type { CampaignSample } from '#sdk/protocol';

export interface Band {
  name: string;
  /** CSS custom property that holds its colour. */
  color: string;
  count: (sample: CampaignSample) => number;
}

/** What the fleet is divided into, from the bottom of the chart up. */
export const BANDS: readonly Band[] = [
  { name: 'Done', color: '--band-done', count: ({ done }) => done },
  { name: 'Proven', color: '--band-proven', count: ({ proven }) => proven },
  { name: 'Staged', color: '--band-staged', count: ({ minted }) => minted },
  {
    name: 'Asked',
    color: '--band-asked',
    // Where a campaign brings no keys, all that is under way is simply asked.
    count: ({ open, proven, minted, overdue }) => Math.max(0, open - proven - minted - overdue),
  },
  { name: 'Overdue', color: '--band-overdue', count: ({ overdue }) => overdue },
  { name: 'Errors', color: '--band-errors', count: ({ errors }) => errors },
  { name: 'Skipped', color: '--band-skipped', count: ({ skipped }) => skipped },
  { name: 'Waiting', color: '--band-waiting', count: ({ waiting }) => waiting },
];

/** Unix seconds, and for each band the height of its upper edge: sums from the bottom up. */
export function stackedSeries(samples: readonly CampaignSample[]): { seconds: number[]; edges: number[][] } {
  const seconds = samples.map(({ at }) => Date.parse(at) / 1000);
  const edges: number[][] = [];
  let below = samples.map(() => 0);
  for (const band of BANDS) {
    below = samples.map((sample, at) => (below[at] ?? 0) + band.count(sample));
    edges.push(below);
  }
  return { seconds, edges };
}

/** The newest sample in words, for who cannot see the chart. */
export function chartWords(samples: readonly CampaignSample[]): string {
  const last = samples.at(-1);
  if (last === undefined) return 'No samples yet.';
  const parts = BANDS.map((band) => ({ name: band.name.toLowerCase(), count: band.count(last) }));
  const said = parts.filter(({ count }) => count > 0).map(({ name, count }) => `${count} ${name}`);
  return `Chart of the fleet's states over time. Now: ${said.join(', ') || 'no devices'}.`;
}

import type { CampaignProgress } from '#sdk/protocol';
import { numberText } from '../format/numbers.ts';

/** How far a campaign is: done, in error, under way and waiting, side by side. */
export function ProgressBar({ progress }: { progress: CampaignProgress }) {
  const { done, errors, open, waiting } = progress;
  const total = done + errors + open + waiting;
  const words = `${numberText(done)} done, ${numberText(open)} under way, ${numberText(waiting)} waiting, ${numberText(errors)} errors`;
  const part = (count: number) => ({ width: total === 0 ? '0' : `${(count / total) * 100}%` });
  return (
    <span class="bar" role="img" aria-label={words} title={words}>
      <span class="bar-good" style={part(done)} />
      <span class="bar-bad" style={part(errors)} />
      <span class="bar-busy" style={part(open)} />
    </span>
  );
}

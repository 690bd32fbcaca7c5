import { ageText, agoText, clockText, exactText, localText } from '../format/time.ts';
import { nowMs } from '../state/clock.ts';

/** How an instant is shown; the exact one is always in its title. */
type Shown = 'ago' | 'local' | 'clock' | 'age';

export function Time({ at, as = 'ago' }: { at: string; as?: Shown }) {
  const ms = Date.parse(at);
  const text =
    as === 'ago'
      ? agoText(ms, nowMs.value)
      : as === 'age'
        ? ageText(ms, nowMs.value)
        : as === 'clock'
          ? clockText(ms)
          : localText(ms);
  return (
    <time dateTime={at} title={exactText(at)}>
      {text}
    </time>
  );
}

/** The same, or words where there is no instant. */
export function TimeOr({ at, otherwise, as = 'ago' }: { at: string | null; otherwise: string; as?: Shown }) {
  return at === null ? <span class="soft">{otherwise}</span> : <Time at={at} as={as} />;
}

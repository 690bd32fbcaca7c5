import { useEffect, useRef, useState } from 'preact/hooks';
import type { CampaignSample } from '#sdk/protocol';
import { numberText } from '../format/numbers.ts';
import { BANDS, chartWords, stackedSeries } from '../state/chart-series.ts';

const HEIGHT_PX = 260;

/** The devices of a campaign by state over time, stacked. The code that draws is fetched with the first chart. */
export function FleetChart({ samples }: { samples: readonly CampaignSample[] }) {
  const frame = useRef<HTMLDivElement>(null);
  const chart = useRef<{ setData(data: number[][]): void; destroy(): void } | null>(null);
  const latest = useRef(samples);
  latest.current = samples;
  const scheme = useScheme();
  const [missing, setMissing] = useState(false);

  useEffect(() => {
    let gone = false;
    let watcher: ResizeObserver | undefined;
    import('./draw-chart.ts').then(
      ({ drawChart }) => {
        if (gone || frame.current === null) return;
        const drawn = drawChart(frame.current, dataOf(latest.current), HEIGHT_PX);
        chart.current = drawn;
        watcher = new ResizeObserver(() => drawn.resize());
        watcher.observe(frame.current);
      },
      () => setMissing(true),
    );
    return () => {
      gone = true;
      watcher?.disconnect();
      chart.current?.destroy();
      chart.current = null;
    };
  }, [scheme]);
  useEffect(() => chart.current?.setData(dataOf(samples)), [samples]);

  const last = samples.at(-1);
  return (
    <figure class="chart">
      <div ref={frame} role="img" aria-label={chartWords(samples)} style={{ minHeight: `${HEIGHT_PX}px` }} />
      {missing ? <p class="soft">The chart could not be loaded; the figures are below.</p> : null}
      <figcaption>
        <ul class="legend">
          {BANDS.map(({ name, color, count }) => (
            <li key={name}>
              <span class="swatch" style={{ background: `var(${color})` }} aria-hidden="true" />
              {name} <strong>{last === undefined ? 0 : numberText(count(last))}</strong>
            </li>
          ))}
        </ul>
      </figcaption>
    </figure>
  );
}

function dataOf(samples: readonly CampaignSample[]): number[][] {
  const { seconds, edges } = stackedSeries(samples);
  return [seconds, ...edges];
}

/** Dark or light: colours on a canvas do not follow by themselves. */
function useScheme(): string {
  const [scheme, setScheme] = useState(() => (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
  useEffect(() => {
    const media = matchMedia('(prefers-color-scheme: dark)');
    const changed = () => setScheme(media.matches ? 'dark' : 'light');
    media.addEventListener('change', changed);
    return () => media.removeEventListener('change', changed);
  }, []);
  return scheme;
}

import uPlot from 'uplot';
import { BANDS } from '../state/chart-series.ts';

export interface DrawnChart {
  setData(data: number[][]): void;
  resize(): void;
  destroy(): void;
}

/** Draws stacked bands into an element: `data` is Unix seconds, then the upper edge of each band from the bottom up. */
export function drawChart(element: HTMLElement, data: number[][], heightPx: number): DrawnChart {
  const styles = getComputedStyle(element);
  const color = (name: string) => styles.getPropertyValue(name).trim();
  const font = `12px ${styles.fontFamily}`;
  const axis = {
    stroke: color('--soft'),
    grid: { stroke: color('--line'), width: 1 },
    ticks: { stroke: color('--line'), width: 1 },
    font,
  };
  const chart = new uPlot(
    {
      width: element.clientWidth,
      height: heightPx,
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: (_self, _min, max) => [0, Math.max(max, 1)] } },
      axes: [
        { ...axis, values: (_self, seconds) => timesText(seconds) },
        { ...axis, size: 48, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000] },
      ],
      // The highest edge first: each band is painted over what lies behind it.
      series: [
        {},
        ...BANDS.map((band) => ({
          label: band.name,
          fill: color(band.color),
          stroke: color(band.color),
          width: 0,
          paths: uPlot.paths.stepped?.({ align: 1 }) ?? null,
          points: { show: false },
        })).reverse(),
      ] as uPlot.Series[],
    },
    arranged(data),
    element,
  );
  return {
    setData: (next) => chart.setData(arranged(next)),
    resize: () => chart.setSize({ width: element.clientWidth, height: heightPx }),
    destroy: () => chart.destroy(),
  };
}

const DAY_SECONDS = 86_400;

/** Marks of the time axis in the viewer's own manner: times of day, or days where it spans several. */
function timesText(seconds: number[]): string[] {
  const span = (seconds.at(-1) ?? 0) - (seconds[0] ?? 0);
  const options: Intl.DateTimeFormatOptions =
    span > 2 * DAY_SECONDS ? { month: 'short', day: 'numeric' } : { hour: '2-digit', minute: '2-digit' };
  return seconds.map((second) => new Date(second * 1000).toLocaleString(undefined, options));
}

function arranged([seconds = [], ...edges]: number[][]): uPlot.AlignedData {
  return [seconds, ...edges.reverse()];
}

import { FAMILIES, type Family, type MetricName } from './families.ts';

/** Upper bounds in seconds: from a look-up in memory to a slow line's upload. */
const BOUNDS_SECONDS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 600] as const;
/** Series of one family. Labels come from lists in the code, so this is only reached by a mistake. */
const SERIES_MAX = 2_000;

type Labels = Readonly<Record<string, string>>;

interface Series {
  labels: Labels;
  value: number;
  /** Of a histogram: how many were at most each bound. */
  buckets: number[];
  count: number;
}

/** What this process has counted since it was started, and how it is told to Prometheus (text format 0.0.4). */
export class Metrics {
  readonly #series = new Map<MetricName, Map<string, Series>>();

  /** Adds to a counter. */
  count(name: MetricName, labels: Labels = {}, by = 1): void {
    const series = this.#seriesOf(name, labels);
    if (series !== null) series.value += by;
  }

  /** Sets a gauge. */
  set(name: MetricName, value: number, labels: Labels = {}): void {
    const series = this.#seriesOf(name, labels);
    if (series !== null) series.value = value;
  }

  /** Adds a duration in seconds to a histogram. */
  observe(name: MetricName, seconds: number, labels: Labels = {}): void {
    this.observer(name, labels)(seconds);
  }

  /** What adds to one series of a histogram, found once, for what is measured with every request. */
  observer(name: MetricName, labels: Labels = {}): (seconds: number) => void {
    const series = this.#seriesOf(name, labels);
    if (series === null) return () => {};
    return (seconds) => {
      series.value += seconds;
      series.count++;
      for (let i = BOUNDS_SECONDS.length - 1; i >= 0 && seconds <= (BOUNDS_SECONDS[i] ?? 0); i--)
        series.buckets[i] = (series.buckets[i] ?? 0) + 1;
    };
  }

  /** The exposition: every family, also those nothing was counted of yet. */
  text(): string {
    const lines: string[] = [];
    for (const [name, family] of Object.entries(FAMILIES) as [MetricName, Family][]) {
      lines.push(`# HELP ${name} ${family.help}`, `# TYPE ${name} ${family.type}`);
      // What has no labels is told as 0 from the start, so that a rate over its first step is right.
      const unlabelled = family.labels.length === 0 && !this.#series.has(name);
      if (unlabelled && family.type === 'counter') this.count(name, {}, 0);
      for (const series of this.#series.get(name)?.values() ?? []) lines.push(...linesOf(name, family, series));
    }
    return `${lines.join('\n')}\n`;
  }

  #seriesOf(name: MetricName, labels: Labels): Series | null {
    const all = this.#series.get(name) ?? new Map<string, Series>();
    this.#series.set(name, all);
    const family: Family = FAMILIES[name];
    const id = family.labels.map((label) => labels[label] ?? '').join('\n');
    const known = all.get(id);
    if (known !== undefined) return known;
    if (all.size >= SERIES_MAX) return null;
    const made = { labels, value: 0, count: 0, buckets: BOUNDS_SECONDS.map(() => 0) };
    all.set(id, made);
    return made;
  }
}

function linesOf(name: string, family: Family, { labels, value, count, buckets }: Series): string[] {
  const own = family.labels.map((label) => `${label}="${escaped(labels[label] ?? '')}"`);
  const braces = (parts: readonly string[]) => (parts.length === 0 ? '' : `{${parts.join(',')}}`);
  if (family.type !== 'histogram') return [`${name}${braces(own)} ${value}`];
  return [
    ...BOUNDS_SECONDS.map((bound, i) => `${name}_bucket${braces([...own, `le="${bound}"`])} ${buckets[i]}`),
    `${name}_bucket${braces([...own, 'le="+Inf"'])} ${count}`,
    `${name}_sum${braces(own)} ${value}`,
    `${name}_count${braces(own)} ${count}`,
  ];
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

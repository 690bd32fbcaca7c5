/** Counters of one client, as OpenMetrics 1.0 text. Names and labels are part of the API. */
export interface Metrics {
  add(name: MetricName, labels?: Record<string, string>, by?: number): void;
  text(gauges: GaugeSample[]): string;
}

interface MetricSpec {
  type: 'counter' | 'gauge';
  help: string;
  unit?: string;
}

/** Every metric there is. A counter's samples end in `_total`. */
export const METRICS = {
  fuselink_transfers: { type: 'counter', help: 'Files the server has, sent by send and by batches of readings.' },
  fuselink_sent_bytes: { type: 'counter', help: 'Bytes of those files.', unit: 'bytes' },
  fuselink_received_bytes: { type: 'counter', help: 'Bytes of files received.', unit: 'bytes' },
  fuselink_retries: { type: 'counter', help: 'Requests to be made again, by why.' },
  fuselink_restarts: { type: 'counter', help: 'Files started afresh, by why.' },
  fuselink_failures: { type: 'counter', help: 'Sends and receives that ended in an error, by code.' },
  fuselink_credential_refusals: { type: 'counter', help: 'Requests the server refused for their key, by code.' },
  fuselink_readings: { type: 'counter', help: 'Readings recorded and kept, by lane.' },
  fuselink_readings_dropped: { type: 'counter', help: 'Readings not kept, by lane and why.' },
  fuselink_readings_sent: { type: 'counter', help: 'Readings the server has, by lane.' },
  fuselink_backlog_readings: { type: 'gauge', help: 'Readings stored and not yet delivered, by lane.' },
  fuselink_spool_bytes: { type: 'gauge', help: 'Bytes of the spool on disk, by lane.', unit: 'bytes' },
  fuselink_spool_written_bytes: {
    type: 'gauge',
    help: 'Bytes written to the disk in the last 24 hours.',
    unit: 'bytes',
  },
} as const satisfies Record<string, MetricSpec>;

export type MetricName = keyof typeof METRICS;

export interface GaugeSample {
  name: MetricName;
  labels: Record<string, string>;
  value: number;
}

function escaped(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
}

function labelText(labels: Record<string, string>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

export function createMetrics(): Metrics {
  const counters = new Map<MetricName, Map<string, number>>();
  return {
    add(name, labels = {}, by = 1) {
      const series = counters.get(name) ?? new Map<string, number>();
      counters.set(name, series);
      const key = labelText(labels);
      series.set(key, (series.get(key) ?? 0) + by);
    },
    text(gauges) {
      const lines: string[] = [];
      for (const [name, spec] of Object.entries(METRICS) as [MetricName, MetricSpec][]) {
        lines.push(`# TYPE ${name} ${spec.type}`);
        if (spec.unit !== undefined) lines.push(`# UNIT ${name} ${spec.unit}`);
        lines.push(`# HELP ${name} ${spec.help}`);
        for (const [labels, value] of counters.get(name) ?? []) lines.push(`${name}_total${labels} ${value}`);
        for (const gauge of gauges)
          if (gauge.name === name) lines.push(`${name}${labelText(gauge.labels)} ${gauge.value}`);
      }
      lines.push('# EOF', '');
      return lines.join('\n');
    },
  };
}

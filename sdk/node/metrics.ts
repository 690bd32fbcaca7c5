/** Counters of one client, as OpenMetrics 1.0 text. Names and labels are part of the API. */
export interface Metrics {
  add(name: MetricName, labels?: Record<string, string>, by?: number): void;
  text(gauges: GaugeSample[]): string;
}

/** Every metric there is: what has a help text here. */
export const METRICS = {
  fuselink_transfers: 'Files the server has, batches of readings among them.',
  fuselink_sent_bytes: 'Bytes of those files.',
  fuselink_received_bytes: 'Bytes of files received.',
  fuselink_retries: 'Requests to be made again, by why.',
  fuselink_restarts: 'Files started afresh, by why.',
  fuselink_failures: 'Sends and receives that ended in an error, by code.',
  fuselink_credential_refusals: 'Requests the server refused for their key, by code.',
  fuselink_readings: 'Readings recorded and kept, by lane.',
  fuselink_readings_dropped: 'Readings not kept, by lane and why.',
  fuselink_readings_sent: 'Readings the server has, by lane.',
  fuselink_backlog_readings: 'Readings stored and not yet delivered, by lane.',
  fuselink_spool_bytes: 'Bytes of the spool on disk, by lane.',
  fuselink_spool_written_bytes: 'Bytes written to the disk in the last 24 hours.',
};

/** All others are counters, whose samples end in `_total`. */
const GAUGE = /_(backlog|spool)_/;

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
      for (const [name, help] of Object.entries(METRICS) as [MetricName, string][]) {
        lines.push(`# TYPE ${name} ${GAUGE.test(name) ? 'gauge' : 'counter'}`);
        if (name.endsWith('_bytes')) lines.push(`# UNIT ${name} bytes`);
        lines.push(`# HELP ${name} ${help}`);
        for (const [labels, value] of counters.get(name) ?? []) lines.push(`${name}_total${labels} ${value}`);
        for (const gauge of gauges)
          if (gauge.name === name) lines.push(`${name}${labelText(gauge.labels)} ${gauge.value}`);
      }
      lines.push('# EOF', '');
      return lines.join('\n');
    },
  };
}

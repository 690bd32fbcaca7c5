/** What each counter counts; all are told as `fuselink_bridge_<name>_total`. */
const COUNTERS: Record<string, { help: string; label?: string }> = {
  sign_ins: { help: 'Devices let in' },
  refused_sign_ins: { help: 'Devices refused, by CONNACK code', label: 'code' },
  refused_connections: { help: 'Connections closed before anything was read', label: 'reason' },
  refused_packets: { help: 'Connections closed because of a packet, a limit or a silence' },
  refused_topics: { help: 'Publishes to topics that are not the device’s' },
  refused_subscriptions: { help: 'Filters that were not granted' },
  disconnected_revoked: { help: 'Connections ended because their key was revoked' },
  readings: { help: 'Readings kept on disk' },
  repeats: { help: 'Readings that came again and were there already' },
  readings_sent: { help: 'Readings on the server' },
  batches_sent: { help: 'Batches on the server' },
  readings_dropped: { help: 'Readings that were not kept, by reason', label: 'reason' },
  readings_returned: {
    help: 'Readings among those dropped whose sender was not acknowledged and still has them',
    label: 'reason',
  },
  unmapped: { help: 'Messages of the joined broker that no mapping fits' },
  retained_ignored: { help: 'Retained messages of the joined broker, which are no new readings' },
  messages_carried: { help: 'Calls of devices that the server answered' },
  messages_unanswered: { help: 'Calls of devices that the server did not answer, by reason', label: 'reason' },
  refused_messages: { help: 'Calls of devices that were not carried, by reason', label: 'reason' },
  files_sent: { help: 'Files of devices on the server' },
  files_delivered: { help: 'Files that devices have' },
  files_refused: { help: 'Files that devices did not take' },
  file_parts: { help: 'Blocks and tables of devices’ files, by what became of them', label: 'outcome' },
  file_parts_sent: { help: 'Blocks and tables sent to devices' },
  refused_files: { help: 'Files of devices that were not taken, by reason', label: 'reason' },
  retries: { help: 'Requests that will be tried again, by reason', label: 'reason' },
};

/** Counters of the bridge as Prometheus text. A name that is not in the table is a bug. */
export class BridgeMetrics {
  readonly #values = new Map<string, Map<string, number>>();

  add(name: string, label = '', by = 1): void {
    if (!Object.hasOwn(COUNTERS, name)) throw new Error(`there is no counter ${name}`);
    const values = this.#values.get(name) ?? new Map<string, number>();
    this.#values.set(name, values);
    values.set(label, (values.get(label) ?? 0) + by);
  }

  text(gauges: Record<string, { help: string; value: number }>): string {
    const lines: string[] = [];
    for (const [name, { help, label }] of Object.entries(COUNTERS)) {
      const full = `fuselink_bridge_${name}_total`;
      lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} counter`);
      const values = this.#values.get(name) ?? (label === undefined ? new Map([['', 0]]) : new Map<string, number>());
      for (const [value, count] of values)
        lines.push(`${full}${label === undefined ? '' : `{${label}="${value}"}`} ${count}`);
    }
    for (const [name, { help, value }] of Object.entries(gauges)) {
      const full = `fuselink_bridge_${name}`;
      lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} gauge`, `${full} ${value}`);
    }
    return `${lines.join('\n')}\n`;
  }
}

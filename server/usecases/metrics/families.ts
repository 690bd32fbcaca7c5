/** A metric's name, what it is, and the names of its labels. No label may hold an account, a device, a key or a transfer. */
export interface Family {
  type: 'counter' | 'gauge' | 'histogram';
  help: string;
  labels: readonly string[];
}

/** Everything `/metrics` can tell. The dashboard and the alerts are held against this list. */
export const FAMILIES = {
  fuselink_requests_total: {
    type: 'counter',
    help: 'Requests answered, by operation of the API and status.',
    labels: ['operation', 'status'],
  },
  fuselink_request_seconds: {
    type: 'histogram',
    help: 'Time from the head of a request to the end of its answer, bodies included.',
    labels: [],
  },
  fuselink_refusals_total: { type: 'counter', help: 'Requests refused, by error code.', labels: ['code'] },
  fuselink_events_total: {
    type: 'counter',
    help: 'Entries this node wrote to the audit, by action.',
    labels: ['action'],
  },
  fuselink_uploads_total: { type: 'counter', help: 'Files accepted.', labels: [] },
  fuselink_upload_bytes_total: { type: 'counter', help: 'Bytes of files accepted.', labels: [] },
  fuselink_reads_total: {
    type: 'counter',
    help: 'Requests for bytes that ended without burning the file, by how they ended.',
    labels: ['ending'],
  },
  fuselink_read_bytes_total: { type: 'counter', help: 'Bytes of files handed to readers.', labels: [] },
  fuselink_burns_total: {
    type: 'counter',
    help: 'Files burned because their delivery was proven, by the proof.',
    labels: ['by'],
  },
  fuselink_swept_total: { type: 'counter', help: 'What the sweep cleared away.', labels: ['what'] },
  fuselink_sweeps_total: { type: 'counter', help: 'Sweeps, by outcome.', labels: ['outcome'] },
  fuselink_sweep_seconds: { type: 'histogram', help: 'Duration of a sweep.', labels: [] },
  fuselink_store_seconds: {
    type: 'histogram',
    help: 'Duration of a call of a store.',
    labels: ['store', 'operation'],
  },
  fuselink_store_faults_total: {
    type: 'counter',
    help: 'Calls of a store that failed: full, out of reach, or worse.',
    labels: ['store', 'fault'],
  },
  fuselink_invariants_broken_total: {
    type: 'counter',
    help: 'Changes to a rotation that were refused because they would have broken an invariant: a bug, and nothing was stored.',
    labels: ['invariant'],
  },
  fuselink_warnings_total: { type: 'counter', help: 'Warnings in the log.', labels: [] },
  fuselink_uploads_under_way: { type: 'gauge', help: 'Uploads whose bodies this node is receiving.', labels: [] },
  fuselink_uploads_waiting: { type: 'gauge', help: 'Uploads that wait for a place on this node.', labels: [] },
  fuselink_webhook_tries_total: {
    type: 'counter',
    help: 'Tries to deliver a message to a webhook, by what became of the message.',
    labels: ['outcome'],
  },
  fuselink_event_streams: { type: 'gauge', help: 'Listeners to events on this node.', labels: [] },
  fuselink_build_info: { type: 'gauge', help: 'Always 1; which program this is.', labels: ['version'] },
  process_resident_memory_bytes: { type: 'gauge', help: 'Resident memory of this node.', labels: [] },
  process_uptime_seconds: { type: 'gauge', help: 'Seconds since this node was started.', labels: [] },
} as const satisfies Record<string, Family>;

export type MetricName = keyof typeof FAMILIES;

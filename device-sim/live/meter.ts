import type { RelayRequest } from '#server';
import { Histogram } from './histogram.ts';

/** What a request was for, as latencies are counted. */
export type Verb = 'upload' | 'status' | 'rotation' | 'recovery' | 'device' | 'manage' | 'read';

const VERBS: Readonly<Record<string, Verb>> = {
  '/v1/upload': 'upload',
  '/v1/device/status': 'status',
  '/v1/device/rotation': 'rotation',
  '/v1/device/recovery': 'recovery',
  '/v1/device': 'device',
};

export function verbOf({ path }: RelayRequest): Verb {
  return VERBS[path] ?? (path.startsWith('/get/') ? 'read' : 'manage');
}

/** Latencies, statuses and bytes of a run, by verb. */
export class Meter {
  readonly latencies = new Map<Verb, Histogram>();
  readonly statuses = new Map<string, number>();
  requests = 0;
  answers = 0;
  bytesSent = 0;
  inFlight = 0;

  sent(request: RelayRequest): void {
    this.requests++;
    this.inFlight++;
    this.bytesSent += request.body?.byteLength ?? 0;
  }

  /** `status` null: no answer came. */
  ended(verb: Verb, status: number | null, latencyMs: number): void {
    this.inFlight--;
    const name = `${verb} ${status ?? 'none'}`;
    this.statuses.set(name, (this.statuses.get(name) ?? 0) + 1);
    if (status === null) return;
    this.answers++;
    const known = this.latencies.get(verb);
    const histogram = known ?? new Histogram();
    if (known === undefined) this.latencies.set(verb, histogram);
    histogram.add(latencyMs);
  }
}

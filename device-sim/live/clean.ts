import { type Removed, removeRuns, silentRuns } from './enrolment.ts';
import { type Credentials, Management } from './management.ts';
import { Meter } from './meter.ts';
import { Wire } from './wire.ts';

/** A run whose devices have all been silent for so long is nobody's any more. */
const SILENT_MS = 10 * 60_000;
const TIMEOUT_MS = 30_000;
const CONNECTIONS = 32;

/** Removes what crashed runs left on a server: `silent`, of runs that nobody runs any more; `all`, of every run. */
export async function clean(
  server: { url: URL; ca?: string; credentials: Credentials },
  which: 'silent' | 'all',
): Promise<Removed> {
  const { url, ca, credentials } = server;
  const wire = new Wire({
    url,
    ...(ca === undefined ? {} : { ca }),
    connectionsMax: CONNECTIONS,
    timeoutMs: TIMEOUT_MS,
    meter: new Meter(),
  });
  try {
    const management = await Management.open(wire, credentials);
    const silent = which === 'all' ? null : await silentRuns(management, SILENT_MS);
    const removed = await removeRuns(management, (run) => silent === null || silent.has(run));
    await management.close();
    return removed;
  } finally {
    wire.close();
  }
}

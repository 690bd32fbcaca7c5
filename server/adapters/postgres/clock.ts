import { performance } from 'node:perf_hooks';
import pg from 'pg';
import type { Clock } from '../../ports/crypto.ts';
import { asFault } from './faults.ts';

/** Machines' clocks drift by seconds a day; a minute's drift is then far below a millisecond. */
const MEASURE_EVERY_MS = 60_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** Of several measurements the quickest is the most exact: the error is at most half of its round trip. */
const MEASUREMENTS = 5;

export interface DatabaseClock extends Clock {
  close(): void;
}

/**
 * The database's time, the same on every node: windows, leases and deadlines that nodes share must not be judged by clocks
 * that differ. Measured against this machine's monotonic clock, which a pause of the process does not stop. While the database
 * cannot be reached the last measurement holds. Rejects with the port's faults where the first one fails.
 */
export async function openDatabaseClock(
  options: { url: string },
  warn: (message: string, error: unknown) => void,
): Promise<DatabaseClock> {
  let offsetMs = await measureOffset(options.url);
  let lastMs = 0;
  const timer = setInterval(() => {
    measureOffset(options.url).then(
      (measured) => {
        offsetMs = measured;
      },
      (error) => warn("the database's time could not be asked for; the last measurement holds", error),
    );
  }, MEASURE_EVERY_MS);
  timer.unref();
  return {
    nowMs() {
      // A new measurement may be a millisecond behind the last one; time that has been told never goes back by that.
      const nowMs = Math.round(performance.now() + offsetMs);
      lastMs = nowMs < lastMs && lastMs - nowMs < 1_000 ? lastMs : nowMs;
      return lastMs;
    },
    monotonicMs: () => performance.now(),
    close: () => clearInterval(timer),
  };
}

/** Database time minus this process's monotonic time, in milliseconds. */
async function measureOffset(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    let best = { roundTripMs: Number.POSITIVE_INFINITY, offsetMs: 0 };
    for (let i = 0; i < MEASUREMENTS; i++) {
      const askedMs = performance.now();
      const { rows } = await client.query<{ ms: string }>('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms');
      const roundTripMs = performance.now() - askedMs;
      if (roundTripMs < best.roundTripMs)
        best = { roundTripMs, offsetMs: Number(rows[0]?.ms) - (askedMs + roundTripMs / 2) };
    }
    return best.offsetMs;
  } catch (error) {
    throw asFault(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

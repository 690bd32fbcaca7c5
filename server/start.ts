import type { AddressInfo } from 'node:net';
import { loadDashboard } from './dashboard-files.ts';
import { createApp } from './http/app.ts';
import { createLog } from './log.ts';
import type { ServerSettings } from './settings.ts';
import type { Deps } from './usecases/deps.ts';
import { SilenceWatch } from './usecases/device/silence.ts';
import { sweepOnce } from './usecases/sweep.ts';
import { runWebhooks } from './usecases/webhook/deliver.ts';
import { type Wired, wire } from './wiring.ts';

/** Expiry is promised to the second by every read; the sweep only has to keep the disk tidy. */
const SWEEP_EVERY_MS = 5_000;
/** What another node committed reaches this one's listeners within this; what this one commits reaches them at once. */
const EVENTS_POLL_MS = 1_000;
/** Operators are told within about this. */
const WEBHOOKS_EVERY_MS = 1_000;
/** A graceful stop lets transfers finish for this long; resumable ones go on with the next start anyway. */
const DRAIN_MS = 30_000;

export const VERSION = '0.1.0';

export interface RunningServer {
  /** `http://host:port` where it listens. */
  url: string;
  deps: Deps;
  secretCreated: boolean;
  /** Stops taking requests, lets those under way finish, and closes the stores. */
  stop(): Promise<void>;
}

/** Opens the stores, sweeps what a crash left, and listens. */
export async function startServer(settings: ServerSettings): Promise<RunningServer> {
  const log = createLog();
  const wired: Wired = await wire(settings, log.warn);
  await sweepOnce(wired.deps, { atStart: true });
  const app = await createApp({
    deps: wired.deps,
    http: {
      publicUrl: settings.publicUrl,
      trustProxy: settings.trustProxy,
      tls: settings.tls !== null,
      idleTimeoutMs: settings.idleTimeoutMs,
      lingerMs: settings.lingerMs,
      version: VERSION,
      metricsToken: settings.metricsToken,
      dashboard: loadDashboard(),
      logRequest: settings.logLevel === 'info' ? (fields) => log.info('request', fields) : null,
    },
    tls: settings.tls,
  });
  await app.listen({ host: settings.host, port: settings.port });
  const silence = new SilenceWatch();
  const stopSweeping = regularly(wired.deps, SWEEP_EVERY_MS, 'a sweep', async (deps) => {
    await sweepMeasured(deps);
    await silence.step(deps);
  });
  const stopWebhooks = regularly(wired.deps, WEBHOOKS_EVERY_MS, 'a round of webhooks', runWebhooks);
  const polling = setInterval(() => void wired.deps.events.poll(), EVENTS_POLL_MS).unref();
  const address = app.server.address() as AddressInfo;
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `${settings.tls === null ? 'http' : 'https'}://${host}:${address.port}`,
    deps: wired.deps,
    secretCreated: wired.secretCreated,
    async stop() {
      clearInterval(polling);
      // Streams never end by themselves: their listeners come back to another node.
      wired.deps.events.close();
      // What is on its way to a receiver is tried again by another node, or after the next start.
      wired.deps.webhooks.close();
      await Promise.all([stopSweeping(), stopWebhooks()]);
      const cut = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS);
      await app.close();
      clearTimeout(cut);
      // Connections are gone before what became of them is written down.
      await wired.deps.endings.recorded();
      await wired.close();
    },
  };
}

/** Does something again and again, never twice at a time. Returns how to stop it, which waits for what is under way. */
function regularly(deps: Deps, everyMs: number, what: string, act: (deps: Deps) => Promise<void>): () => Promise<void> {
  let running: Promise<unknown> | null = null;
  const timer = setInterval(() => {
    running ??= act(deps)
      .catch((error) => deps.warn(`${what} failed; the next one tries again`, error))
      .finally(() => {
        running = null;
      });
  }, everyMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await running;
  };
}

async function sweepMeasured(deps: Deps): Promise<void> {
  const beganMs = deps.clock.monotonicMs();
  let outcome = 'failed';
  try {
    const report = await sweepOnce(deps, { atStart: false });
    for (const [what, count] of Object.entries(report)) deps.metrics.count('fuselink_swept_total', { what }, count);
    outcome = 'done';
  } finally {
    deps.metrics.count('fuselink_sweeps_total', { outcome });
    deps.metrics.observe('fuselink_sweep_seconds', (deps.clock.monotonicMs() - beganMs) / 1000);
  }
}

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../server/ports/crypto.ts';
import { sweepOnce } from '../../server/usecases/sweep.ts';
import { startTestServer, type TestServer, temporaryFolder } from '../../test/support/test-server.ts';
import { scenarioNamed } from '../scenarios/index.ts';
import { faultsOf, type LiveOptions } from './options.ts';
import type { LiveResult } from './result.ts';
import { runLive } from './run.ts';

/** A server sweeps every five seconds; a campaign of a test does not wait for that. */
const SWEEP_EVERY_MS = 100;

/** The server's clock runs so much faster than time: its ticks and soaks are what a short run would wait for. */
const HURRY = 20;

function hurried(clock: Clock, times: number): Clock {
  const [now, monotonic] = [clock.nowMs(), clock.monotonicMs()];
  return {
    nowMs: () => Math.floor(now + (clock.nowMs() - now) * times),
    monotonicMs: () => monotonic + (clock.monotonicMs() - monotonic) * times,
  };
}

export interface LiveServer {
  server: TestServer;
  /** File with a key that may manage. */
  keyFile: string;
  folder: string;
  close(): Promise<void>;
}

/** A real server in this process whose account lets API keys manage, and which sweeps often. `hurry` 1: its clock is right. */
export async function startLiveServer(env: Record<string, string> = {}, hurry = HURRY): Promise<LiveServer> {
  const server = await startTestServer(env);
  const { deps, accountKey } = server;
  const account = await deps.store.get('accounts', { id: server.operator.accountId });
  if (account === null) throw new Error('expected the account of the test server, found none');
  const row = { ...account, settings: { ...account.settings, keys_may_manage: true }, version: account.version + 1 };
  await deps.store.commit([{ kind: 'update', table: 'accounts', row, expectVersion: account.version }]);
  deps.clock = hurried(deps.clock, hurry);
  const folder = await temporaryFolder();
  const keyFile = join(folder.path, 'key');
  await writeFile(keyFile, `${accountKey}\n`);
  let sweeping: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    sweeping = sweeping.then(() => sweepOnce(deps, { atStart: false }));
  }, SWEEP_EVERY_MS);
  return {
    server,
    keyFile,
    folder: folder.path,
    async close() {
      clearInterval(timer);
      await sweeping;
      await server.close();
      await folder.remove();
    },
  };
}

/** A run of a few seconds: devices send far more often than a real limit would let them. */
export function shortRun(live: LiveServer, over: Partial<LiveOptions> & { name?: string } = {}): Promise<LiveResult> {
  return runFor({
    url: new URL(live.server.url),
    credentials: { key: live.server.accountKey, signIn: null },
    scenario: scenarioNamed(over.name ?? 'rotation-under-load'),
    devices: 7,
    rate: 14,
    durationMs: 2_000,
    faults: faultsOf(over.name ?? 'rotation-under-load', undefined),
    seed: 1,
    connectionsMax: 64,
    readBack: 0.2,
    keepTrace: false,
    ...over,
  });
}

export async function runFor(options: LiveOptions, signal = new AbortController().signal): Promise<LiveResult> {
  return (await runLive(options, { progress: () => {}, signal })).result;
}

/** Everything that is broken, as lines to read in a failed test. */
export function brokenOf(result: LiveResult): string[] {
  return result.findings.flatMap(({ name, broken }) => broken.map(({ device, what }) => `${name} ${device}: ${what}`));
}

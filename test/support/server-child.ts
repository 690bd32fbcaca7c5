import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { readSettings, wire } from '#server';
import { createAccount } from '../../server/usecases/account/create-account.ts';
import { testEnv } from './test-server.ts';

const ROOT = join(import.meta.dirname, '../..');

/** A server in a process of its own, that can be killed and measured. */
export interface ServerChild {
  url: string;
  port: number;
  pid: number;
  /** `kill -9`: no goodbye, nothing flushed. Resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves when it has stopped in order. */
  stop(): Promise<void>;
  /** Largest resident set so far, in bytes. */
  peakRssBytes(): Promise<number>;
}

const bundles = new Map<string, Promise<string>>();

/** Bundles a program once a test process: a child then starts in a third of a second. */
function bundled(entry: string): Promise<string> {
  const known = bundles.get(entry) ?? bundle(entry);
  bundles.set(entry, known);
  return known;
}

async function bundle(entry: string): Promise<string> {
  const folder = join(ROOT, 'node_modules/.cache/fuselink-test');
  await mkdir(folder, { recursive: true });
  const name = basename(entry, '.ts');
  const outdir = join(folder, `${name}-${process.pid}`);
  process.once('exit', () => rmSync(outdir, { recursive: true, force: true }));
  await build({
    entryPoints: [join(ROOT, entry)],
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    packages: 'external',
    logLevel: 'error',
  });
  return join(outdir, `${name}.mjs`);
}

/** Makes an account in a data folder no server is using. */
export async function prepareAccount(
  dataFolder: string,
  env: Record<string, string> = {},
): Promise<{ accountKey: string }> {
  const wired = await wire(readSettings(testEnv(dataFolder, env)), () => {});
  try {
    const account = await createAccount(wired.deps, { email: 'owner@example.com' });
    return { accountKey: account.apiKey };
  } finally {
    await wired.close();
  }
}

/** The server's own program; with `checkpointBytes` the tuned one. */
export async function startServerChild(
  dataFolder: string,
  env: Record<string, string> = {},
  options: { checkpointBytes?: number } = {},
): Promise<ServerChild> {
  const { checkpointBytes } = options;
  const program = await bundled(checkpointBytes === undefined ? 'server/main.ts' : 'test/support/tuned-server.ts');
  const tuning = { CHECKPOINT_BYTES: String(checkpointBytes ?? '') };
  const child = spawn(process.execPath, [program, 'serve'], {
    env: { PATH: process.env['PATH'] ?? '', ...tuning, ...testEnv(dataFolder, env) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const complaints: string[] = [];
  child.stderr.on('data', (bytes: Buffer) => void complaints.push(bytes.toString()));
  const url = await listening(child).catch((error) => {
    throw new Error(`${error.message}: ${complaints.join('')}`);
  });
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  };
  return {
    url,
    port: Number(new URL(url).port),
    pid: child.pid as number,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    async peakRssBytes() {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
      return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
    },
  };
}

async function listening(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('expected a pipe');
  for await (const line of createInterface({ input: child.stdout })) {
    const match = /listens on (http\S+)/.exec(line);
    if (match?.[1] !== undefined) {
      child.stdout.resume();
      return match[1];
    }
  }
  throw new Error('the server ended before it listened');
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';

const ROOT = join(import.meta.dirname, '../..');

/** The bridge in a process of its own, that can be killed. */
export interface BridgeChild {
  url: string;
  httpUrl: string;
  pid: number;
  stderr: string[];
  /** `kill -9`: nothing is flushed. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit status. */
  stop(): Promise<number | null>;
}

let bundled: Promise<string> | null = null;

async function bundle(): Promise<string> {
  const folder = join(ROOT, 'node_modules/.cache/fuselink-test');
  await mkdir(folder, { recursive: true });
  const outfile = join(folder, `bridge-${process.pid}.mjs`);
  process.once('exit', () => rmSync(outfile, { force: true }));
  await build({
    entryPoints: [join(ROOT, 'firmware-bridge/main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    packages: 'external',
    external: ['#sdk/seal/node'],
    logLevel: 'error',
  });
  return outfile;
}

/** Starts the program with a configuration file that has one `listen` and `http`. */
export async function startBridgeChild(configFile: string): Promise<BridgeChild> {
  bundled ??= bundle();
  const child = spawn(process.execPath, [await bundled, '--config', configFile, '--json'], {
    env: { PATH: process.env['PATH'] ?? '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stderr: string[] = [];
  child.stderr.on('data', (bytes: Buffer) => void stderr.push(bytes.toString()));
  const { listening = '', http = '' } = await announced(child).catch((error: Error) => {
    throw new Error(`${error.message}: ${stderr.join('')}`);
  });
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    }
    return child.exitCode;
  };
  return {
    url: listening,
    httpUrl: http,
    pid: child.pid as number,
    stderr,
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
  };
}

async function announced(child: ChildProcess): Promise<{ listening?: string; http?: string }> {
  if (child.stdout === null) throw new Error('expected a pipe');
  const told: { listening?: string; http?: string } = {};
  for await (const line of createInterface({ input: child.stdout })) {
    Object.assign(told, JSON.parse(line));
    if (told.http !== undefined) {
      child.stdout.resume();
      return told;
    }
  }
  throw new Error('the bridge ended before it listened');
}

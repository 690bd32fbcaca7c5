import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const ROOT = join(import.meta.dirname, '../..');
const SERVER = join(ROOT, 'dist/server/main.mjs');

/** A file that went in, and what the demo must find again at the other end. */
export interface SentFile {
  /** How it was sent. */
  by: string;
  filename: string;
  /** The original, on disk. */
  path: string;
  link: string;
}

/** What every step of the demo works in: a temporary folder with a running server, an account and a device. */
export interface World {
  folder: string;
  dataFolder: string;
  url: string;
  accountKey: string;
  device: { id: string; key: string };
  sent: SentFile[];
  /** Findings that must not be: each makes the demo fail. */
  failures: string[];
  say(line: string): void;
  /** Switch of `--plant-loss`: one stored file is damaged behind the server's back. */
  plantLoss: boolean;
}

/** One thing the demo shows. New capabilities add a step; the report only reads what the server and the disk say. */
export interface Step {
  title: string;
  run(world: World): Promise<void>;
}

/** Runs `fuselink-server` as an operator would, on the demo's data. */
export async function operator(dataFolder: string, ...args: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await run(process.execPath, [SERVER, ...args, '--json'], {
    cwd: ROOT,
    env: serverEnv(dataFolder),
  });
  return JSON.parse(stdout) as Record<string, unknown>;
}

function serverEnv(dataFolder: string): NodeJS.ProcessEnv {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('FUSELINK_')));
  return { ...clean, FUSELINK_DATA: dataFolder, FUSELINK_PORT: '0' };
}

export interface RunningChild {
  url: string;
  stop(): Promise<void>;
}

/** Starts the server as it is shipped, on a free port. */
export async function startServerProcess(dataFolder: string): Promise<RunningChild> {
  await mkdir(dataFolder, { recursive: true });
  const child = spawn(process.execPath, [SERVER, 'serve'], {
    cwd: ROOT,
    env: serverEnv(dataFolder),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the server ended with ${code} before it listened`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = /listens on (\S+)/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
  });
  return { url, stop: () => stopped(child) };
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) {
      resolve();
      return;
    }
    child.removeAllListeners('exit');
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}

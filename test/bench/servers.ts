import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { enrolForBench } from './enrol.ts';

const ROOT = join(import.meta.dirname, '../..');

export interface BenchServer {
  name: string;
  url: string;
  pid: number;
  stop(): Promise<void>;
}

/** The bare server, in a process of its own. */
export async function startBaseline(folder: string): Promise<BenchServer> {
  const child = spawn(process.execPath, ['--import', 'tsx', join(ROOT, 'test/bench/baseline-server.ts'), folder], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await firstLine(child);
  return { name: 'baseline', url: JSON.parse(line).url, pid: child.pid ?? 0, stop: () => stopped(child) };
}

/** Fuselink as it is shipped (`npm run build` first), with as many devices as the measurements need. */
export async function startFuselink(folder: string, devices: number): Promise<BenchServer & { keys: string[] }> {
  mkdirSync(folder, { recursive: true });
  const env = {
    ...process.env,
    FUSELINK_DATA: join(folder, 'data'),
    FUSELINK_PORT: '0',
    FUSELINK_UPLOADS_IN_FLIGHT: '64',
  };
  const keys = await enrolForBench(env, devices);
  const child = spawn(process.execPath, [join(ROOT, 'dist/server/main.mjs'), 'serve'], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = /http:\/\/\S+/.exec(await firstLine(child))?.[0] ?? '';
  return { name: 'fuselink', url, pid: child.pid ?? 0, keys, stop: () => stopped(child) };
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`a server under measurement ended with ${code}`)));
    if (child.stdout !== null) createInterface({ input: child.stdout }).once('line', resolve);
  });
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.removeAllListeners('exit');
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}

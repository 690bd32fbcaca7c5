import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';

export interface Measured {
  code: number | null;
  out: string;
  err: string;
  /** The largest resident set it had, as Linux counts it. */
  rssBytesMax: number;
  seconds: number;
}

/** Runs a program of Node to its end and watches its memory. */
export async function measuredChild(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
): Promise<Measured> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, [program, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => {
    out += bytes.toString();
  });
  child.stderr.on('data', (bytes: Buffer) => {
    err += bytes.toString();
  });
  let rssBytesMax = 0;
  const look = setInterval(async () => {
    rssBytesMax = Math.max(rssBytesMax, await peakRssBytes(child.pid ?? 0));
  }, 100);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearInterval(look);
  return { code, out, err, rssBytesMax, seconds: (performance.now() - startedMs) / 1000 };
}

/** The largest resident set of a process so far; 0 where nobody tells. */
export async function peakRssBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

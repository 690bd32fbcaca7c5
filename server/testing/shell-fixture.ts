import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface ShellAnswer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: an answer is whatever the server said; each test says what it expects.
  json: any;
}

/** Runs the named blocks of a fixture file in a POSIX shell, with the given variables in its environment. */
export function shellFixture(url: URL): (name: string, env: Record<string, string>) => Promise<ShellAnswer> {
  const blocks = new Map<string, string>();
  for (const part of readFileSync(url, 'utf8').split(/^## /m).slice(1)) {
    const end = part.indexOf('\n');
    blocks.set(part.slice(0, end).trim(), part.slice(end + 1));
  }
  return async (name, env) => {
    const script = blocks.get(name);
    if (script === undefined) throw new Error(`the fixture has no block "${name}"`);
    const { stdout } = await run('sh', ['-c', script], { env: { PATH: process.env['PATH'] ?? '', ...env } });
    const at = stdout.lastIndexOf('\n');
    const body = stdout.slice(0, at);
    return { status: Number(stdout.slice(at + 1)), json: body === '' ? null : JSON.parse(body) };
  };
}

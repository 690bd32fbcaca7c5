import { Readable } from 'node:stream';
import { runProgram } from './program.ts';

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  stdin?: Readable | Buffer | string;
  tty?: boolean;
  signal?: AbortSignal;
  /** Nobody reads standard output any more. */
  brokenOut?: boolean;
  /** Called with all of stdout so far, each time something is written. */
  onOut?: (out: string) => void;
}

/** The program in this process, as a test wants it: its own environment, streams and signal. */
export async function runCli(args: string[], options: RunOptions = {}): Promise<Ran> {
  let out = '';
  let err = '';
  const { stdin } = options;
  const code = await runProgram(args, {
    stdin: stdin instanceof Readable ? stdin : Readable.from(stdin === undefined ? [] : [stdin]),
    stdout: {
      write(text, taken) {
        if (options.brokenOut) {
          taken?.(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
          return;
        }
        out += typeof text === 'string' ? text : Buffer.from(text).toString('latin1');
        options.onOut?.(out);
        taken?.();
      },
    },
    stderr: { write: (text) => (err += text), isTTY: options.tty ?? false, columns: 80 },
    env: options.env ?? {},
    signal: options.signal ?? new AbortController().signal,
    nowMs: () => performance.now(),
  });
  return { code, out, err };
}

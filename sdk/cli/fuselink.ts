import { setFlagsFromString } from 'node:v8';
import { runProgram } from './program.ts';

// A device has better uses for memory than V8. Measured on Node 20 sending 2 GiB: 89 MB of RSS as it is, 66 MB when the
// young generation may not grow, 61 MB when nothing is optimised either; the same seconds, because hashing, files and
// sockets are native. `record` checks sums in JavaScript and keeps its optimiser.
setFlagsFromString('--semi-space-growth-factor=1');
if (process.argv[2] !== 'record') setFlagsFromString('--no-opt');

const stop = new AbortController();
let exitOnSignal = 130;
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => {
    exitOnSignal = code;
    // The second time somebody means it.
    if (stop.signal.aborted) process.exit(code);
    stop.abort();
  });
}
// `fuselink … | head` closes our output early; that is its right.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

const exit = await runProgram(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: stop.signal,
  nowMs: () => performance.now(),
});
process.exitCode = exit === 130 && stop.signal.aborted ? exitOnSignal : exit;

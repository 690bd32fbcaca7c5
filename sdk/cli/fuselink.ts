import { setFlagsFromString } from 'node:v8';
import { runProgram } from './program.ts';
import { keepProcessSmall } from './small-process.ts';

// A device has better uses for memory than V8's young generation: sending 2 GiB on Node 20 takes 57 MB of RSS when it
// may not grow, 59 MB when it may (and more on a machine that is too busy to collect), in the same time.
setFlagsFromString('--semi-space-growth-factor=1');

// What is piped through it runs for as long as the machine.
const tidy = process.argv[2] === 'record' ? keepProcessSmall() : () => {};

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
// `fuselink … | head` closes our output early; that is its right. What has to be taken is told to whoever wrote it.
let toldOfLoss = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (!toldOfLoss) process.exit(error.code === 'EPIPE' ? 0 : 1);
});

const exit = await runProgram(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: {
    write(text, taken) {
      if (taken === undefined) return process.stdout.write(text);
      return process.stdout.write(text, (error) => {
        if (error) toldOfLoss = true;
        taken(error);
      });
    },
  },
  stderr: process.stderr,
  env: process.env,
  signal: stop.signal,
  nowMs: () => performance.now(),
  tidy,
});
process.exitCode = exit === 130 && stop.signal.aborted ? exitOnSignal : exit;

import { runProgram } from './program/program.ts';
import { keepHeapSmall } from './program/small-heap.ts';

const passed = keepHeapSmall();

const stopped = new Promise<void>((resolve) => {
  process.once('SIGTERM', resolve);
  process.once('SIGINT', resolve);
});
process.exitCode = await runProgram(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  stopped,
  passed,
});

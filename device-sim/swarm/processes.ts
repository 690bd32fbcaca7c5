import { type ChildProcess, fork } from 'node:child_process';
import { rename } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bundleSimulator } from '../build.ts';
import type { RunOrder } from './many.ts';
import type { SwarmResult } from './run.ts';
import { RUNNER_VERB, type RunAnswer } from './runner.ts';

/** Processes that do runs: a core each, because a simulation has its process to itself. */
export interface Processes {
  count: number;
  /** In the next process that is free. */
  run(order: RunOrder): Promise<SwarmResult>;
  close(): void;
}

/**
 * Most of what a run makes is garbage at once: in a nursery of this size (MB) it dies there, which saves a seventh of the
 * work. And short runs are over before the interpreter has seen enough of them to compile by itself: another tenth.
 */
export const RUNNER_FLAGS = ['--max-semi-space-size=32', '--always-sparkplug'];

/** `program`: the file of the simulator, where the caller is another program. */
export async function startProcesses(count: number, program?: string): Promise<Processes> {
  const file = program ?? (await programFile());
  const start = () =>
    fork(file, [RUNNER_VERB], {
      execArgv: RUNNER_FLAGS,
      serialization: 'advanced',
    });
  const all = Array.from({ length: count }, start);
  const free = [...all];
  const waiting: ((child: ChildProcess) => void)[] = [];
  return {
    count,
    async run(order) {
      const child = free.pop() ?? (await new Promise<ChildProcess>((resolve) => waiting.push(resolve)));
      try {
        return await runIn(child, order);
      } finally {
        const next = waiting.shift();
        if (next === undefined) free.push(child);
        else next(child);
      }
    },
    close() {
      for (const child of all) child.kill();
    },
  };
}

function runIn(child: ChildProcess, order: RunOrder): Promise<SwarmResult> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void) => {
      child.off('message', answered);
      child.off('exit', gone);
      settle();
    };
    const answered = (answer: RunAnswer) => {
      done(() => ('result' in answer ? resolve(answer.result) : reject(new Error(answer.error))));
    };
    const gone = (code: number | null, signal: string | null) => {
      const how = signal ?? `code ${code}`;
      done(() => reject(new Error(`the process that ran seed ${order.options.seed} ended with ${how}`)));
    };
    child.on('message', answered);
    child.on('exit', gone);
    child.send(order, (error) => {
      if (error !== null) done(() => reject(error));
    });
  });
}

/** The simulator as one file of JavaScript: this one where it is built, and built now where it is not. */
async function programFile(): Promise<string> {
  const here = fileURLToPath(import.meta.url);
  if (!here.endsWith('.ts')) return here;
  const folder = fileURLToPath(new URL('../../node_modules/.cache/fuselink-sim/', import.meta.url));
  const program = `${folder}fuselink-sim.mjs`;
  // Others may be starting it: a name of our own until it is whole.
  const draft = `${folder}fuselink-sim-${process.pid}.mjs`;
  await bundleSimulator(fileURLToPath(new URL('../fuselink-sim.ts', import.meta.url)), draft);
  await rename(draft, program);
  return program;
}

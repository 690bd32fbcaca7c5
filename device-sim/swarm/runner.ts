import type { Command } from 'commander';
import { type RunOrder, runHere } from './many.ts';
import type { SwarmResult } from './run.ts';

/** The verb by which the program is started for others of its kind. */
export const RUNNER_VERB = 'runner';

/** What a process of `processes.ts` answers: the result, or why there is none, which is a bug of the simulator. */
export type RunAnswer = { result: SwarmResult } | { error: string };

/** Adds the verb of such a process, which no help speaks of: one run after the other, for whoever forked it. */
export function addRunnerVerb(program: Command): void {
  program.command(RUNNER_VERB, { hidden: true }).action(() => {
    process.on('message', (order: RunOrder) => {
      runHere(order).then(
        (result) => process.send?.({ result } satisfies RunAnswer),
        (error: unknown) => {
          const said = error instanceof Error ? (error.stack ?? error.message) : String(error);
          process.send?.({ error: said } satisfies RunAnswer);
        },
      );
    });
  });
}

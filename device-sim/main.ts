import { Command, CommanderError } from 'commander';
import { addLiveVerb } from './live/command.ts';
import { addModelVerb } from './model/command.ts';
import { addPowercutVerb } from './powercut/command.ts';
import { addSwarmVerb } from './swarm/command.ts';
import { addRunnerVerb } from './swarm/runner.ts';

/** The verbs of `fuselink-sim`, in the order of its help. A new engine adds its own line. */
const VERBS = [addModelVerb, addPowercutVerb, addSwarmVerb, addLiveVerb, addRunnerVerb];

/** What the exit codes mean; `--help` prints it. */
const EXIT_CODES = `
Exit codes:
  0  everything that was asked for holds
  1  an invariant is broken, a state is stuck, or a design known to be bad was not found to be
  2  the command line was not understood
  3  live: the server could not be reached, or does not let this account manage devices
  130  live: interrupted, and cleaned up`;

/** Where a run of the program writes. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
  /** `err` is a terminal: progress may be drawn over itself. */
  tty?: boolean;
}

/** Runs `fuselink-sim` with these arguments (without node and script) and answers its exit code. */
export async function main(args: readonly string[], output: Output): Promise<number> {
  let exitCode = 0;
  const program = new Command('fuselink-sim')
    .description('Proves that a fleet of Fuselink devices cannot be locked out by its key rotation.')
    .exitOverride()
    .configureOutput({ writeOut: (text) => output.out(text), writeErr: (text) => output.err(text) })
    .addHelpText('after', EXIT_CODES);
  for (const add of VERBS) {
    add(program, output, (code) => {
      exitCode = code;
    });
  }
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has said what is wrong with a line; what an engine refuses it has not.
    if (!error.code.startsWith('commander.')) output.err(`error: ${error.message}\n`);
    return error.exitCode === 0 ? 0 : 2;
  }
}

import type { Command } from './command.ts';
import { commandHelp, programHelp } from './command.ts';
import { doctor } from './commands/doctor.ts';
import { key } from './commands/key.ts';
import { keygen } from './commands/keygen.ts';
import { open } from './commands/open.ts';
import { receive } from './commands/receive.ts';
import { record } from './commands/record.ts';
import { send } from './commands/send.ts';
import { watch } from './commands/watch.ts';
import type { ExitCode } from './exit-codes.ts';
import { EXIT, exitCodeOf, UsageError } from './exit-codes.ts';
import { parseOptions } from './options.ts';
import type { Terminal } from './terminal.ts';
import { plain } from './terminal.ts';

export const COMMANDS: readonly Command[] = [send, receive, watch, record, key, keygen, open, doctor];

/** The program: words after its name → exit status. Writes only to `terminal`. */
export async function runProgram(argv: string[], terminal: Terminal): Promise<ExitCode> {
  const [name, ...rest] = argv;
  if (name === undefined) {
    terminal.stderr.write(programHelp(COMMANDS));
    return EXIT.usage.code;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    const about = COMMANDS.find((command) => command.name === rest[0]);
    terminal.stdout.write(about === undefined ? programHelp(COMMANDS) : commandHelp(about));
    return EXIT.ok.code;
  }
  const command = COMMANDS.find((one) => one.name === name);
  try {
    if (command === undefined) throw new UsageError(`there is no command "${name}"; fuselink --help lists them`);
    const parsed = parseOptions(command.options, rest);
    if (parsed.values['help'] === true) {
      terminal.stdout.write(commandHelp(command));
      return EXIT.ok.code;
    }
    return await command.run(parsed, terminal);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const hint = error instanceof UsageError && command !== undefined ? ` (see fuselink ${command.name} --help)` : '';
    terminal.stderr.write(`fuselink: ${plain(text)}${hint}\n`);
    return exitCodeOf(error);
  }
}

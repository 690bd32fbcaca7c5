import type { ExitCode } from './exit-codes.ts';
import { EXIT } from './exit-codes.ts';
import type { OptionSpecs, Parsed } from './options.ts';
import type { Terminal } from './terminal.ts';

export interface Command {
  name: string;
  /** The words after the name: `FILE…`. */
  words: string;
  summary: string;
  /** Paragraphs of the help below the options. */
  details: string[];
  options: OptionSpecs;
  run(parsed: Parsed, terminal: Terminal): Promise<ExitCode>;
}

const HELP_COLUMN = 24;

export function commandHelp(command: Command): string {
  const lines = [`fuselink ${command.name} ${command.words}`.trimEnd(), '', command.summary, ''];
  if (Object.keys(command.options).length > 0) {
    lines.push('Options');
    for (const [name, spec] of Object.entries(command.options)) {
      const short = spec.short === undefined ? '    ' : `-${spec.short}, `;
      const left = `  ${short}--${name}${spec.value === undefined ? '' : ` ${spec.value}`}`;
      const gap =
        left.length >= HELP_COLUMN + 4 ? `\n${' '.repeat(HELP_COLUMN + 4)}` : ' '.repeat(HELP_COLUMN + 4 - left.length);
      lines.push(`${left}${gap}${spec.help}`);
    }
    lines.push('');
  }
  for (const paragraph of command.details) lines.push(paragraph, '');
  return lines.join('\n');
}

export function programHelp(commands: readonly Command[]): string {
  const lines = ['fuselink: send files as links that burn when they are read', '', 'Commands'];
  for (const command of commands) {
    lines.push(`  ${`${command.name} ${command.words}`.padEnd(HELP_COLUMN)}  ${command.summary}`);
  }
  lines.push('', '`fuselink COMMAND --help` tells more of each.', '', 'Settings by environment');
  lines.push('  FUSELINK_URL              the server, https://relay.example.com');
  lines.push('  FUSELINK_KEY              the API key (or FUSELINK_KEY_FILE, or the credential store)');
  lines.push('  FUSELINK_CREDENTIALS      folder of the credential store');
  lines.push('  FUSELINK_STATE            folder for what sends and receives resume from');
  lines.push('  FUSELINK_CA               PEM certificates to trust beside the system’s', '', 'Exit status');
  for (const { code, meaning } of Object.values(EXIT)) lines.push(`  ${String(code).padEnd(5)} ${meaning}`);
  lines.push('');
  return lines.join('\n');
}

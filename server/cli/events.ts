import { Command } from 'commander';
import type { AuditAnswer } from '#sdk/protocol';
import type { Deps } from '../usecases/deps.ts';
import { accountEvents, listenToEvents } from '../usecases/events/account-events.ts';
import { operatorFor, print, withStores } from './operator.ts';

/** What a running server commits is seen within this. */
const POLL_MS = 500;

interface Options {
  account?: string;
  json?: boolean;
  after?: string;
  action?: string;
  subject?: string;
  count?: string;
}

export function eventsCommand(): Command {
  return new Command('events')
    .description('what happens in an account, as it happens, until Ctrl-C')
    .option('--after <seq>', 'tell first what came behind this entry; 0 for all')
    .option('--action <prefix>', 'only actions that begin so, e.g. transfer.')
    .option('--subject <id>', 'only what concerns this id')
    .option('--count <events>', 'end after so many')
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'one JSON object a line')
    .action(async (options: Options) => {
      const after = wholeOption('--after', options.after, 0);
      const count = wholeOption('--count', options.count, 1);
      await withStores((deps) => follow(deps, options, { after, count }));
    });
}

async function follow(
  deps: Deps,
  options: Options,
  range: { after: number | null; count: number | null },
): Promise<void> {
  const caller = await operatorFor(deps, options.account);
  const listening = listenToEvents(deps, caller);
  const polling = setInterval(() => void deps.events.poll(), POLL_MS);
  const stop = () => deps.events.close();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const wanted = { after: range.after, action: options.action ?? null, subject: options.subject ?? null };
  try {
    let told = 0;
    for await (const step of accountEvents(deps, caller, listening, wanted)) {
      if (step.kind === 'reset')
        process.stderr.write(`fuselink-server: there is no entry ${range.after}: going on from ${step.seq}\n`);
      if (step.kind !== 'event') continue;
      print(options.json === true, step.entry, [lineOf(step.entry)]);
      if (++told === range.count) return;
    }
  } finally {
    clearInterval(polling);
    process.off('SIGINT', stop).off('SIGTERM', stop);
    listening.leave();
  }
}

/** An entry of the audit as a line for people. */
export function lineOf(entry: AuditAnswer): string {
  return `${String(entry.seq).padStart(6)}  ${entry.at}  ${entry.outcome.padEnd(7)} ${entry.action.padEnd(28)} ${entry.actor}  ${entry.subject}  from ${entry.from}`;
}

function wholeOption(name: string, said: string | undefined, min: number): number | null {
  if (said === undefined) return null;
  if (/^\d{1,15}$/.test(said) && Number(said) >= min) return Number(said);
  throw new Error(`${name}: expected a whole number from ${min}, got "${said}"`);
}

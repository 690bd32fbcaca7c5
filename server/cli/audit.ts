import { Command } from 'commander';
import { listAudit } from '../usecases/audit/read-audit.ts';
import { verifyAudit } from '../usecases/audit/verify-audit.ts';
import { lineOf } from './events.ts';
import { operatorFor, print, withStores } from './operator.ts';

interface Options {
  account?: string;
  json?: boolean;
  limit: string;
  cursor?: string;
  head?: string;
}

/** `<seq>:<hash>`, as `audit verify` prints it. */
function parseHead(text: string | undefined): { seq: number; hash: string } | null {
  if (text === undefined) return null;
  const match = /^([1-9]\d{0,14}):([\w-]{43})$/.exec(text);
  if (match === null) throw new Error('--head: expected <seq>:<hash>, as an earlier "audit verify" printed it');
  return { seq: Number(match[1]), hash: match[2] ?? '' };
}

export function auditCommand(): Command {
  const command = new Command('audit').description('what was done and refused in an account');
  command
    .command('list')
    .description('entries, newest first')
    .option('--limit <rows>', 'rows', '50')
    .option('--cursor <cursor>', 'next_cursor of the last page')
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const limit = /^[1-9]\d{0,2}$/.test(options.limit) ? Number(options.limit) : Number.NaN;
      if (!(limit <= 200)) throw new Error(`--limit: expected a whole number from 1 to 200, got "${options.limit}"`);
      const page = await withStores(async (deps) =>
        listAudit(deps, await operatorFor(deps, options.account), { limit, cursor: options.cursor }),
      );
      const lines = page.entries.map(lineOf);
      if (page.next_cursor !== null) lines.push(`More: --cursor ${page.next_cursor}`);
      print(options.json === true, page, lines.length === 0 ? ['no entries'] : lines);
    });
  command
    .command('verify')
    .description('recompute the hash chain; exit code 1 and the first broken entry where it does not hold')
    .option('--head <seq:hash>', 'a head noted down earlier: finds entries cut off the end, too')
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const head = parseHead(options.head);
      const found = await withStores(async (deps) => verifyAudit(deps, await operatorFor(deps, options.account), head));
      const now = found.head === null ? 'none' : `${found.head.seq}:${found.head.hash}`;
      print(
        options.json === true,
        found,
        found.broken === null
          ? [`The chain of ${found.entries} entries holds. Head: ${now}`]
          : [
              `Broken at entry ${found.broken.seq}: ${found.broken.reason}`,
              `Sound up to ${found.entries}. Head: ${now}`,
            ],
      );
      if (!found.ok) process.exitCode = 1;
    });
  return command;
}

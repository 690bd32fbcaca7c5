import { Command } from 'commander';
import type { RotationSource } from '../domain/rotation/index.ts';
import { declareIncident, INCIDENT_SCOPES } from '../usecases/incident/declare.ts';
import type { Scope } from '../usecases/incident/reach.ts';
import { oneOfWords } from './device-rotation.ts';
import { operatorFor, print, withStores } from './operator.ts';

interface Options {
  account?: string;
  json?: boolean;
  reason: string;
  revoke?: boolean;
  keepUnread?: boolean;
  rotate?: Scope;
  source?: RotationSource;
  confirm?: boolean;
}

/** `fuselink-server incident`: a key is out. Shows what would be done; `--confirm` does it. */
export function incidentCommand(): Command {
  return new Command('incident')
    .description('a key is out: stop it, burn what nobody has read, rotate what the same people or place had, report')
    .argument('<key>', 'id or fingerprint of the key, or id or name of the device')
    .requiredOption('--reason <text>', 'what happened, for the audit')
    .option('--revoke', 'revoke every key of the device, instead of letting it report and recover')
    .option('--keep-unread', 'burn nothing')
    .option('--rotate <scope>', `what else to rotate: ${INCIDENT_SCOPES.join(', ')}`, oneOfWords(INCIDENT_SCOPES))
    .option('--source <source>', 'who makes the new keys: self, offer', oneOfWords(['self', 'offer']))
    .option('--confirm', 'do it; without this nothing is changed')
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (key: string, options: Options) => {
      const report = await withStores(async (deps) =>
        declareIncident(deps, await operatorFor(deps, options.account), {
          key,
          reason: options.reason,
          action: options.revoke === true ? 'revoke' : 'quarantine',
          burnUnread: options.keepUnread !== true,
          rotate: options.rotate,
          source: options.source,
          dryRun: options.confirm !== true,
        }),
      );
      const next = report.dry_run ? ['Add --confirm to do it.'] : [];
      print(options.json === true, report, [...report.lines, ...next]);
    });
}

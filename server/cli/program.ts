import { Command } from 'commander';
import { SETTINGS } from '../settings.ts';
import { VERSION } from '../start.ts';
import { accountCommand } from './account.ts';
import { auditCommand } from './audit.ts';
import { backupCommand, restoreCommand } from './backup.ts';
import { campaignCommand } from './campaign.ts';
import { deviceCommand } from './device.ts';
import { eventsCommand } from './events.ts';
import { firmwareCommand } from './firmware.ts';
import { gatewayCommand } from './gateway.ts';
import { incidentCommand } from './incident.ts';
import { keyCommand } from './key.ts';
import { exportCommand, importCommand } from './move.ts';
import { recipientCommand } from './recipient.ts';
import { secretCommand } from './secret.ts';
import { serveCommand } from './serve.ts';
import { webhookCommand } from './webhook.ts';

/** `fuselink-server`: the relay, and its operator's command line on the same machine. */
export function program(): Command {
  const command = new Command('fuselink-server')
    .description('A self-hosted relay through which devices send files that burn when they are read.')
    .version(VERSION)
    .showHelpAfterError()
    .addHelpText(
      'after',
      `\nSettings (environment):\n${SETTINGS.map(({ name, fallback, what }) => `  ${name.padEnd(28)} ${what}${fallback ? ` (${fallback})` : ''}`).join('\n')}\n
Exit codes: 0 done, 1 failed, 2 not understood.`,
    );
  // Commander ends with 1 on usage errors; ours are told apart from failures.
  command.exitOverride((error) => {
    process.exit(error.exitCode === 0 ? 0 : 2);
  });
  for (const sub of [
    serveCommand(),
    accountCommand(),
    keyCommand(),
    deviceCommand(),
    campaignCommand(),
    incidentCommand(),
    gatewayCommand(),
    firmwareCommand(),
    recipientCommand(),
    auditCommand(),
    eventsCommand(),
    webhookCommand(),
    secretCommand(),
    backupCommand(),
    restoreCommand(),
    exportCommand(),
    importCommand(),
  ]) {
    command.addCommand(sub.copyInheritedSettings(command));
    // Verbs below verbs were made before they could inherit anything.
    for (const verb of sub.commands) verb.copyInheritedSettings(sub);
  }
  return command;
}

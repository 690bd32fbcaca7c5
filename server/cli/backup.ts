import { resolve } from 'node:path';
import { Command } from 'commander';
import { backUp, restore, settleInPlace } from '../backup.ts';
import { readSettings } from '../settings.ts';
import { print } from './operator.ts';

export function backupCommand(): Command {
  return new Command('backup')
    .description('copy the metadata to a new file, consistent while the server runs; the keyring is backed up apart')
    .argument('<file>', 'a name that is not taken')
    .option('--json', 'print JSON')
    .action(async (file: string, options: { json?: boolean }) => {
      const settings = readSettings(process.env);
      const to = resolve(file);
      await backUp(settings, to);
      print(options.json === true, { file: to }, [
        `${to} holds the metadata. It cannot be used without the keyring${settings.secret === null ? ` (${settings.secretFile})` : ''}: keep that apart.`,
      ]);
    });
}

interface RestoreOptions {
  nothingEnded?: boolean;
  inPlace?: boolean;
  json?: boolean;
}

export function restoreCommand(): Command {
  return new Command('restore')
    .description(
      'bring a backup back, with everything in it that may have ended since put out of use: links, keys, sessions',
    )
    .argument('[file]', 'what "backup" made')
    .option('--in-place', 'settle the database the settings name (after pg_restore); every server must be stopped')
    .option('--nothing-ended', 'the backup was the last thing the old server did: keep links, keys and sessions')
    .option('--json', 'print JSON')
    .action(async (file: string | undefined, options: RestoreOptions) => {
      if ((file === undefined) !== (options.inPlace === true))
        throw new Error('expected either a backup file or --in-place');
      const settings = readSettings(process.env);
      const warn = (message: string) => void process.stderr.write(`fuselink-server: ${message}\n`);
      const how = { nothingEnded: options.nothingEnded === true, warn };
      const report =
        file === undefined ? await settleInPlace(settings, how) : await restore(settings, resolve(file), how);
      print(options.json === true, report, [
        `Restored (rotation epoch ${report.epoch}): ${report.linksRevoked} links and ${report.keysRevoked} keys revoked, ${report.devicesQuarantined} devices in quarantine, ${report.sessionsEnded} sessions and ${report.recoveryCodesDropped} recovery codes dropped.`,
        `Stopped: ${report.campaignsStopped} campaigns, ${report.webhooksDisabled} webhooks, ${report.deliveriesDropped} files for devices. ${report.firmwareKeysDistrusted} signers of firmware are to be trusted, and ${report.sealingKeysDoubted} keys of recipients and devices compared, once more.`,
        ...report.newKeys.map(({ email, key }) => `${email}: new key ${key}`),
        'Devices in quarantine keep their data; each goes on when it recovers, or when an operator releases it.',
      ]);
    });
}

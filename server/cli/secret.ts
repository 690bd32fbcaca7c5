import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { nodeRandom } from '../adapters/node/random.ts';
import { loadSecret, rotatedSecret, writeSecret } from '../secret-file.ts';
import { readSettings } from '../settings.ts';

export function secretCommand(): Command {
  const command = new Command('secret').description('the keyring that seals names, notes and recipients');
  command
    .command('rotate')
    .description(
      'add a key and use it from the next start on; older ones stay for what they sealed: restart the server at once',
    )
    .action(() => {
      const settings = readSettings(process.env);
      if (settings.secret !== null)
        throw new Error('the keyring is given by FUSELINK_SECRET: rotate it where it is kept');
      if (!existsSync(settings.secretFile))
        throw new Error(`there is no keyring at ${settings.secretFile} yet: it is made on first start`);
      const { keys } = loadSecret({ file: settings.secretFile, inline: null, dataExists: true, random: nodeRandom });
      const next = rotatedSecret(keys, nodeRandom);
      writeSecret(settings.secretFile, next);
      process.stdout.write(
        `The keyring now has ${next.keys.size} keys; version ${next.current} is used from the next start on. Restart the server now: until then it cannot open what this command line seals. Back up ${settings.secretFile}.\n`,
      );
    });
  return command;
}

import { Command } from 'commander';
import { keepYoungGenerationSmall } from '../adapters/node/young-garbage.ts';
import { readSettings } from '../settings.ts';
import { startServer } from '../start.ts';
import { newSetupLinkSecret } from '../usecases/account/first-account.ts';

export function serveCommand(): Command {
  return new Command('serve').description('run the relay').action(async () => {
    const settings = readSettings(process.env);
    const server = await startServer(settings);
    keepYoungGenerationSmall();
    process.stdout.write(`fuselink-server listens on ${server.url}\n`);
    if (server.secretCreated) {
      process.stdout.write(
        `A new keyring was made: ${settings.secretFile}\nBack it up apart from the data: without it, names and recipients cannot be opened.\n`,
      );
    }
    const secret = await newSetupLinkSecret(server.deps);
    if (secret !== null) process.stdout.write(firstAccountText(settings.publicUrl ?? server.url, secret));
    let stopping = false;
    const stop = (signal: NodeJS.Signals) => {
      if (stopping) process.exit(1);
      stopping = true;
      process.stdout.write(`${signal}: letting transfers under way finish (again: stop at once)\n`);
      server.stop().then(
        () => process.exit(0),
        (error) => {
          process.stderr.write(`fuselink-server: ${error instanceof Error ? error.message : String(error)}\n`);
          process.exit(1);
        },
      );
    };
    process.on('SIGTERM', stop).on('SIGINT', stop);
  });
}

/** The secret stands behind the #, which browsers keep to themselves: no log of a proxy has it. */
function firstAccountText(url: string, secret: string): string {
  const here = url.replace(/\/\/(0\.0\.0\.0|\[::\])(?=[:/]|$)/, '//127.0.0.1');
  return [
    'There is no account yet. Make the first one in a browser, with this link, which works once:',
    `  ${here}/dashboard/set-up#first=${secret}`,
    'or here:',
    '  npm run -s fuselink-server -- account create --email you@example.com',
    '',
  ].join('\n');
}

import { Command } from 'commander';
import { readSettings } from '../settings.ts';
import { startServer } from '../start.ts';

export function serveCommand(): Command {
  return new Command('serve').description('run the relay').action(async () => {
    const settings = readSettings(process.env);
    const server = await startServer(settings);
    process.stdout.write(`fuselink-server listens on ${server.url}\n`);
    if (server.secretCreated) {
      process.stdout.write(
        `A new keyring was made: ${settings.secretFile}\nBack it up apart from the data: without it, names and recipients cannot be opened.\n`,
      );
    }
    const accounts = await server.deps.store.count('accounts', { where: [] });
    if (accounts.rows === 0) {
      process.stdout.write(
        'There is no account yet. Make the first one:\n  npm run -s fuselink-server -- account create --email you@example.com\n',
      );
    }
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

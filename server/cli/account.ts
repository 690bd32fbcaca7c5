import { Command } from 'commander';
import { createAccount } from '../usecases/account/create-account.ts';
import { print, withStores } from './operator.ts';

export function accountCommand(): Command {
  const command = new Command('account').description('accounts of this installation');
  command
    .command('create')
    .description('make an account; its first key is shown once')
    .requiredOption('--email <address>', 'sign-in e-mail')
    .option('--json', 'print JSON')
    .action(async (options: { email: string; json?: boolean }) => {
      const created = await withStores((deps) => createAccount(deps, { email: options.email }));
      const value = { account_id: created.accountId, email: created.email, api_key: created.apiKey };
      print(options.json === true, value, [
        `Account    ${created.email} (${created.accountId})`,
        `API key    ${created.apiKey}`,
        'The key is shown only now. Keep it where your devices will find it.',
      ]);
    });
  return command;
}

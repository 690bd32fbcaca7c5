import { Command, InvalidArgumentError } from 'commander';
import { changeAccount } from '../usecases/account/settings.ts';
import { operatorFor, print, withStores } from './operator.ts';

/** `account policy`: what an account accepts. Without an option it is only shown. */
export function policyCommand(): Command {
  return new Command('policy')
    .description('what the account accepts; shows it, or changes what is given')
    .option('--require-sealed <on|off>', 'refuse uploads that are not sealed end to end', onOrOff)
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (options: { requireSealed?: boolean; account?: string; json?: boolean }) => {
      const account = await withStores(async (deps) =>
        changeAccount(deps, await operatorFor(deps, options.account), { requireSealed: options.requireSealed }),
      );
      print(options.json === true, { require_sealed: account.require_sealed }, [
        `Unsealed uploads are ${account.require_sealed ? 'refused' : 'accepted'}.`,
      ]);
    });
}

function onOrOff(text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new InvalidArgumentError('expected on or off');
}

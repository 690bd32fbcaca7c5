import { Command, InvalidArgumentError } from 'commander';
import { renderUnicodeCompact } from 'uqr';
import type { Role } from '#sdk/protocol';
import { ROLES } from '../domain/auth/roles.ts';
import type { UserRow } from '../ports/tables.ts';
import { createAccount } from '../usecases/account/create-account.ts';
import { changeAccount, ownAccount } from '../usecases/account/settings.ts';
import {
  addUser,
  changeRole,
  listUsers,
  removeUser,
  resetSecondFactor,
  userAnswer,
} from '../usecases/account/users.ts';
import type { Caller } from '../usecases/caller.ts';
import type { Deps } from '../usecases/deps.ts';
import { operatorFor, print, withStores } from './operator.ts';
import { policyCommand } from './policy.ts';

interface Options {
  email: string;
  role: Role;
  account?: string;
  json?: boolean;
  keysMayManage?: boolean;
}

interface ShownOnce {
  totpUri: string;
  recoveryCodes: string[];
  setupSecret: string;
}

/** What a person needs to sign in, for eyes: the QR code, the codes, and what each is for. */
function signInLines(email: string, shown: ShownOnce): string[] {
  const columns = [0, 1, 2, 3, 4].map((row) => `  ${shown.recoveryCodes[row]}   ${shown.recoveryCodes[row + 5]}`);
  return [
    '',
    `Scan this with an authenticator app, then sign in as ${email}. The first code completes the set-up.`,
    renderUnicodeCompact(shown.totpUri),
    shown.totpUri,
    '',
    'Recovery codes, each good for one sign-in without the authenticator:',
    ...columns,
    '',
    `Setup secret   ${shown.setupSecret}`,
    'It sets another authenticator up until the first code was accepted.',
    'All of this is shown only now.',
  ];
}

function shownJson(shown: ShownOnce): object {
  return { totp_uri: shown.totpUri, recovery_codes: shown.recoveryCodes, setup_secret: shown.setupSecret };
}

function parseRole(text: string): Role {
  const role = ROLES.find((known) => known === text);
  if (role === undefined) throw new InvalidArgumentError(`expected one of ${ROLES.join(', ')}`);
  return role;
}

function parseFlag(text: string): boolean {
  if (text !== 'on' && text !== 'off') throw new InvalidArgumentError('expected on or off');
  return text === 'on';
}

async function userByEmail(deps: Deps, caller: Caller, email: string): Promise<UserRow> {
  const user = await deps.store.get('users', { email: email.trim().toLowerCase() });
  if (user !== null && user.account_id === caller.accountId) return user;
  throw new Error(`there is no user ${email} in this account: see "fuselink-server account users"`);
}

export function accountCommand(): Command {
  const command = new Command('account').description('accounts of this installation, and who signs in to them');
  command
    .command('create')
    .description('make an account; its first key and what its owner signs in with are shown once')
    .requiredOption('--email <address>', 'sign-in e-mail')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const created = await withStores((deps) => createAccount(deps, { email: options.email }));
      const value = {
        account_id: created.accountId,
        email: created.email,
        api_key: created.apiKey,
        ...shownJson(created),
      };
      print(options.json === true, value, [
        `Account    ${created.email} (${created.accountId})`,
        `API key    ${created.apiKey}`,
        'Keep the key where your devices will find it.',
        ...signInLines(created.email, created),
      ]);
    });

  command
    .command('show')
    .description('the account and its settings')
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const account = await withStores(async (deps) => ownAccount(deps, await operatorFor(deps, options.account)));
      print(options.json === true, account, [
        `Account          ${account.email} (${account.id})`,
        `Keys may manage  ${account.keys_may_manage ? 'on' : 'off'}`,
        `Unsealed files   ${account.require_sealed ? 'refused' : 'accepted'}`,
      ]);
    });

  command
    .command('set')
    .description('change the settings of an account')
    .requiredOption('--keys-may-manage <on|off>', 'whether API keys alone may manage keys and devices', parseFlag)
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const account = await withStores(async (deps) =>
        changeAccount(deps, await operatorFor(deps, options.account), {
          keysMayManage: options.keysMayManage === true,
        }),
      );
      print(options.json === true, account, [`Keys may manage  ${account.keys_may_manage ? 'on' : 'off'}`]);
    });

  command
    .command('users')
    .description('who signs in, newest first')
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const page = await withStores(async (deps) =>
        listUsers(deps, await operatorFor(deps, options.account), { limit: 200 }),
      );
      const lines = page.users.map(
        (user) =>
          `${user.id}  ${user.role.padEnd(8)} second factor ${user.second_factor.padEnd(8)}  last sign-in ${user.last_sign_in_at ?? 'never'}  ${user.email}`,
      );
      print(options.json === true, page, lines.length === 0 ? ['no users'] : lines);
    });

  command
    .command('add-user')
    .description('one more person; what they sign in with is shown once')
    .requiredOption('--email <address>', 'sign-in e-mail')
    .requiredOption('--role <role>', ROLES.join(', '), parseRole)
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const user = await withStores(async (deps) =>
        addUser(deps, await operatorFor(deps, options.account), { email: options.email, role: options.role }),
      );
      print(options.json === true, { ...userAnswer(user.row), ...shownJson(user) }, [
        `User       ${user.row.email} (${user.row.id}), ${user.row.role}`,
        ...signInLines(user.row.email, user),
      ]);
    });

  command
    .command('set-role')
    .description('another role for a user, from the very next request on')
    .requiredOption('--email <address>', 'sign-in e-mail of the user')
    .requiredOption('--role <role>', ROLES.join(', '), parseRole)
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const user = await withStores(async (deps) => {
        const caller = await operatorFor(deps, options.account);
        const { id } = await userByEmail(deps, caller, options.email);
        return changeRole(deps, caller, { id, role: options.role });
      });
      print(options.json === true, user, [`${user.email} is ${user.role} now`]);
    });

  command
    .command('remove-user')
    .description('take a user away; every session of theirs ends')
    .requiredOption('--email <address>', 'sign-in e-mail of the user')
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      await withStores(async (deps) => {
        const caller = await operatorFor(deps, options.account);
        const { id } = await userByEmail(deps, caller, options.email);
        await removeUser(deps, caller, id);
      });
      print(options.json === true, { removed: options.email }, [`${options.email} was removed`]);
    });

  command
    .command('reset-second-factor')
    .description('for who lost authenticator and recovery codes: all of it anew, every session of theirs ends')
    .requiredOption('--email <address>', 'sign-in e-mail of the user')
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const reset = await withStores(async (deps) => {
        const caller = await operatorFor(deps, options.account);
        const { id } = await userByEmail(deps, caller, options.email);
        return resetSecondFactor(deps, caller, id);
      });
      print(options.json === true, { email: reset.email, ...shownJson(reset) }, signInLines(reset.email, reset));
    });
  command.addCommand(policyCommand());
  return command;
}

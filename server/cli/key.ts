import { Command } from 'commander';
import type { Role } from '#sdk/protocol';
import { ROLES } from '../domain/auth/roles.ts';
import { newPdmKey } from '../domain/credential/pdm-key.ts';
import type { KeyId } from '../domain/ids.ts';
import { createKey, listKeys, revokeKey } from '../usecases/key/manage-keys.ts';
import { operatorFor, print, withStores } from './operator.ts';

interface Options {
  account?: string;
  json?: boolean;
  name?: string;
  role?: string;
  burn?: boolean;
  pdm?: boolean;
}

function roleOf(text: string | undefined): Role {
  const role = ROLES.find((known) => known === text);
  if (role === undefined) throw new Error(`--role: expected one of ${ROLES.join(', ')}, got "${text}"`);
  return role;
}

export function keyCommand(): Command {
  const command = new Command('key').description('API keys of an account');
  command
    .command('create')
    .description('a new account key, shown once')
    .requiredOption('--name <name>', 'what it is for')
    .option('--role <role>', ROLES.join(', '), 'owner')
    .option('--pdm', 'in the form pdm_ and 28 characters')
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const created = await withStores(async (deps) =>
        createKey(deps, await operatorFor(deps, options.account), {
          name: options.name ?? '',
          role: roleOf(options.role),
          ...(options.pdm === true ? { key: newPdmKey(deps.random) } : {}),
        }),
      );
      print(
        options.json === true,
        { id: created.id, key: created.key, prefix: created.prefix, fingerprint: created.fingerprint },
        [`Key        ${created.key}`, `Id         ${created.id}`, 'The key is shown only now.'],
      );
    });
  command
    .command('list')
    .description('keys, newest first')
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const page = await withStores(async (deps) =>
        listKeys(deps, await operatorFor(deps, options.account), { limit: 200 }),
      );
      const lines = page.keys.map(
        (key) =>
          `${key.id}  ${key.state.padEnd(8)} ${key.kind.padEnd(7)} ${key.prefix}…  ${key.created_at}  ${key.name}`,
      );
      print(options.json === true, page, lines.length === 0 ? ['no keys'] : lines);
    });
  command
    .command('revoke <id>')
    .description('revoke a key for the very next request')
    .option('--burn', 'also burn what was sent with it and nobody has read')
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON')
    .action(async (id: string, options: Options) => {
      const key = await withStores(async (deps) =>
        revokeKey(deps, await operatorFor(deps, options.account), { id: id as KeyId, burn: options.burn === true }),
      );
      print(options.json === true, key, [
        `Revoked ${key.id} (${key.name}) at ${key.revoked_at}`,
        `Sent with it: ${key.sent_total} transfers${options.burn === true ? `, ${key.burned} unread ones burned` : ''}`,
        ...key.sent.map(
          (sent) =>
            `  ${sent.id}  ${sent.state.padEnd(9)} ${sent.created_at}  ${sent.filename}  ${sent.recipient ?? ''}`,
        ),
      ]);
    });
  return command;
}

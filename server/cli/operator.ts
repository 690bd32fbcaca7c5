import type { AccountRow } from '../ports/tables.ts';
import { readSettings } from '../settings.ts';
import { operatorOf } from '../usecases/account/create-account.ts';
import type { Caller } from '../usecases/caller.ts';
import type { Deps } from '../usecases/deps.ts';
import { wire } from '../wiring.ts';

/** Runs one operation on the installation's stores, whether the server is running or not. */
export async function withStores<T>(act: (deps: Deps) => Promise<T>): Promise<T> {
  const settings = readSettings(process.env);
  if (settings.metadata.kind === 'memory') {
    throw new Error(
      'FUSELINK_METADATA=memory: has nothing that another process could work on; use sqlite: or postgres:',
    );
  }
  const wired = await wire(settings, (message, error) => {
    process.stderr.write(`fuselink-server: ${message}: ${error instanceof Error ? error.message : String(error)}\n`);
  });
  try {
    return await act(wired.deps);
  } finally {
    await wired.close();
  }
}

/** The account an operator means: by e-mail, or the only one there is. */
export async function operatorFor(deps: Deps, email: string | undefined): Promise<Caller> {
  const account =
    email === undefined
      ? await onlyAccount(deps)
      : await deps.store.get('accounts', { email: email.trim().toLowerCase() });
  if (account === null)
    throw new Error(
      `there is no account ${email ?? ''}: make one with "fuselink-server account create --email you@example.com"`,
    );
  const [key] = await deps.store.list('api_keys', {
    where: [['account_id', '=', account.id]],
    orderBy: [
      ['created_at_ms', 'asc'],
      ['id', 'asc'],
    ],
    limit: 1,
  });
  if (key === undefined) throw new Error('the account has no key at all: its database is damaged');
  return operatorOf(account.id, key);
}

async function onlyAccount(deps: Deps): Promise<AccountRow | null> {
  const accounts = await deps.store.list('accounts', { where: [], orderBy: [['id', 'asc']], limit: 2 });
  if (accounts.length > 1) throw new Error('there is more than one account: say which with --account EMAIL');
  return accounts[0] ?? null;
}

/** Prints JSON for programs, or lines for people. */
export function print(json: boolean, value: unknown, lines: readonly string[]): void {
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${lines.join('\n')}\n`);
}

import { toBase64url, utf8 } from '../../domain/base64url.ts';
import type { FactRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { type CreatedAccount, createAccount } from './create-account.ts';

const FACT = 'first-account-setup';
const SECRET_BYTES = 32;

function hashOf(deps: Deps, secret: string): string {
  return toBase64url(deps.crypto.sha256(utf8(`first account ${secret}`)));
}

/**
 * A new one-time secret that makes the first account, where there is none yet; else null. Only its hash is kept, and
 * an earlier secret is worth nothing from now on.
 */
export async function newSetupLinkSecret(deps: Deps): Promise<string | null> {
  const accounts = await deps.store.count('accounts', { where: [] });
  if (accounts.rows > 0) return null;
  const secret = toBase64url(deps.random.bytes(SECRET_BYTES));
  const before = await deps.store.get('facts', { id: FACT });
  const row: FactRow = { id: FACT, value: hashOf(deps, secret), version: (before?.version ?? 0) + 1 };
  await deps.store.commit([{ kind: 'put', table: 'facts', row }]);
  return secret;
}

/**
 * The first account of an installation, by whoever has the link that the server printed. Throws
 * `setup_secret_invalid` for another secret, a used one, and where there is an account already.
 */
export async function createFirstAccount(
  deps: Deps,
  what: { email: string; setupSecret: string },
): Promise<CreatedAccount> {
  const fact = await deps.store.get('facts', { id: FACT });
  const right =
    fact !== null && deps.crypto.equal(utf8(hashOf(deps, what.setupSecret.slice(0, 200))), utf8(fact.value));
  const accounts = await deps.store.count('accounts', { where: [] });
  if (!right || fact === null || accounts.rows > 0) throw refused();
  // Spent in the very commit that makes the account: of two who press at once one is told that the link is used.
  const created = await createAccount(deps, { email: what.email }, [
    { kind: 'delete', table: 'facts', key: FACT, expectVersion: fact.version },
  ]);
  return created;
}

function refused(): FuselinkError {
  return new FuselinkError(
    'setup_secret_invalid',
    'Expected the set-up link that the server printed at its last start, unused, on a server without an account. Restart the server for another link, or run "fuselink-server account create".',
  );
}

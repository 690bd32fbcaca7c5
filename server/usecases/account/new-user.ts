import type { Role } from '#sdk/protocol';
import type { AccountId, UserId } from '../../domain/ids.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { UserRow } from '../../ports/tables.ts';
import { newRecoveryCodes, newSeed, newSetupSecret } from '../auth/second-factor.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { newId } from '../new-id.ts';

export interface NewUser {
  row: UserRow;
  /** Shown once: what an authenticator scans. */
  totpUri: string;
  /** Shown once: ten, each good for one sign-in. */
  recoveryCodes: string[];
  /** Shown once: lets the user set the authenticator up again until its first code was accepted. */
  setupSecret: string;
  writes: Write[];
}

/** A user who has yet to show the first code, and the writes that make it real. */
export function newUser(deps: Deps, what: { accountId: AccountId; email: string; role: Role }): NewUser {
  const id = newId(deps, 'usr') as UserId;
  const seed = newSeed(deps, { id, email: what.email });
  const recovery = newRecoveryCodes(deps, id);
  const setup = newSetupSecret(deps);
  const row: UserRow = {
    id,
    account_id: what.accountId,
    email: what.email,
    role: what.role,
    totp_state: 'pending',
    totp_seed: seed.sealed,
    totp_next: null,
    totp_last_step: 0,
    setup_hash: setup.hash,
    created_at_ms: deps.clock.nowMs(),
    enrolled_at_ms: null,
    last_sign_in_at_ms: null,
    version: 1,
  };
  return {
    row,
    totpUri: seed.uri,
    recoveryCodes: recovery.codes,
    setupSecret: setup.text,
    writes: [
      { kind: 'insert', table: 'users', row },
      ...recovery.rows.map((code): Write => ({ kind: 'insert', table: 'recovery_codes', row: code })),
    ],
  };
}

/** The e-mail in the one form it is kept in; throws `invalid_field` for what is none. */
export function checkEmail(text: string): string {
  const email = text.trim().toLowerCase();
  if (
    email.length <= 254 &&
    /^[^\s@<>"\u0000-\u001f\u007f\ud800-\udfff]+@[^\s@<>"\u0000-\u001f\u007f\ud800-\udfff]+$/u.test(email)
  )
    return email;
  const detail = 'expected one e-mail address, got another text';
  throw new FuselinkError('invalid_field', `email: ${detail}.`, { errors: [{ field: 'email', detail }] });
}

import { utf8 } from '../../domain/base64url.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { UserRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireSecondFactor } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { addressCounter, codeCounter, failureWrite, refuseWhileWaiting } from './attempts.ts';
import { judgeCode, newSeed, replaceRecoveryCodes, setupHash } from './second-factor.ts';
import { endSessions } from './sessions.ts';
import { checkPassword, type Password } from './sign-in.ts';

export interface Enrolment {
  totpUri: string;
  recoveryCodes: string[];
}

/**
 * A new seed and new recovery codes for a user who has not shown a first code yet. Needs the setup secret of
 * `account create` beside e-mail and key, so that whoever steals a key first cannot enrol themselves. May be repeated
 * until the first code is accepted; with that the secret is spent.
 */
export async function beginEnrolment(deps: Deps, what: Password & { setupSecret: string }): Promise<Enrolment> {
  const { user } = await checkPassword(deps, what);
  if (user.totp_state === 'enrolled') throw alreadyEnrolled();
  const counter = addressCounter(what.from);
  const hash = setupHash(deps, what.setupSecret);
  const enrolment = await decideAndCommit<Enrolment | null>(deps.store, async () => {
    const now = await deps.store.get('users', { id: user.id });
    if (now === null || now.totp_state === 'enrolled') throw alreadyEnrolled();
    const before = await refuseWhileWaiting(deps, counter);
    const right = hash !== null && now.setup_hash !== null && deps.crypto.equal(utf8(hash), utf8(now.setup_hash));
    if (!right) return { answer: null, writes: [failureWrite(counter, before, deps.clock.nowMs())] };
    const seed = newSeed(deps, now);
    const recovery = await replaceRecoveryCodes(deps, now.id);
    const next: UserRow = { ...now, totp_seed: seed.sealed, totp_last_step: 0, version: now.version + 1 };
    return {
      answer: { totpUri: seed.uri, recoveryCodes: recovery.codes },
      writes: [
        { kind: 'update', table: 'users', row: next, expectVersion: now.version },
        ...recovery.writes,
        {
          kind: 'audit',
          entry: {
            chain: now.account_id,
            at_ms: deps.clock.nowMs(),
            actor: `user:${now.email}`,
            action: 'second_factor.begun',
            subject: now.id,
            outcome: 'done',
            detail: {},
            from: what.from,
          },
        },
      ],
    };
  });
  if (enrolment !== null) return enrolment;
  throw new FuselinkError(
    'setup_secret_invalid',
    'Expected the setup secret that "account create" showed, got another.',
  );
}

function alreadyEnrolled(): FuselinkError {
  return new FuselinkError(
    'totp_already_enrolled',
    'The authenticator is set up already. Signed in, change it with POST /v1/auth/totp/replace; without it, use a recovery code or ask the operator for "account reset-second-factor".',
  );
}

/** The seed of a new authenticator for a signed-in user. The present one stays good until the new one shows a code. */
export async function replaceAuthenticator(deps: Deps, caller: Caller, code: string): Promise<{ totpUri: string }> {
  return withCode(deps, caller, code, 'totp_seed', async (user) => {
    const seed = newSeed(deps, user);
    return {
      answer: { totpUri: seed.uri },
      user: { ...user, totp_next: seed.sealed },
      writes: [],
      action: 'second_factor.replacing',
    };
  });
}

/** The first code of the new authenticator: it takes the place of the old one, and every other session ends. */
export async function confirmAuthenticator(deps: Deps, caller: Caller, code: string): Promise<void> {
  return withCode(deps, caller, code, 'totp_next', async (user) => ({
    answer: undefined,
    user: { ...user, totp_seed: user.totp_next ?? user.totp_seed, totp_next: null },
    writes: await endSessions(deps, user.id, caller.session?.id),
    action: 'second_factor.replaced',
  }));
}

/** Ten new recovery codes; the old ones are worth nothing from now on. */
export async function renewRecoveryCodes(deps: Deps, caller: Caller, code: string): Promise<string[]> {
  return withCode(deps, caller, code, 'totp_seed', async (user) => {
    const recovery = await replaceRecoveryCodes(deps, user.id);
    return { answer: recovery.codes, user, writes: recovery.writes, action: 'second_factor.codes_renewed' };
  });
}

interface Change<T> {
  answer: T;
  user: UserRow;
  writes: Write[];
  action: string;
}

/** A change of the second factor needs a code of its own, fresh, beside the session: a screen left open is not enough. */
async function withCode<T>(
  deps: Deps,
  caller: Caller,
  code: string,
  seedOf: 'totp_seed' | 'totp_next',
  change: (user: UserRow) => Promise<Change<T>>,
): Promise<T> {
  requireSecondFactor(caller);
  const userId = caller.session?.userId;
  if (userId === undefined) throw new FuselinkError('management_required', 'Expected a signed-in user.');
  let refused: FuselinkError | null = null;
  const done = await decideAndCommit<{ value: T } | null>(deps.store, async () => {
    refused = null;
    const user = await deps.store.get('users', { id: userId });
    if (user === null) throw new FuselinkError('token_invalid', 'This user was removed.');
    const sealed = user[seedOf];
    if (sealed === null) {
      throw new FuselinkError(
        'conflict',
        'There is no new authenticator to confirm: begin with POST /v1/auth/totp/replace.',
      );
    }
    const nowMs = deps.clock.nowMs();
    const counter = await codeCounter(deps, user.id, caller.from);
    const before = await refuseWhileWaiting(deps, counter);
    // A new seed has codes of its own: what the old one showed in this half minute does not spend them.
    const lastStep = seedOf === 'totp_next' ? 0 : user.totp_last_step;
    const verdict = judgeCode(deps, { ...user, totp_last_step: lastStep }, code, sealed);
    if (verdict.kind !== 'accepted') {
      const used = verdict.kind === 'used';
      refused = new FuselinkError(
        'sign_in_failed',
        used
          ? 'This code was already used: wait for the next one.'
          : 'Expected the six digits the authenticator shows now, got others.',
      );
      return { answer: null, writes: used ? [] : [failureWrite(counter, before, nowMs)] };
    }
    const changed = await change(user);
    const row: UserRow = { ...changed.user, totp_last_step: verdict.step, version: user.version + 1 };
    return {
      answer: { value: changed.answer },
      writes: [
        { kind: 'update', table: 'users', row, expectVersion: user.version },
        ...changed.writes,
        auditOf(caller, nowMs, { action: changed.action, subject: user.id }),
      ],
    };
  });
  if (done !== null) return done.value;
  throw refused ?? new FuselinkError('sign_in_failed');
}

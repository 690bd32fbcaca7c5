import { RECOVERY_CODES } from '#sdk/protocol';
import {
  canonicalWords,
  RECOVERY_CODE_CHARACTERS,
  SETUP_SECRET_CHARACTERS,
  secretWords,
} from '../../domain/auth/secret-words.ts';
import { judgeTotp, type TotpVerdict, totpDigits, totpSteps } from '../../domain/auth/totp.ts';
import { toBase64url, utf8 } from '../../domain/base64url.ts';
import type { UserId } from '../../domain/ids.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { RecoveryCodeRow, UserRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';

/** 160 bits, as RFC 4226 §4 (R6) recommends. */
const SEED_BYTES = 20;
const SEED_PURPOSE = 'totp seed';

/** A new authenticator's seed: sealed as it is stored, and the URI that shows it once. */
export function newSeed(deps: Deps, user: Pick<UserRow, 'id' | 'email'>): { sealed: Uint8Array; uri: string } {
  const seed = deps.random.bytes(SEED_BYTES);
  return {
    sealed: deps.keyring.seal(SEED_PURPOSE, user.id, seed),
    uri: deps.totp.uri({ seed, label: user.email }),
  };
}

/** Whether `code` is the user's at this moment, by the given sealed seed. Compares every possible step, in equal time. */
export function judgeCode(deps: Deps, user: UserRow, code: string, sealedSeed: Uint8Array): TotpVerdict {
  const digits = totpDigits(code);
  if (digits === null) return { kind: 'wrong' };
  const seed = deps.keyring.open(SEED_PURPOSE, user.id, sealedSeed);
  if (seed === null) {
    throw new Error(
      'a sealed authenticator seed does not open: its key is missing from FUSELINK_SECRET, or it was altered',
    );
  }
  const given = utf8(digits);
  const matching = totpSteps(deps.clock.nowMs()).filter((step) =>
    deps.crypto.equal(given, utf8(deps.totp.code(seed, step))),
  );
  return judgeTotp(matching, user.totp_last_step);
}

/** Ten new recovery codes: as they are shown, once, and as they are kept. */
export function newRecoveryCodes(deps: Deps, userId: UserId): { codes: string[]; rows: RecoveryCodeRow[] } {
  const codes = Array.from({ length: RECOVERY_CODES }, () =>
    secretWords(deps.random.bytes(RECOVERY_CODE_CHARACTERS), 4),
  );
  const nowMs = deps.clock.nowMs();
  const rows = codes.map((code) => ({
    id: recoveryCodeId(deps, userId, code) ?? '',
    user_id: userId,
    created_at_ms: nowMs,
    used_at_ms: null,
    version: 1,
  }));
  return { codes, rows };
}

/** base64url(SHA-256(user id ‖ code)), or null where the text cannot be a recovery code. 80 random bits need no salt. */
export function recoveryCodeId(deps: Deps, userId: UserId, text: string): string | null {
  const words = canonicalWords(text, RECOVERY_CODE_CHARACTERS);
  return words === null ? null : toBase64url(deps.crypto.sha256(utf8(`recovery ${userId} ${words}`)));
}

/** Every recovery code the user has or had. */
export function recoveryCodesOf(deps: Deps, userId: UserId): Promise<RecoveryCodeRow[]> {
  return deps.store.list('recovery_codes', {
    where: [['user_id', '=', userId]],
    orderBy: [['id', 'asc']],
    limit: 1000,
  });
}

/** The writes that put a new set of recovery codes in the place of the old ones. */
export async function replaceRecoveryCodes(deps: Deps, userId: UserId): Promise<{ codes: string[]; writes: Write[] }> {
  const old = await recoveryCodesOf(deps, userId);
  const { codes, rows } = newRecoveryCodes(deps, userId);
  return {
    codes,
    writes: [
      ...old.map((row): Write => ({ kind: 'delete', table: 'recovery_codes', key: row.id })),
      ...rows.map((row): Write => ({ kind: 'insert', table: 'recovery_codes', row })),
    ],
  };
}

/** A setup secret: as it is shown, once, and as it is kept. */
export function newSetupSecret(deps: Deps): { text: string; hash: string } {
  const text = secretWords(deps.random.bytes(SETUP_SECRET_CHARACTERS), 5);
  return { text, hash: setupHash(deps, text) ?? '' };
}

/** base64url(SHA-256(setup secret)), or null where the text cannot be one. */
export function setupHash(deps: Deps, text: string): string | null {
  const words = canonicalWords(text, SETUP_SECRET_CHARACTERS);
  return words === null ? null : toBase64url(deps.crypto.sha256(utf8(`setup ${words}`)));
}

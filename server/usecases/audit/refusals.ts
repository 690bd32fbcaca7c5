import { auditOf, type Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import type { FuselinkError } from '../error.ts';

/** Refusals that say somebody tried what they may not do. What is merely misspelt is no business of the audit. */
const AUDITED: readonly string[] = [
  'management_required',
  'role_insufficient',
  'device_key_required',
  'cross_site_request',
  'upload_limit_exceeded',
  'quota_exceeded',
  'recipient_key_changed',
  'signing_key_changed',
  'unsealed_refused',
];

/** Entries of one kind a caller may cause in an hour: a loop of refused calls must not fill the chain. */
const REFUSALS_PER_HOUR = 10;
const HOUR_MS = 3_600_000;

/** Writes a refused call down in the caller's account. Never rejects: the refusal itself stands. */
export async function auditRefused(
  deps: Deps,
  caller: Caller,
  what: { error: FuselinkError; operation: string },
): Promise<void> {
  const { code } = what.error;
  if (!AUDITED.includes(code)) return;
  const nowMs = deps.clock.nowMs();
  try {
    await deps.store.commit([
      {
        kind: 'take',
        id: `refused ${caller.key.id} ${code}`,
        atMs: nowMs,
        windowMs: HOUR_MS,
        max: REFUSALS_PER_HOUR,
      },
      auditOf(caller, nowMs, {
        action: `refused.${code}`,
        subject: what.operation,
        outcome: 'refused',
      }),
    ]);
  } catch (error) {
    deps.warn('a refusal could not be audited', error);
  }
}

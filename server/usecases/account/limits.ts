import {
  ACCOUNT_KEYS_ACTIVE_MAX,
  ACCOUNT_USERS_MAX,
  type LimitsAnswer,
  SESSION_SECONDS,
  STATUS_REPORTS_PER_WINDOW,
  TTL_SECONDS_DEFAULT,
  TTL_SECONDS_MAX,
  TTL_SECONDS_MIN,
} from '#sdk/protocol';
import { type Caller, requireAccountKey } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';

/** What this installation allows the account. */
export async function limitsOf(deps: Deps, caller: Caller, version: string): Promise<LimitsAnswer> {
  requireAccountKey(caller);
  const account = await deps.store.get('accounts', { id: caller.accountId });
  if (account === null) throw new FuselinkError('not_found', 'There is no such account.');
  const { uploadsPerWindow, uploadWindowMs, uploadsInFlightMax, fileBytesMax } = deps.settings;
  return {
    uploads: uploadsPerWindow,
    upload_window_seconds: uploadWindowMs / 1000,
    uploads_in_flight: uploadsInFlightMax,
    status_reports: STATUS_REPORTS_PER_WINDOW,
    file_bytes_max: fileBytesMax,
    ttl_seconds_min: TTL_SECONDS_MIN,
    ttl_seconds_default: TTL_SECONDS_DEFAULT,
    ttl_seconds_max: TTL_SECONDS_MAX,
    account_keys_max: ACCOUNT_KEYS_ACTIVE_MAX,
    account_users_max: ACCOUNT_USERS_MAX,
    session_seconds: SESSION_SECONDS,
    quota_bytes: account.settings.quota_bytes ?? null,
    version,
  };
}

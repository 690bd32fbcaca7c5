import { type WindowState, windowAt } from '../../domain/sliding-window.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';

/** The subject's upload window as it stands, uploads under way included. For the RateLimit headers and admission. */
export async function uploadWindow(deps: Deps, caller: Pick<Caller, 'subject'>): Promise<WindowState> {
  const row = await deps.store.get('windows', { id: uploadWindowId(caller) });
  const { uploadWindowMs, uploadsPerWindow } = deps.settings;
  return windowAt(row?.hits ?? [], { nowMs: deps.clock.nowMs(), windowMs: uploadWindowMs, max: uploadsPerWindow });
}

export function uploadWindowId(caller: Pick<Caller, 'subject'>): string {
  return `uploads ${caller.subject}`;
}

/** The refusal of an upload that is one too many. It costs nothing: no count, no bytes. */
export function limitExceeded(deps: Deps, window: WindowState): FuselinkError {
  const { uploadsPerWindow, uploadWindowMs } = deps.settings;
  const seconds = Math.max(1, window.resetSeconds);
  return new FuselinkError(
    'upload_limit_exceeded',
    `Expected at most ${uploadsPerWindow} uploads in ${uploadWindowMs / 1000} s; the next one is accepted in ${seconds} s.`,
    { retryAfterSeconds: seconds },
  );
}

/**
 * Whether one more upload may begin, before a byte of its body is read: the window, what is already under way, the
 * announced size, and the account's quota.
 */
export async function admitUpload(
  deps: Deps,
  caller: Caller,
  announced: { bytes: number | null; counts: boolean },
): Promise<void> {
  const { settings, active } = deps;
  refuseOversize(deps, announced.bytes);
  if (announced.counts) {
    const window = await uploadWindow(deps, caller);
    const underWay = active.count(caller.subject);
    if (window.remaining === 0) throw limitExceeded(deps, window);
    if (underWay >= settings.uploadsInFlightMax || underWay >= window.remaining) {
      throw new FuselinkError(
        'too_many_in_flight',
        `Expected at most ${Math.min(settings.uploadsInFlightMax, window.remaining)} uploads at the same time, got one more.`,
        { retryAfterSeconds: 1 },
      );
    }
  }
  await refuseOverQuota(deps, caller, announced.bytes ?? 0);
}

/** Throws `payload_too_large` where more bytes are announced (or have come) than a file may have. */
export function refuseOversize(deps: Deps, bytes: number | null): void {
  const max = deps.settings.fileBytesMax;
  if (bytes !== null && bytes > max) {
    throw new FuselinkError(
      'payload_too_large',
      `Expected at most ${max} bytes, got ${bytes === max + 1 ? 'more' : bytes}.`,
    );
  }
}

/** Throws `quota_exceeded` where the account's unread files and this one together pass its quota. */
async function refuseOverQuota(deps: Deps, caller: Caller, bytes: number): Promise<void> {
  const account = await deps.store.get('accounts', { id: caller.accountId });
  const quota = account?.settings.quota_bytes;
  if (quota === undefined) return;
  const { sum } = await deps.store.count('transfers', {
    where: [
      ['account_id', '=', caller.accountId],
      ['state', 'in', ['uploading', 'ready', 'claimed']],
    ],
    sum: 'offset',
  });
  if (sum + bytes > quota) {
    throw new FuselinkError(
      'quota_exceeded',
      `Expected at most ${quota} bytes of unread files, got ${sum} and ${bytes} more.`,
    );
  }
}

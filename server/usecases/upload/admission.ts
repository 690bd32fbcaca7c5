import { type WindowState, windowAt } from '../../domain/sliding-window.ts';
import type { Beside } from '../../ports/metadata-store.ts';
import type { KeyRow } from '../../ports/tables.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import type { AbortSignalLike, Place, PlaceKind } from './active-uploads.ts';

/** Requests of one subject that may wait for a place: they hold a socket each, but no memory. */
const WAITING_MAX = 128;

/** The subject's upload window as it stands. For the RateLimit headers and admission. */
export async function uploadWindow(deps: Deps, caller: Pick<Caller, 'subject'>): Promise<WindowState> {
  const row = await deps.store.get('windows', { id: uploadWindowId(caller) });
  return windowOf(deps, row?.hits ?? []);
}

/** As `uploadWindow`, of what was read with the caller, where that was. For what must not be of this very moment. */
export async function uploadWindowSeen(deps: Deps, caller: Caller): Promise<WindowState> {
  if (caller.uploadHits === undefined) return uploadWindow(deps, caller);
  return windowOf(deps, caller.uploadHits);
}

function windowOf({ settings, clock }: Deps, hits: readonly number[]): WindowState {
  return windowAt(hits, { nowMs: clock.nowMs(), windowMs: settings.uploadWindowMs, max: settings.uploadsPerWindow });
}

/** The window of a key's subject (its device, or itself), as `uploadWindowId` names it, beside the key. */
export const UPLOAD_WINDOW_BESIDE = {
  table: 'windows',
  prefix: 'uploads ',
  columns: ['device_id', 'id'],
} as const satisfies Beside<KeyRow, 'windows'>;

export function uploadWindowId(caller: Pick<Caller, 'subject'>): string {
  return `${UPLOAD_WINDOW_BESIDE.prefix}${caller.subject}`;
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

export interface Admission {
  kind: PlaceKind;
  /** Resolves when the client should rather be told to come again than be kept waiting for a place. */
  patience(): Promise<void>;
  signal?: AbortSignalLike;
}

/**
 * A place for one more body, before a byte of it is read. Where all are taken it waits a little: a burst within the
 * limit is then served instead of refused, and what is beyond the limit is told so exactly, once the uploads before
 * it have been counted.
 */
export async function takePlace(deps: Deps, caller: Caller, admission: Admission): Promise<Place> {
  const { active, settings } = deps;
  let patience: Promise<void> | null = null;
  for (;;) {
    let newMax = Number.POSITIVE_INFINITY;
    if (admission.kind === 'new') {
      const window = await uploadWindow(deps, caller);
      if (window.remaining === 0) throw limitExceeded(deps, window);
      newMax = window.remaining;
    }
    if (admission.signal?.aborted) throw preempted();
    const place = active.tryPlace(caller.subject, admission.kind, { max: settings.uploadsInFlightMax, newMax });
    if (place !== null) return place;
    if (active.waiting(caller.subject) >= WAITING_MAX) throw tooManyInFlight(deps);
    patience ??= admission.patience();
    if ((await active.placeMayBeFree(caller.subject, patience)) === 'over') throw tooManyInFlight(deps);
  }
}

function tooManyInFlight(deps: Deps): FuselinkError {
  return new FuselinkError(
    'too_many_in_flight',
    `Expected at most ${deps.settings.uploadsInFlightMax} uploads at the same time, and no more than the minute still allows; got one more.`,
    { retryAfterSeconds: 1 },
  );
}

export function preempted(): FuselinkError {
  return new FuselinkError(
    'upload_preempted',
    'A newer request for the same upload took over; go on from the offset that HEAD tells.',
  );
}

/** Throws `payload_too_large` where more bytes are announced (or have come) than a file may have. */
export function refuseOversize(deps: Deps, bytes: number | null): void {
  const max = deps.settings.fileBytesMax;
  if (bytes !== null && bytes > max) {
    throw new FuselinkError('payload_too_large', `Expected at most ${max} bytes, got more (${bytes}).`);
  }
}

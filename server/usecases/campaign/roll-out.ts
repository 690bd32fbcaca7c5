import type { Write } from '../../ports/metadata-store.ts';
import type { CampaignMemberRow, CampaignRecordRow, DeviceRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';

/** One device of a campaign, as it is now. */
export interface Asked {
  record: CampaignRecordRow;
  member: CampaignMemberRow;
  device: DeviceRow;
}

/**
 * What became of asking a device. `asked`: `writes` ask it, and `base` is what it had before. `skipped`: it cannot be
 * asked. `later`: not now; it is asked again at the next look.
 */
export type Asking =
  | { kind: 'asked'; writes: Write[]; base: number }
  | { kind: 'skipped'; reason: string }
  | { kind: 'later' };

/** What a device that was asked has come to. */
export interface Found {
  /** It was heard since it was asked. */
  contacted: boolean;
  /** It says that nothing works any more: this alone pauses the whole campaign. */
  limbo: boolean;
  /** Null while that is open. */
  end: { outcome: 'done' | 'error' | 'skipped'; reason: string | null } | null;
  /** When time alone would change what is found; null: only news does. */
  againAtMs: number | null;
}

export interface TakenBack {
  writes: Write[];
  reason: string;
  waits?: boolean;
}

/**
 * What a campaign brings to its devices. Waves, thresholds, pauses and ends are the campaign's own and the same for all
 * kinds; all that is asked of a kind is here. Everything runs inside load, decide, store: it may be called again after a
 * lost race, and returns writes instead of making them. What changes outside of it writes news (`newsWrite`) in the commit
 * of the change.
 */
export interface RollOut {
  /** Asks one device. The engine adds that the campaign must still run when this is committed. */
  ask(deps: Deps, at: Asked): Promise<Asking>;
  /** Looks at one device that was asked. */
  look(deps: Deps, at: Asked): Promise<Found>;
  /** Whether a roll-back is also for devices whose part has ended: they have what the campaign brought, and can go back. */
  undoesEnded: boolean;
  /**
   * Takes back what can be: of a device that has not ended when the campaign is aborted or rolled back. No writes: nothing
   * can be. `waits`: the device is on its way back, and looked at until it has arrived.
   */
  takeBack(deps: Deps, at: Asked, order: 'abort' | 'rollBack'): Promise<TakenBack>;
  /** For the preflight: whether the device would be skipped, and whether a mishap could be healed from afar. */
  readiness(deps: Deps, device: DeviceRow): Promise<{ busy: boolean; recoverable: boolean }>;
}

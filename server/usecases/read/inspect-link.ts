import { leaseSecondsLeft, refusalByState, standing } from '../../domain/transfer/reading.ts';
import type { Deps } from '../deps.ts';
import { type FoundLink, findLink } from './find-link.ts';
import { readRefusal } from './refusal.ts';

/** A link that leads to a file; `row` is as it stands now. */
export interface InspectedLink extends FoundLink {
  /** Seconds somebody else's lease still has; null where nobody is reading. */
  leasedSeconds: number | null;
}

/** Looks at a link and changes nothing. Throws what a reader would meet, but for "somebody is reading it now" and "held". */
export async function inspectLink(deps: Deps, tokenText: string): Promise<InspectedLink> {
  const found = await findLink(deps, tokenText);
  const nowMs = deps.clock.nowMs();
  const refused = refusalByState(found.row, nowMs);
  if (refused !== null) throw readRefusal(found.row, refused);
  const row = standing(found.row, nowMs);
  return { ...found, row, leasedSeconds: leaseSecondsLeft(row, nowMs) };
}

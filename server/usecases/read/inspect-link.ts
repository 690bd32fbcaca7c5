import { leaseSecondsLeft, type ReadRefused, refusalByState } from '../../domain/transfer/reading.ts';
import type { Deps } from '../deps.ts';
import { type FoundLink, findLink } from './find-link.ts';
import { readRefusal } from './refusal.ts';

export interface InspectedLink extends FoundLink {
  /** Seconds somebody else's lease still has; null where nobody is reading. */
  leasedSeconds: number | null;
}

/** Looks at a link and changes nothing. Throws what a reader would meet, but for "somebody is reading it now". */
export async function inspectLink(deps: Deps, tokenText: string): Promise<InspectedLink> {
  const found = await findLink(deps, tokenText);
  const nowMs = deps.clock.nowMs();
  const refused: ReadRefused | null = refusalByState(found.row, nowMs);
  if (refused !== null) throw readRefusal(found.row, refused);
  return { ...found, leasedSeconds: leaseSecondsLeft(found.row, nowMs) };
}

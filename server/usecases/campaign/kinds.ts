import type { CampaignKind } from '../../ports/tables.ts';
import { FIRMWARE_ROLL_OUT } from './firmware.ts';
import { KEY_ROLL_OUT } from './keys.ts';
import type { RollOut } from './roll-out.ts';

/** Every kind of campaign there is. A new kind is one file with a `RollOut`, and one line here. */
const ROLL_OUTS: Readonly<Partial<Record<CampaignKind, RollOut>>> = {
  '': KEY_ROLL_OUT,
  keys: KEY_ROLL_OUT,
  firmware: FIRMWARE_ROLL_OUT,
};

/** How devices are asked, looked at and taken back in campaigns of this kind. Throws for a kind this program lacks. */
export function rollOutOf(kind: CampaignKind): RollOut {
  const found = ROLL_OUTS[kind];
  if (found === undefined) throw new Error(`expected a kind of campaign that this program knows, got ${kind}`);
  return found;
}

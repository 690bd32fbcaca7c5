import { toHex, utf8 } from '../../domain/base64url.ts';
import { type Candidate, stratified, waveSizes } from '../../domain/campaign/index.ts';
import type { AccountId, DeviceId } from '../../domain/ids.ts';
import type { CampaignSelection, DeviceRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { livingKeys } from '../rotation/record.ts';
import { pagesOf } from '../rows.ts';
import { gatewaysOf } from './gateways.ts';

/** Devices one campaign may have: what one server can look through between two ticks. */
export const CAMPAIGN_DEVICES_MAX = 100_000;
const DAY_MS = 86_400_000;
/** Actions by which somebody gets to see a device's key. */
const SHOWS_KEY: readonly string[] = ['device.enrolled', 'rotation.minted', 'rotation.reprovisioned'];

export interface Selected {
  device: DeviceRow;
  /** The gateway that speaks for it (the first, where there are several); '' for a device of its own. */
  gateway: string;
}

/**
 * The account's devices the selection means, with their gateways. Throws `invalid_field` where they are too many, or where
 * the selection names a gateway there is not.
 */
export async function selectDevices(
  deps: Deps,
  accountId: AccountId,
  selection: CampaignSelection,
): Promise<Selected[]> {
  const seen = selection.seen_by === undefined ? null : await keysSeenBy(deps, accountId, selection.seen_by);
  const gateways = await gatewaysOf(deps, accountId);
  const behind = selection.gateways === undefined ? null : gateways.named(selection.gateways);
  const named = selection.devices === undefined ? null : new Set(selection.devices);
  const selected: Selected[] = [];
  const pages = pagesOf(deps, 'devices', {
    where: [['account_id', '=', accountId]],
    orderBy: [
      ['created_at_ms', 'asc'],
      ['id', 'asc'],
    ],
  });
  for await (const rows of pages) {
    for (const device of rows) {
      if (!fits(device, selection, named) || (seen !== null && !seen.has(device.id))) continue;
      if (behind !== null && !behind.has(device.id)) continue;
      if (!(await isOldEnough(deps, device, selection.key_age_days))) continue;
      selected.push({ device, gateway: gateways.first.get(device.id) ?? '' });
    }
    if (selected.length > CAMPAIGN_DEVICES_MAX) {
      const detail = `expected at most ${CAMPAIGN_DEVICES_MAX} devices, got more`;
      throw new FuselinkError('invalid_field', `selection: ${detail}.`, { errors: [{ field: 'selection', detail }] });
    }
  }
  return selected;
}

function fits(
  device: DeviceRow,
  { tags, groups, profile }: CampaignSelection,
  named: ReadonlySet<string> | null,
): boolean {
  if (named !== null && !named.has(device.id) && !named.has(device.name)) return false;
  if (profile !== undefined && device.profile !== profile) return false;
  if (tags !== undefined && !tags.every((tag) => device.tags.includes(tag))) return false;
  return groups === undefined || groups.some((group) => device.groups.includes(group));
}

async function isOldEnough(deps: Deps, device: DeviceRow, days: number | undefined): Promise<boolean> {
  if (days === undefined) return true;
  const keys = await livingKeys(deps, device.id);
  const newest = Math.max(...keys.map((key) => key.created_at_ms), 0);
  return deps.clock.nowMs() - newest >= days * DAY_MS;
}

/** Devices of which this person was shown a key, as the audit has it. */
async function keysSeenBy(deps: Deps, accountId: AccountId, email: string): Promise<Set<string>> {
  const seen = new Set<string>();
  const pages = pagesOf(deps, 'audit', {
    where: [['chain', '=', accountId]],
    orderBy: [['seq', 'asc']],
  });
  for await (const rows of pages) {
    for (const { action, actor, subject } of rows) {
      if (SHOWS_KEY.includes(action) && actor.endsWith(`:${email.trim().toLowerCase()}`)) seen.add(subject);
    }
  }
  return seen;
}

/** The devices wave by wave, the canary first. The same campaign always comes to the same waves. */
export function wavesOf(
  deps: Pick<Deps, 'crypto'>,
  campaignId: string,
  selected: readonly Selected[],
  rules: { canary: number; growth: number },
): DeviceId[][] {
  const candidates = selected.map(
    ({ device, gateway }): Candidate => ({
      id: device.id,
      profile: device.profile,
      gateway,
      rank: toHex(deps.crypto.sha256(utf8(`${campaignId}\n${device.id}`))),
    }),
  );
  const order = stratified(candidates).map(({ id }) => id as DeviceId);
  let from = 0;
  return waveSizes(order.length, rules).map((size) => {
    const wave = order.slice(from, from + size);
    from += size;
    return wave;
  });
}

import { type DevicePosition, formatRotationTold } from '#sdk/protocol';
import type { KeyRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { decideRotation } from './decide.ts';
import { quarantineOnAlarm, tellingFor, toldOf } from './hear.ts';
import { loadRotation } from './record.ts';

/**
 * A request under a key of the device that is revoked: it is refused, but it may be the sign of a copied key, or of a
 * device in LIMBO. Returns what the refusal tells (the value of `Fuselink-Rotation`), '' for nothing. A fault here is
 * warned of and refuses nobody who would not be refused anyway.
 */
export async function hearRevoked(
  deps: Deps,
  key: KeyRow,
  request: { from: string; position: DevicePosition | null },
): Promise<string> {
  const { device_id: id, account_id: accountId } = key;
  if (id === null || key.kind !== 'device') return '';
  const { position } = request;
  try {
    const heard = await decideAndCommit(deps.store, async () => {
      const loaded = await loadRotation(deps, { id, accountId });
      const inLimbo = position?.phase === 'LIMBO' && loaded.record.limbo_at_ms === null;
      const { outcome, writes, record } = await decideRotation(
        deps,
        loaded,
        { kind: 'contact', by: key.fingerprint, position },
        {
          author: { actor: `key:${key.id}`, from: request.from },
          also: inLimbo ? { limbo_at_ms: deps.clock.nowMs() } : {},
        },
      );
      return { writes, answer: { record, alarms: outcome.alarms } };
    });
    await quarantineOnAlarm(deps, accountId, id, heard.alarms);
    return formatRotationTold(toldOf(await tellingFor(deps, heard.record, key), key.fingerprint));
  } catch (error) {
    deps.warn('the use of a revoked device key could not be looked into', error);
    return '';
  }
}

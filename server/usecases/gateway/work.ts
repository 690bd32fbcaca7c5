import type { GatewayRow, RotationRecordRow } from '../../ports/tables.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { type FirmwareWork, firmwareFor } from '../firmware/device-firmware.ts';
import { tellingFor } from '../rotation/hear.ts';
import { livingKeys } from '../rotation/record.ts';
import { type DeliveryWork, deliveriesFor } from './deliveries.ts';
import { gatewayOf, isListed } from './gateways.ts';

/** Rotations looked at for one answer: those of a wave. What is beyond is told when these have moved. */
const ROTATIONS_MAX = 2000;
/** States in which a device may be wanted to do something. */
const WAITING = ['WANTED', 'OVERDUE', 'MINTED', 'QUARANTINED'];

export interface WishAnswer {
  device_id: string;
  generation: number;
  /** Fingerprint of the key the wish stands on. */
  base: string;
}

/** What a gateway's devices are waited for, so that one question serves them all. */
export interface GatewayWork {
  wishes: WishAnswer[];
  /** Files whose links were handed over for them. */
  deliveries: DeliveryWork[];
  /** Images that are rolled out to them. */
  firmware: FirmwareWork[];
}

/** What there is to do at a gateway: hints for its devices, who ask for the rest themselves. */
export async function gatewayWork(deps: Deps, caller: Caller): Promise<GatewayWork> {
  const gateway = await gatewayOf(deps, caller);
  return {
    wishes: await wishesFor(deps, gateway),
    deliveries: await deliveriesFor(deps, gateway),
    firmware: await firmwareFor(deps, gateway),
  };
}

async function wishesFor(deps: Deps, gateway: GatewayRow): Promise<WishAnswer[]> {
  const rotations = await deps.store.list('rotations', {
    where: [
      ['account_id', '=', gateway.account_id],
      ['state', 'in', WAITING],
    ],
    limit: ROTATIONS_MAX,
  });
  const wishes: WishAnswer[] = [];
  for (const record of rotations) {
    if (!(await isListed(deps, gateway, record.device_id))) continue;
    const wish = await wishOf(deps, record);
    if (wish !== null) wishes.push(wish);
  }
  return wishes;
}

async function wishOf(deps: Deps, record: RotationRecordRow): Promise<WishAnswer | null> {
  const keys = await livingKeys(deps, record.device_id);
  const key = keys.find(({ fingerprint }) => fingerprint === record.rotation.active);
  const wanted = key === undefined ? null : (await tellingFor(deps, record, key)).wanted;
  if (wanted === null) return null;
  return { device_id: record.device_id, generation: wanted.generation, base: wanted.base };
}

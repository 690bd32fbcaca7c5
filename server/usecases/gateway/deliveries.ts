import { fromUtf8, utf8 } from '../../domain/base64url.ts';
import type { DeviceId } from '../../domain/ids.ts';
import type { DeliveryRow, GatewayRow, TransferRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireAccountKey, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { newId } from '../new-id.ts';
import { findLink } from '../read/find-link.ts';
import { isListed } from './gateways.ts';

const PURPOSE = 'delivery link';
/** Files that may wait for one account's devices. */
const DELIVERIES_MAX = 1000;
/** States in which there is something to deliver. */
const OPEN: readonly TransferRow['state'][] = ['ready', 'claimed'];

export interface DeliveryAnswer {
  id: string;
  device_id: string;
  transfer_id: string;
  created_at: string;
}

/**
 * Hands a link over for a device that is behind a gateway: whoever has the link says who is to read it. The server keeps it
 * sealed under FUSELINK_SECRET until the file is burned, so until then the secret and the database open that file.
 * Throws `link_unknown`, and `not_found` for a device or transfer of somebody else.
 */
export async function addDelivery(
  deps: Deps,
  caller: Caller,
  what: { device: DeviceId; link: string },
): Promise<DeliveryAnswer> {
  requireWriter(caller);
  requireAccountKey(caller);
  const device = await deps.store.get('devices', { id: what.device });
  if (device === null || device.account_id !== caller.accountId) {
    throw new FuselinkError('not_found', 'There is no such device.');
  }
  const token = tokenOfLink(what.link);
  const { row: transfer } = await findLink(deps, token);
  if (transfer.account_id !== caller.accountId) throw new FuselinkError('not_found', 'There is no such transfer.');
  if (!OPEN.includes(transfer.state)) throw new FuselinkError('transfer_ended', `This transfer is ${transfer.state}.`);
  const { rows } = await deps.store.count('deliveries', { where: [['account_id', '=', caller.accountId]] });
  if (rows >= DELIVERIES_MAX) {
    const detail = `expected at most ${DELIVERIES_MAX} files to be waiting for devices`;
    throw new FuselinkError('invalid_field', `link: ${detail}.`, { errors: [{ field: 'link', detail }] });
  }
  const nowMs = deps.clock.nowMs();
  const id = newId(deps, 'dlv');
  const row: DeliveryRow = {
    id,
    account_id: caller.accountId,
    device_id: device.id,
    transfer_id: transfer.id,
    sealed_token: deps.keyring.seal(PURPOSE, id, utf8(token)),
    refused: null,
    created_at_ms: nowMs,
    version: 1,
  };
  await deps.store.commit([
    { kind: 'insert', table: 'deliveries', row },
    auditOf(caller, nowMs, { action: 'delivery.added', subject: device.id, detail: { id, transfer: transfer.id } }),
  ]);
  return answerOf(row);
}

export interface DeliveryWork {
  id: string;
  device_id: string;
  /** The path of its link, below the server's own address. */
  link_path: string;
}

/** What waits for the devices of a gateway. What has ended meanwhile is forgotten here, and its link with it. */
export async function deliveriesFor(deps: Deps, gateway: GatewayRow): Promise<DeliveryWork[]> {
  const rows = await deps.store.list('deliveries', {
    where: [['account_id', '=', gateway.account_id]],
    limit: DELIVERIES_MAX,
  });
  const work: DeliveryWork[] = [];
  for (const row of rows) {
    if (!(await isListed(deps, gateway, row.device_id))) continue;
    const transfer = await deps.store.get('transfers', { id: row.transfer_id });
    if (transfer === null || !OPEN.includes(transfer.state)) {
      await deps.store.commit([{ kind: 'delete', table: 'deliveries', key: row.id }]);
      continue;
    }
    const token = deps.keyring.open(PURPOSE, row.id, row.sealed_token);
    if (token === null || row.refused !== null) continue;
    work.push({ id: row.id, device_id: row.device_id, link_path: `/get/${fromUtf8(token)}` });
  }
  return work;
}

/** The device does not want the file: it stays what it is, and is offered no more. */
export async function refuseDelivery(
  deps: Deps,
  gateway: GatewayRow,
  what: { id: string; reason: string },
): Promise<DeliveryAnswer> {
  const row = await deps.store.get('deliveries', { id: what.id });
  if (row === null || !(await isListed(deps, gateway, row.device_id))) {
    throw new FuselinkError('not_found', 'There is no such delivery.');
  }
  const refused: DeliveryRow = { ...row, refused: what.reason.slice(0, 200), version: row.version + 1 };
  await deps.store.commit([{ kind: 'update', table: 'deliveries', row: refused, expectVersion: row.version }]);
  return answerOf(refused);
}

function answerOf(row: DeliveryRow): DeliveryAnswer {
  const { id, device_id, transfer_id, created_at_ms } = row;
  return { id, device_id, transfer_id, created_at: new Date(created_at_ms).toISOString() };
}

function tokenOfLink(link: string): string {
  const token = /^(?:https?:\/\/[^/]+)?\/get\/([A-Za-z0-9_-]{1,100})\/?$/.exec(link.trim())?.[1];
  if (token !== undefined) return token;
  const detail = 'expected a link, https://host/get/…, got another text';
  throw new FuselinkError('invalid_field', `link: ${detail}.`, { errors: [{ field: 'link', detail }] });
}

import { hasEnded } from '../../domain/campaign/index.ts';
import type { CampaignRecordRow, RecipientRow, SigningKeyRow, WebhookRow } from '../../ports/tables.ts';
import { actorOf, auditOf, type Caller } from '../caller.ts';
import { commandCampaign } from '../campaign/drive.ts';
import type { Deps } from '../deps.ts';
import { distrustFirmwareKey } from '../firmware/firmware-keys.ts';
import { eachRow, must, RESTORED } from './restored-rows.ts';

/** What of an account goes on by itself, and was stopped. */
export interface StandingReport {
  campaignsStopped: number;
  webhooksDisabled: number;
  firmwareKeysDistrusted: number;
  deliveriesDropped: number;
  /** Keys files are sealed to or signed with. */
  sealingKeysDoubted: number;
}

/**
 * Stops what an account once ordered and may have called off after the backup, each so that one command lets it go on: running
 * campaigns are paused and scheduled ones aborted, webhooks are disabled, signers of firmware are no longer trusted, files for
 * devices are not delivered (their links are revoked), and the keys of recipients and of signing devices are to be compared
 * once more, as after a change. May be repeated.
 */
export async function settleStanding(deps: Deps, operator: Caller, report: StandingReport): Promise<void> {
  const isOwn = ({ account_id }: { account_id: string }) => account_id === operator.accountId;
  await eachRow(deps, 'campaigns', 'id', async (row) => {
    if (isOwn(row) && (await stopCampaign(deps, operator, row))) report.campaignsStopped++;
  });
  await eachRow(deps, 'webhooks', 'id', async (row) => {
    if (!isOwn(row) || row.state === 'disabled') return;
    await disableWebhook(deps, operator, row);
    report.webhooksDisabled++;
  });
  await eachRow(deps, 'firmware_keys', 'id', async (row) => {
    if (!isOwn(row)) return;
    await distrustFirmwareKey(deps, operator, row.public_key);
    report.firmwareKeysDistrusted++;
  });
  await eachRow(deps, 'deliveries', 'id', async (row) => {
    if (!isOwn(row)) return;
    await must(deps, [{ kind: 'delete', table: 'deliveries', key: row.id }]);
    report.deliveriesDropped++;
  });
  await eachRow(deps, 'recipients', 'id', async (row) => {
    const next = isOwn(row) ? doubted(row, deps.clock.nowMs()) : null;
    if (next === null) return;
    await must(deps, [{ kind: 'update', table: 'recipients', row: next, expectVersion: row.version }]);
    report.sealingKeysDoubted++;
  });
  await eachRow(deps, 'signing_keys', 'device_id', async (row) => {
    const next = isOwn(row) ? doubted(row, deps.clock.nowMs()) : null;
    if (next === null) return;
    await must(deps, [{ kind: 'update', table: 'signing_keys', row: next, expectVersion: row.version }]);
    report.sealingKeysDoubted++;
  });
}

/** False where it stands still already. */
async function stopCampaign(deps: Deps, operator: Caller, { id, campaign }: CampaignRecordRow): Promise<boolean> {
  const { state } = campaign;
  if (state === 'DRAFT' || state === 'PAUSED' || hasEnded(state)) return false;
  const command = state === 'SCHEDULED' ? ({ kind: 'abort' } as const) : ({ kind: 'pause', reason: RESTORED } as const);
  const author = { actor: actorOf(operator), from: operator.from };
  const after = await commandCampaign(deps, id, command, author);
  return after !== null && after.campaign.state !== state;
}

async function disableWebhook(deps: Deps, operator: Caller, row: WebhookRow): Promise<void> {
  const next: WebhookRow = { ...row, state: 'disabled', reason: RESTORED, version: row.version + 1 };
  const entry = { action: 'webhook.disabled', subject: row.id, detail: { reason: RESTORED } };
  await must(deps, [
    { kind: 'update', table: 'webhooks', row: next, expectVersion: row.version },
    auditOf(operator, deps.clock.nowMs(), entry),
  ]);
}

/** The row with its key in doubt; null where it is so already, or nothing is sealed to it any more. */
function doubted<Row extends RecipientRow | SigningKeyRow>(row: Row, nowMs: number): Row | null {
  if (row.alarm_since_ms !== null || row.removed_at_ms !== null) return null;
  return { ...row, alarm_since_ms: nowMs, version: row.version + 1 };
}

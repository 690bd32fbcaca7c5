import { revoke } from '../../domain/transfer/ending.ts';
import type { AccountRow, KeyRow, Tables } from '../../ports/tables.ts';
import { operatorOf } from '../account/create-account.ts';
import { auditOf, type Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { mintKey } from '../key/mint-key.ts';
import { orderRotation } from '../rotation/operate.ts';
import { dropBytes } from '../upload/dispose.ts';
import { raiseEpoch } from './epoch.ts';
import { eachRow, must, RESTORED } from './restored-rows.ts';
import { type StandingReport, settleStanding } from './settle-standing.ts';

export interface SettledRestore extends StandingReport {
  /** How often this installation has been restored. */
  epoch: number;
  keysRevoked: number;
  devicesQuarantined: number;
  linksRevoked: number;
  sessionsEnded: number;
  recoveryCodesDropped: number;
  /** One new key for each account, shown once: the old ones are revoked. */
  newKeys: { email: string; key: string }[];
}

/**
 * Makes a database that was brought back from a backup safe to serve from. What happened after the backup is not in it, so
 * whatever may have ended since does not come back to life: account and gateway keys are revoked (each account gets one new
 * key), device keys may only report until the device recovers or an operator releases it, links are revoked (they may have
 * been read), sessions and recovery codes are dropped, and what acts by itself stands still (settle-standing.ts). With `nothingEnded` the operator says that the backup was the last
 * thing the old server did; then all of it stays. The rotation epoch rises either way. May be repeated after a crash.
 */
export async function settleRestored(deps: Deps, options: { nothingEnded: boolean }): Promise<SettledRestore> {
  const report: SettledRestore = {
    epoch: await raiseEpoch(deps),
    keysRevoked: 0,
    devicesQuarantined: 0,
    linksRevoked: 0,
    sessionsEnded: 0,
    recoveryCodesDropped: 0,
    campaignsStopped: 0,
    webhooksDisabled: 0,
    firmwareKeysDistrusted: 0,
    deliveriesDropped: 0,
    sealingKeysDoubted: 0,
    newKeys: [],
  };
  if (options.nothingEnded) return report;
  await eachRow(deps, 'transfers', 'id', async (row) => {
    if (row.state === 'uploading') return endUpload(deps, row);
    const next = revoke(row, deps.clock.nowMs());
    if (next === null) return;
    const gone = dropBytes(next);
    await must(deps, [
      { kind: 'update', table: 'transfers', row: gone.row, expectVersion: row.version },
      ...gone.writes,
    ]);
    report.linksRevoked++;
  });
  await eachRow(deps, 'sessions', 'id', async (row) => {
    await must(deps, [{ kind: 'delete', table: 'sessions', key: row.id }]);
    report.sessionsEnded++;
  });
  await eachRow(deps, 'recovery_codes', 'id', async (row) => {
    await must(deps, [{ kind: 'delete', table: 'recovery_codes', key: row.id }]);
    report.recoveryCodesDropped++;
  });
  await eachRow(deps, 'accounts', 'id', (account) => settleAccount(deps, account, report));
  return report;
}

/** The new key comes first: a crash in the middle must not leave an account without one, and a repeat revokes it again. */
async function settleAccount(deps: Deps, account: AccountRow, report: SettledRestore): Promise<void> {
  const what = { accountId: account.id, deviceId: null, name: 'after a restore', role: 'owner' } as const;
  const { row, key } = mintKey(deps, { ...what, kind: 'account' });
  const operator = { ...operatorOf(account.id, row), mayManage: true };
  const nowMs = deps.clock.nowMs();
  await must(deps, [
    { kind: 'insert', table: 'api_keys', row },
    auditOf(operator, nowMs, { action: 'database.restored', subject: account.id, detail: { epoch: report.epoch } }),
  ]);
  report.newKeys.push({ email: account.email, key });
  await settleStanding(deps, operator, report);
  await eachRow(deps, 'devices', 'id', async (device) => {
    if (device.account_id !== account.id) return;
    if (await quarantined(deps, operator, device.id)) report.devicesQuarantined++;
  });
  await eachRow(deps, 'api_keys', 'id', async (old) => {
    const spared = old.account_id !== account.id || old.id === row.id || old.kind === 'device';
    if (spared || old.state === 'revoked') return;
    await revokeRestored(deps, operator, old);
    report.keysRevoked++;
  });
}

/** False where the device is in quarantine, or has lost its keys, already. */
async function quarantined(deps: Deps, operator: Caller, id: Tables['devices']['id']): Promise<boolean> {
  try {
    await orderRotation(deps, operator, id, { verb: 'quarantine', reason: RESTORED });
    return true;
  } catch (error) {
    if (error instanceof FuselinkError && error.code === 'rotation_state_conflict') return false;
    throw error;
  }
}

async function revokeRestored(deps: Deps, operator: Caller, key: KeyRow): Promise<void> {
  const nowMs = deps.clock.nowMs();
  const row: KeyRow = { ...key, state: 'revoked', revoked_at_ms: nowMs, version: key.version + 1 };
  const detail = { fingerprint: key.fingerprint, why: RESTORED };
  await must(deps, [
    { kind: 'update', table: 'api_keys', row, expectVersion: key.version },
    auditOf(operator, nowMs, { action: 'key.revoked', subject: key.id, detail }),
  ]);
}

/** Its bytes are not in the backup: the device is told 410 and sends the file anew. */
async function endUpload(deps: Deps, row: Tables['transfers']): Promise<void> {
  await must(deps, [
    { kind: 'delete', table: 'transfers', key: row.id, expectVersion: row.version },
    { kind: 'delete', table: 'bodies', key: row.id },
  ]);
}

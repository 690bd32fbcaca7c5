import type { DeviceId } from '../../domain/ids.ts';
import type { Write } from '../../ports/metadata-store.ts';

/** A member's id, and that of the news about it. */
export function memberId(campaignId: string, deviceId: string): string {
  return `${campaignId}/${deviceId}`;
}

/**
 * Tells a campaign that a device it has asked has changed: to be committed with the change. `version`: of the row that
 * changed, as it then is; it must rise with every change.
 */
export function newsWrite(campaignId: string, deviceId: DeviceId, version: number): Write {
  const row = {
    id: memberId(campaignId, deviceId),
    campaign_id: campaignId,
    device_id: deviceId,
    version,
  };
  return { kind: 'put', table: 'campaign_news', row };
}

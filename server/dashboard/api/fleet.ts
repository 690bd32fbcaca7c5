import type {
  AuditAnswer,
  AuditVerifyAnswer,
  CampaignAnswer,
  CampaignMemberAnswer,
  CampaignPreflight,
  CampaignSample,
  DeviceAnswer,
  FleetDeviceAnswer,
  RotationAnswer,
  StoryAnswer,
  TransferAnswer,
} from '#sdk/protocol';
import { call } from './calls.ts';

/** Devices, campaigns, transfers and the audit: one function a call. */

export interface Paged {
  cursor?: string | undefined;
  limit?: number;
}

export interface DeviceFilter {
  q?: string;
  tag?: string;
  profile?: string;
  state?: string;
}

export const listDevices = (query: DeviceFilter & Paged) =>
  call<{ devices: FleetDeviceAnswer[]; next_cursor: string | null; total: number }>('GET', 'v1/devices', {
    query: { ...query },
  });
export const getDevice = (id: string) => call<FleetDeviceAnswer>('GET', `v1/devices/${id}`);
export const enrolDevice = (body: { name: string; profile?: string; tags?: string[]; groups?: string[] }) =>
  call<{ device: DeviceAnswer; device_id: string; api_key: string; recovery_secret: string }>('POST', 'v1/devices', {
    body,
  });
export const changeDevice = (
  id: string,
  body: { name?: string; profile?: string; tags?: string[]; groups?: string[] },
) => call<FleetDeviceAnswer>('PATCH', `v1/devices/${id}`, { body });
export const removeDevice = (id: string) => call<RotationAnswer>('DELETE', `v1/devices/${id}`);
export const getRotation = (id: string) => call<RotationAnswer>('GET', `v1/devices/${id}/rotation`);
export const getStory = (id: string) => call<StoryAnswer>('GET', `v1/devices/${id}/story`);
export type DeviceVerb = 'rotate' | 'abort' | 'roll-back' | 'quarantine' | 'release' | 'approve' | 'lose';
export const orderDevice = (id: string, verb: DeviceVerb, body: object = {}) =>
  call<RotationAnswer>('POST', `v1/devices/${id}/${verb}`, { body });
export interface IssuedKeyAnswer {
  rotation: RotationAnswer;
  key: string;
  fingerprint: string;
  generation: number;
  recovery_secret?: string;
}
export const reprovisionDevice = (id: string) => call<IssuedKeyAnswer>('POST', `v1/devices/${id}/reprovision`);
export const issueKey = (id: string) => call<IssuedKeyAnswer>('POST', `v1/devices/${id}/issue`);

export const listCampaigns = (query: Paged) =>
  call<{ campaigns: CampaignAnswer[]; next_cursor: string | null }>('GET', 'v1/campaigns', { query: { ...query } });
export const createCampaign = (body: object) => call<CampaignAnswer>('POST', 'v1/campaigns', { body });
export const getCampaign = (id: string) => call<CampaignAnswer>('GET', `v1/campaigns/${id}`);
export const preflightCampaign = (id: string) => call<CampaignPreflight>('GET', `v1/campaigns/${id}/preflight`);
export type CampaignVerb = 'start' | 'schedule' | 'pause' | 'resume' | 'abort' | 'roll-back';
export const orderCampaign = (id: string, verb: CampaignVerb, body: object = {}) =>
  call<CampaignAnswer>('POST', `v1/campaigns/${id}/${verb}`, { body });
export const campaignHistory = (id: string) => call<{ samples: CampaignSample[] }>('GET', `v1/campaigns/${id}/history`);
export const listMembers = (id: string, query: Paged & { outcome?: string }) =>
  call<{ members: CampaignMemberAnswer[]; next_cursor: string | null }>('GET', `v1/campaigns/${id}/members`, {
    query: { ...query },
  });

export interface TransferFilter {
  state?: string;
  device?: string;
  recipient?: string;
  key?: string;
}

export const listTransfers = (query: TransferFilter & Paged) =>
  call<{ transfers: TransferAnswer[]; next_cursor: string | null }>('GET', 'v1/transfers', { query: { ...query } });
export const getTransfer = (id: string) => call<TransferAnswer>('GET', `v1/transfers/${id}`);
export const burnTransfer = (id: string) => call<TransferAnswer>('DELETE', `v1/transfers/${id}`);
export const reopenTransfer = (id: string) => call<TransferAnswer>('POST', `v1/transfers/${id}/reopen`);

export const listAudit = (query: Paged & { subject?: string }) =>
  call<{ entries: AuditAnswer[]; next_cursor: string | null }>('GET', 'v1/audit', { query: { ...query } });
export const verifyAudit = () => call<AuditVerifyAnswer>('GET', 'v1/audit/verify');

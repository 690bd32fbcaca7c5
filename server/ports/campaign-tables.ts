import type { Campaign } from '../domain/campaign/types.ts';
import type { AccountId, DeviceId } from '../domain/ids.ts';
import type { RotationSource } from '../domain/rotation/types.ts';
import type { TableShape } from './table-shape.ts';

/** Whom a campaign is for; what is not said does not restrict. */
export interface CampaignSelection {
  tags?: string[];
  groups?: string[];
  profile?: string;
  devices?: string[];
  /** Keys at least this old. */
  key_age_days?: number;
  /** Devices that this person (an e-mail) enrolled or was shown a key of. */
  seen_by?: string;
}

/** How each device's key is rotated. */
export interface CampaignPlan {
  source: RotationSource;
  policy: 'keep' | 'quarantine' | 'revoke';
  deadline_ms: number | null;
  soak_ms: number;
  pending_ttl_ms: number;
}

export interface CampaignRecordRow {
  id: string;
  account_id: AccountId;
  name: string;
  campaign: Campaign;
  /** `campaign.state`. */
  state: string;
  selection: CampaignSelection;
  plan: CampaignPlan;
  /** It comes again so many days after its end; null: once. */
  repeat_every_days: number | null;
  /** When it is to be looked at again; null: never. */
  due_at_ms: number | null;
  created_at_ms: number;
  created_by: string;
  version: number;
}

export interface CampaignMemberRow {
  /** `<campaign>/<device>` */
  id: string;
  campaign_id: string;
  device_id: DeviceId;
  wave: number;
  /** `waiting` for its wave, `open` since it was asked; the rest are ends. */
  outcome: 'waiting' | 'open' | 'done' | 'error' | 'skipped';
  reason: string | null;
  asked_at_ms: number | null;
  contacted: boolean;
  /** Generation the device had before. */
  base_generation: number;
  version: number;
}

export interface CampaignTables {
  campaigns: CampaignRecordRow;
  campaign_members: CampaignMemberRow;
}

export const CAMPAIGN_TABLES: { readonly [T in keyof CampaignTables]: TableShape<CampaignTables[T]> } = {
  campaigns: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      name: 'text',
      campaign: 'json',
      state: 'text',
      selection: 'json',
      plan: 'json',
      repeat_every_days: 'int?',
      due_at_ms: 'int?',
      created_at_ms: 'int',
      created_by: 'text',
      version: 'int',
    },
    unique: [],
    indexes: [['account_id', 'created_at_ms', 'id'], ['due_at_ms']],
  },
  campaign_members: {
    key: 'id',
    columns: {
      id: 'text',
      campaign_id: 'text',
      device_id: 'text',
      wave: 'int',
      outcome: 'text',
      reason: 'text?',
      asked_at_ms: 'int?',
      contacted: 'bool',
      base_generation: 'int',
      version: 'int',
    },
    unique: [],
    indexes: [
      ['campaign_id', 'outcome', 'device_id'],
      ['campaign_id', 'wave', 'device_id'],
    ],
  },
};

import type { CampaignCounts } from '#sdk/protocol';
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
  /** Gateways, by id or name: devices that any of these may speak for. */
  gateways?: string[];
}

/** What a campaign brings to its devices. Rows older than the second kind have ''. */
export type CampaignKind = '' | 'keys' | 'firmware';

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
  kind: CampaignKind;
  /** What a kind other than keys carries to its devices: its own affair. */
  cargo: Record<string, unknown> | null;
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
  /** The device says that nothing works any more. */
  limbo: boolean;
  /** What the device had before: the generation of its key, the number of its image. */
  base_generation: number;
  /** While it is open: when to look at it even without news. */
  look_at_ms: number;
  version: number;
}

/**
 * Something about a device that a campaign has asked has changed: written in the commit of that very change, so that a
 * campaign looks at devices of which there is news, and not at its whole fleet.
 */
export interface CampaignNewsRow {
  /** `<campaign>/<device>` */
  id: string;
  campaign_id: string;
  device_id: DeviceId;
  /** Of the row that changed: news that comes while the last is looked at stays. */
  version: number;
}

/** Where the devices of a campaign stood at one moment: what its chart is drawn from. */
export interface CampaignSampleRow {
  /** `<campaign>/<at_ms>` */
  id: string;
  campaign_id: string;
  at_ms: number;
  /** How many stood in each state. */
  counts: CampaignCounts;
  version: number;
}

export interface CampaignTables {
  campaigns: CampaignRecordRow;
  campaign_members: CampaignMemberRow;
  campaign_news: CampaignNewsRow;
  campaign_samples: CampaignSampleRow;
}

export const CAMPAIGN_TABLES: { readonly [T in keyof CampaignTables]: TableShape<CampaignTables[T]> } = {
  campaigns: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      name: 'text',
      kind: 'text',
      cargo: 'json?',
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
      limbo: 'bool',
      base_generation: 'int',
      look_at_ms: 'int',
      version: 'int',
    },
    unique: [],
    indexes: [
      ['campaign_id', 'outcome', 'device_id'],
      // Counted at every tick: by these alone, without the rows.
      ['campaign_id', 'outcome', 'wave', 'contacted', 'limbo'],
      ['campaign_id', 'outcome', 'look_at_ms'],
    ],
  },
  campaign_news: {
    key: 'id',
    columns: { id: 'text', campaign_id: 'text', device_id: 'text', version: 'int' },
    unique: [],
    indexes: [['campaign_id', 'id']],
  },
  campaign_samples: {
    key: 'id',
    columns: { id: 'text', campaign_id: 'text', at_ms: 'int', counts: 'json', version: 'int' },
    unique: [],
    indexes: [['campaign_id', 'at_ms']],
  },
};

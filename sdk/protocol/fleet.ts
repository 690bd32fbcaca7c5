import type { AccountCreatedAnswer, CampaignMemberOutcome, DeviceAnswer, KeyState } from './messages.ts';

/** What a fleet is looked at by: lists that tell more than a single answer has to. Times are RFC 3339 in UTC. */

/** A device as the fleet's list shows it. */
export interface FleetDeviceAnswer extends DeviceAnswer {
  /** The key it is to use now; null where it has none that is accepted. */
  key: FleetKey | null;
  /** As in RotationAnswer. */
  rotation_state: string;
  campaign_id: string | null;
}

export interface FleetKey {
  fingerprint: string;
  state: KeyState;
  generation: number;
  created_at: string;
  last_used_at: string | null;
}

/** One device of a campaign. */
export interface CampaignMemberAnswer {
  device_id: string;
  /** Null for a device that was removed. */
  device_name: string | null;
  wave: number;
  outcome: CampaignMemberOutcome;
  reason: string | null;
  /** Where its rotation is now. */
  rotation_state: string | null;
  asked_at: string | null;
  contacted: boolean;
}

/** How many devices of a campaign stand where. */
export interface CampaignCounts {
  waiting: number;
  /** Asked, and not ended; the four behind it say how far those are, where keys are what the campaign brings. */
  open: number;
  wanted: number;
  minted: number;
  proven: number;
  overdue: number;
  done: number;
  errors: number;
  skipped: number;
}

/** The same at one moment. */
export interface CampaignSample extends CampaignCounts {
  at: string;
}

/** A sign-in that has not ended. */
export interface SessionAnswer {
  id: string;
  user_id: string;
  email: string;
  key_id: string;
  created_at: string;
  expires_at: string;
  from: string;
  /** The one this very request is made with. */
  current: boolean;
}

/** What this installation allows. */
export interface LimitsAnswer {
  uploads: number;
  upload_window_seconds: number;
  uploads_in_flight: number;
  status_reports: number;
  file_bytes_max: number;
  ttl_seconds_min: number;
  ttl_seconds_default: number;
  ttl_seconds_max: number;
  account_keys_max: number;
  account_users_max: number;
  session_seconds: number;
  /** Bytes the account may have stored at once; null: no quota. */
  quota_bytes: number | null;
  version: string;
}

/** The first account of a server, made with its set-up link; shown once. */
export interface FirstAccountAnswer extends AccountCreatedAnswer {
  /** The URI as a QR code: an SVG document. */
  totp_qr_svg: string;
}

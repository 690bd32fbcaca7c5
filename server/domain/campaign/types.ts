/** A campaign's states (DESIGN §6.5). The last five are ends, but for the two on their way to one. */
export type CampaignState =
  | 'DRAFT'
  | 'SCHEDULED'
  | 'CANARY'
  | 'SOAK'
  | 'WAVE'
  | 'STRAGGLERS'
  | 'PAUSED'
  | 'ABORTING'
  | 'ROLLING_BACK'
  | 'ABORTED'
  | 'ROLLED_BACK'
  | 'COMPLETED'
  | 'COMPLETED_WITH_STRAGGLERS';

/** How a campaign goes about it. Times in milliseconds. */
export interface CampaignRules {
  /** Devices of the first wave. */
  canary: number;
  /** Each wave is so many times the one before. */
  growth: number;
  /** How long a wave is watched before the next begins. */
  soakMs: number;
  /** Errors among contacted devices, in percent, above which the campaign pauses itself. */
  errorsPercentMax: number;
  /** Contacted devices before which a percentage means nothing. */
  sampleMin: number;
  /** A device that has proven its new key and is not heard for so long counts as an error. */
  silenceMs: number;
  /** A wave waits at most so long for devices that are not heard; then they are stragglers. */
  waveMsMax: number;
  /** How long stragglers are waited for at the end. */
  stragglersMsMax: number;
}

/** What of a campaign decides where it goes. `wave` 0 is the canary. */
export interface Campaign {
  state: CampaignState;
  /** Where it goes on after a pause. */
  resumeTo: CampaignState | null;
  /** Why it is paused, for people. */
  reason: string | null;
  wave: number;
  startAtMs: number | null;
  /** When the present state began. */
  sinceMs: number;
  rules: CampaignRules;
  /** What was known when somebody looked at it and let it go on: from there errors are counted. */
  forgiven?: { errors: number; contacted: number };
}

/** What the rows of its devices say, counted afresh at every tick: a restart loses nothing. */
export interface Tally {
  /** Chosen for a later wave. */
  waiting: number;
  /** Asked for a new key, and not ended. */
  open: number;
  /** Of the open ones, those of the present wave that were heard since they were asked. */
  openContacted: number;
  /** Heard since they were asked, ended ones included. */
  contacted: number;
  done: number;
  errors: number;
  /** Devices that say the server refuses both their keys. */
  limbo: number;
  /** Asked for a new key in the present wave, and heard since. */
  waveContacted: number;
  /** Of the present wave, not asked yet. */
  waveWaiting: number;
  waveMembers: number;
}

export type CampaignCommand =
  | { kind: 'start' }
  | { kind: 'schedule'; startAtMs: number }
  | { kind: 'pause'; reason: string }
  | { kind: 'resume'; tally: Tally }
  | { kind: 'abort' }
  | { kind: 'rollBack' }
  | { kind: 'tick'; tally: Tally };

export interface CampaignOutcome {
  kind: 'moved' | 'stayed';
  campaign: Campaign;
  /** The audit's word, `campaign.<name>`, one an arrow. */
  audit: string | null;
}

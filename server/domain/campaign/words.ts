import type { Campaign, CampaignCommand, Tally } from './types.ts';

export type Guard = (campaign: Campaign, command: CampaignCommand, nowMs: number) => boolean;
export type Action = (campaign: Campaign, command: CampaignCommand, nowMs: number) => void;

function tallyOf(command: CampaignCommand): Tally {
  return (command as Extract<CampaignCommand, { tally: unknown }>).tally;
}

/** Errors among the devices that were heard, since somebody last let it go on in spite of them. */
function errorsOf({ forgiven }: Campaign, command: CampaignCommand): { errors: number; contacted: number } {
  const { errors, contacted } = tallyOf(command);
  return { errors: errors - (forgiven?.errors ?? 0), contacted: contacted - (forgiven?.contacted ?? 0) };
}

function passed(sinceMs: number, lengthMs: number, nowMs: number): boolean {
  return nowMs - sinceMs >= lengthMs;
}

/** The guards of the table, by name. Pure. */
export const CAMPAIGN_GUARDS = {
  startDue: (campaign, _command, nowMs) => campaign.startAtMs !== null && campaign.startAtMs <= nowMs,
  anyLimbo: (_campaign, command) => tallyOf(command).limbo > 0,
  tooManyErrors: (campaign, command) => {
    const { contacted, errors } = errorsOf(campaign, command);
    const { rules } = campaign;
    return contacted >= rules.sampleMin && errors * 100 > rules.errorsPercentMax * contacted;
  },
  /** All were asked, whoever was heard has ended well or badly, and enough were heard to say so; or the wave has waited long enough. */
  waveOver: ({ rules, sinceMs }, command, nowMs) => {
    const { openContacted, waveContacted, waveWaiting, waveMembers } = tallyOf(command);
    if (openContacted > 0) return false;
    const heard = waveWaiting === 0 && waveContacted >= Math.min(waveMembers, rules.sampleMin);
    return heard || passed(sinceMs, rules.waveMsMax, nowMs);
  },
  soakOver: ({ rules, sinceMs }, _command, nowMs) => passed(sinceMs, rules.soakMs, nowMs),
  anyWaiting: (_campaign, command) => tallyOf(command).waiting > 0,
  noneOpen: (_campaign, command) => tallyOf(command).open === 0,
  stragglersOver: ({ rules, sinceMs }, _command, nowMs) => passed(sinceMs, rules.stragglersMsMax, nowMs),
} as const satisfies Record<string, Guard>;

export type GuardName = keyof typeof CAMPAIGN_GUARDS;

/** The actions of the table, by name: each changes `campaign`, a copy that the step owns. */
export const CAMPAIGN_ACTIONS = {
  firstWave: (campaign) => {
    campaign.wave = 0;
  },
  nextWave: (campaign) => {
    campaign.wave += 1;
  },
  schedule: (campaign, command) => {
    campaign.startAtMs = (command as Extract<CampaignCommand, { kind: 'schedule' }>).startAtMs;
  },
  hold: (campaign) => {
    campaign.resumeTo = campaign.state;
  },
  goOn: (campaign) => {
    campaign.reason = null;
  },
  forgive: (campaign, command) => {
    const { errors, contacted } = tallyOf(command);
    campaign.forgiven = { errors, contacted };
  },
  sayWhy: (campaign, command) => {
    campaign.reason = (command as Extract<CampaignCommand, { kind: 'pause' }>).reason;
  },
  sayLimbo: (campaign, command) => {
    campaign.reason = `${tallyOf(command).limbo} device(s) say that the server refuses both their keys`;
  },
  sayErrors: (campaign, command) => {
    const { errors, contacted } = errorsOf(campaign, command);
    campaign.reason = `${errors} errors among ${contacted} devices that were heard, more than ${campaign.rules.errorsPercentMax} %`;
  },
} as const satisfies Record<string, Action>;

export type ActionName = keyof typeof CAMPAIGN_ACTIONS;

import { wordsList } from '../format/words-list.ts';

/** What a new campaign is asked for, as it stands in the form. */
export interface CampaignForm {
  name: string;
  /** An image to roll out instead of new keys; empty: keys. */
  firmware: string;
  tags: string;
  groups: string;
  gateways: string;
  profile: string;
  keyAgeDays: string;
  seenBy: string;
  source: string;
  canary: string;
  growth: string;
  soakMinutes: string;
  errorsPercent: string;
  policy: string;
  deadlineDays: string;
  repeatDays: string;
}

export const CAMPAIGN_FORM: CampaignForm = {
  name: '',
  firmware: '',
  tags: '',
  groups: '',
  gateways: '',
  profile: '',
  keyAgeDays: '',
  seenBy: '',
  source: 'self',
  canary: '5',
  growth: '3',
  soakMinutes: '15',
  errorsPercent: '5',
  policy: 'keep',
  deadlineDays: '',
  repeatDays: '',
};

function list(text: string): string[] | undefined {
  const words = wordsList(text);
  return words.length === 0 ? undefined : words;
}

function number(text: string, factor = 1): number | undefined {
  const value = Number(text);
  return text.trim() === '' || !Number.isFinite(value) ? undefined : value * factor;
}

/** The body that creates the campaign: what was left empty is left out, and the server's own defaults hold. */
export function campaignBody(form: CampaignForm): Record<string, unknown> {
  const body = {
    name: form.name,
    tags: list(form.tags),
    groups: list(form.groups),
    gateways: list(form.gateways),
    profile: form.profile.trim() || undefined,
    key_age_days: number(form.keyAgeDays),
    seen_by: form.seenBy.trim() || undefined,
    firmware: form.firmware.trim() || undefined,
    source: form.firmware.trim() === '' ? form.source : undefined,
    canary: number(form.canary),
    growth: number(form.growth),
    wave_soak_seconds: number(form.soakMinutes, 60),
    errors_percent_max: number(form.errorsPercent),
    policy: form.policy,
    deadline_seconds: number(form.deadlineDays, 86_400),
    repeat_every_days: number(form.repeatDays),
  };
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
}

import type { CampaignVerb } from '../api/fleet.ts';

/** What a campaign in this state can be told, the likeliest first. The server has the last word. */
export function verbsFor(state: string): CampaignVerb[] {
  switch (state) {
    case 'DRAFT':
      return ['start', 'schedule', 'abort'];
    case 'SCHEDULED':
      return ['start', 'abort'];
    case 'CANARY':
    case 'SOAK':
    case 'WAVE':
    case 'STRAGGLERS':
      return ['pause', 'roll-back', 'abort'];
    case 'PAUSED':
      return ['resume', 'roll-back', 'abort'];
    default:
      return [];
  }
}

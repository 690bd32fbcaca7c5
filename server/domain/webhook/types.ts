/** What operators wait for, and the entries of the audit that say so. `prefix`: of an action's name. */
export const WEBHOOK_TYPES = {
  'transfer.delivered': ['transfer.delivered'],
  'transfer.expired': ['transfer.expired'],
  'campaign.paused': ['campaign.paused'],
  'device.silent': ['device.silent'],
  'device.heard': ['device.heard'],
  'key.alarm': ['rotation.alarm.', 'recipient.key_changed', 'signing_key.changed'],
} as const satisfies Record<string, readonly string[]>;

export type WebhookType = keyof typeof WEBHOOK_TYPES;

export const WEBHOOK_TYPE_NAMES = Object.keys(WEBHOOK_TYPES) as WebhookType[];

/** The type an audit entry is told as; null where no webhook is told of it. */
export function webhookTypeOf(action: string): WebhookType | null {
  return WEBHOOK_TYPE_NAMES.find((type) => WEBHOOK_TYPES[type].some((name) => names(name, action))) ?? null;
}

function names(name: string, action: string): boolean {
  return name.endsWith('.') ? action.startsWith(name) : action === name;
}

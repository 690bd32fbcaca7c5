import { call } from './calls.ts';

/** Where the account is told of what happens, by signed messages. */
export interface Webhook {
  id: string;
  url: string;
  events: string[];
  state: 'active' | 'disabled';
  reason: string | null;
  failing_since: string | null;
  created_at: string;
}

export interface WebhookMessage {
  id: string;
  type: string;
  state: 'waiting' | 'delivered' | 'failed';
  attempts: number;
  outcome: string | null;
  created_at: string;
  next_try_at: string | null;
  ended_at: string | null;
}

export const listWebhooks = () => call<{ webhooks: Webhook[] }>('GET', 'v1/webhooks');
export const addWebhook = (body: { url: string; events?: string[] }) =>
  call<Webhook & { secret: string }>('POST', 'v1/webhooks', { body });
export const removeWebhook = (id: string) => call<void>('DELETE', `v1/webhooks/${id}`);
export const enableWebhook = (id: string) => call<Webhook>('POST', `v1/webhooks/${id}/enable`);
export const testWebhook = (id: string) => call<WebhookMessage>('POST', `v1/webhooks/${id}/test`);
export const listMessages = (id: string) =>
  call<{ messages: WebhookMessage[] }>('GET', `v1/webhooks/${id}/messages`, { query: { limit: 20 } });
export const sendAgain = (id: string, message: string) =>
  call<WebhookMessage>('POST', `v1/webhooks/${id}/messages/${message}/send-again`);

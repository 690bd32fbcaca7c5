/** What came of one try. `refused`: this server will not speak to that address. */
export type SendOutcome =
  | { kind: 'answered'; status: number; retryAfterSeconds: number | null }
  | { kind: 'unreachable' | 'refused'; why: string };

/** Speaks to whatever address an account named. Follows no redirect, and goes nowhere private unless that is allowed. */
export interface WebhookSender {
  /** Posts once. Resolves within `WEBHOOK_TIMEOUT_MS`, whatever the other side does; never rejects. */
  post(message: { url: string; headers: Record<string, string>; body: string }): Promise<SendOutcome>;
  /** Why an address may not be posted to, as far as it says so itself; null where it may. */
  refusal(url: string): string | null;
  /** Breaks off what is on its way. */
  close(): void;
}

/** A receiver that takes longer is asked again later: it should answer first and work then. */
export const WEBHOOK_TIMEOUT_MS = 15_000;

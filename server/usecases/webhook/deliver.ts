import { isHopeless, judgeTry, type Verdict, waitMs } from '../../domain/webhook/schedule.ts';
import { webhookTypeOf } from '../../domain/webhook/types.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { AuditRow, WebhookMessageRow, WebhookRow } from '../../ports/tables.ts';
import { type SendOutcome, WEBHOOK_TIMEOUT_MS } from '../../ports/webhook-sender.ts';
import type { Deps } from '../deps.ts';
import { newMessage, secretOf, urlOf } from './manage.ts';
import { signedHeaders } from './sign.ts';

/** Entries of a chain turned into messages in one commit. */
const ENTRIES_AT_ONCE = 200;
const WEBHOOKS_AT_ONCE = 1_000;
/** Messages one node has on their way at a time. */
const SENDS_AT_ONCE = 32;
const SENDS_OF_ONE = 8;
const LOOKED_AT = 500;
/** A message being sent is nobody else's for this long: far longer than a try may take. */
const LEASE_MS = 4 * WEBHOOK_TIMEOUT_MS;
/** What became of a message can be looked at, and sent again, for this long. */
const KEPT_MS = 7 * 86_400_000;
const DROPPED_AT_ONCE = 200;

/** Turns what happened into messages, sends what is due, and drops what is old. Any number of nodes may do so at a time. */
export async function runWebhooks(deps: Deps): Promise<void> {
  const webhooks = await deps.store.list('webhooks', {
    where: [['state', '=', 'active']],
    orderBy: [['id', 'asc']],
    limit: WEBHOOKS_AT_ONCE,
  });
  for (const webhook of webhooks) await turnIntoMessages(deps, webhook);
  await sendDue(deps);
  await dropOld(deps);
}

/**
 * The messages of the next entries, and the place in the chain behind them, in one commit that only one node can make: each entry becomes
 * one message, although nodes race and die.
 */
async function turnIntoMessages(deps: Deps, webhook: WebhookRow): Promise<void> {
  let row = webhook;
  for (;;) {
    const entries = await deps.store.list('audit', {
      where: [['chain', '=', row.account_id]],
      orderBy: [['seq', 'asc']],
      after: [row.cursor_seq],
      limit: ENTRIES_AT_ONCE,
    });
    const last = entries.at(-1);
    if (last === undefined) return;
    const next: WebhookRow = { ...row, cursor_seq: last.seq, version: row.version + 1 };
    const outcome = await deps.store.commit([
      { kind: 'update', table: 'webhooks', row: next, expectVersion: row.version },
      ...entries.flatMap((entry) => messageOf(deps, row, entry)),
    ]);
    if (!outcome.ok || entries.length < ENTRIES_AT_ONCE) return;
    row = next;
  }
}

/** The entry as the account sees it in its audit, but for where the request came from. */
function messageOf(deps: Deps, webhook: WebhookRow, entry: AuditRow): Write[] {
  const type = webhookTypeOf(entry.action);
  if (type === null || !webhook.events.includes(type)) return [];
  const { seq, action, subject, detail, actor } = entry;
  const row = newMessage(deps, webhook, { type, atMs: entry.at_ms, data: { seq, action, subject, actor, detail } });
  return [{ kind: 'insert', table: 'webhook_messages', row }];
}

async function sendDue(deps: Deps): Promise<void> {
  const due = await deps.store.list('webhook_messages', {
    where: [
      ['state', '=', 'waiting'],
      ['due_at_ms', '<=', deps.clock.nowMs()],
    ],
    orderBy: [
      ['due_at_ms', 'asc'],
      ['id', 'asc'],
    ],
    limit: LOOKED_AT,
  });
  const sends = fairShare(due).map((message) =>
    sendOne(deps, message).catch((error) =>
      deps.warn('a message to a webhook could not be sent', error, { id: message.id }),
    ),
  );
  await Promise.all(sends);
}

/** The oldest messages, but only a few of each webhook: one that does not answer must not hold up the others. */
function fairShare(due: readonly WebhookMessageRow[]): WebhookMessageRow[] {
  const taken = new Map<string, number>();
  const share = due.filter(({ webhook_id }) => {
    const count = (taken.get(webhook_id) ?? 0) + 1;
    taken.set(webhook_id, count);
    return count <= SENDS_OF_ONE;
  });
  return share.slice(0, SENDS_AT_ONCE);
}

async function sendOne(deps: Deps, message: WebhookMessageRow): Promise<void> {
  const nowMs = deps.clock.nowMs();
  const taken: WebhookMessageRow = {
    ...message,
    attempts: message.attempts + 1,
    due_at_ms: nowMs + LEASE_MS,
    version: message.version + 1,
  };
  const lease = await deps.store.commit([
    { kind: 'update', table: 'webhook_messages', row: taken, expectVersion: message.version },
  ]);
  if (!lease.ok) return;
  const webhook = await deps.store.get('webhooks', { id: message.webhook_id });
  if (webhook === null || webhook.state === 'disabled') {
    const gone = webhook === null ? 'the webhook was removed' : 'the webhook is disabled';
    await deps.store.commit([endWrite(deps, taken, 'failed', gone)]);
    return;
  }
  const { id, body } = message;
  const outcome = await deps.webhooks.post({
    url: urlOf(deps, webhook),
    headers: signedHeaders(deps.crypto, secretOf(deps, webhook), { id, body, nowMs: deps.clock.nowMs() }),
    body,
  });
  await settle(deps, { webhook, message: taken, outcome });
}

/** Writes down what came of a try. Where another node has the message by now, that one's word counts. */
async function settle(
  deps: Deps,
  sent: { webhook: WebhookRow; message: WebhookMessageRow; outcome: SendOutcome },
): Promise<void> {
  const { message, outcome } = sent;
  const status = outcome.kind === 'answered' ? outcome.status : null;
  const verdict = judgeTry(status, message.attempts);
  const said = outcome.kind === 'answered' ? `status ${outcome.status}` : `${outcome.kind}: ${outcome.why}`;
  deps.metrics.count('fuselink_webhook_tries_total', { outcome: verdict });
  const told = await deps.store.commit([
    verdict === 'again'
      ? againWrite(deps, message, { said, retryAfterSeconds: retryAfter(outcome) })
      : endWrite(deps, message, verdict === 'delivered' ? 'delivered' : 'failed', said),
  ]);
  if (told.ok) await noteHealth(deps, message.webhook_id, verdict, said);
}

function retryAfter(outcome: SendOutcome): number | null {
  return outcome.kind === 'answered' ? outcome.retryAfterSeconds : null;
}

function againWrite(
  deps: Deps,
  message: WebhookMessageRow,
  after: { said: string; retryAfterSeconds: number | null },
): Write {
  const chance = (deps.random.bytes(1)[0] ?? 0) / 255;
  const wait = waitMs(message.attempts, { chance, retryAfterSeconds: after.retryAfterSeconds });
  const row = {
    ...message,
    due_at_ms: deps.clock.nowMs() + wait,
    outcome: after.said,
    version: message.version + 1,
  };
  return { kind: 'update', table: 'webhook_messages', row, expectVersion: message.version };
}

function endWrite(deps: Deps, message: WebhookMessageRow, state: 'delivered' | 'failed', said: string): Write {
  const nowMs = deps.clock.nowMs();
  const row = {
    ...message,
    state,
    due_at_ms: nowMs + KEPT_MS,
    outcome: said,
    ended_at_ms: nowMs,
    version: message.version + 1,
  };
  return { kind: 'update', table: 'webhook_messages', row, expectVersion: message.version };
}

/** Remembers since when a webhook takes nothing, and disables one that will not any more. A lost race is the next try's to win. */
async function noteHealth(deps: Deps, id: string, verdict: Verdict, said: string): Promise<void> {
  const row = await deps.store.get('webhooks', { id });
  if (row === null || row.state === 'disabled') return;
  const nowMs = deps.clock.nowMs();
  const failing = verdict === 'delivered' ? null : (row.failing_since_ms ?? nowMs);
  const over = verdict === 'gone' || (verdict === 'given-up' && isHopeless(failing, nowMs));
  if (failing === row.failing_since_ms && !over) return;
  const reason =
    verdict === 'gone'
      ? 'the receiver answered 410: it wants no more'
      : `no message was taken for too long; last ${said}`;
  const next: WebhookRow = {
    ...row,
    failing_since_ms: failing,
    ...(over ? { state: 'disabled' as const, reason } : {}),
    version: row.version + 1,
  };
  const writes: Write[] = [{ kind: 'update', table: 'webhooks', row: next, expectVersion: row.version }];
  if (over) {
    const entry = { chain: row.account_id, at_ms: nowMs, actor: 'webhooks', action: 'webhook.disabled', subject: id };
    writes.push({ kind: 'audit', entry: { ...entry, outcome: 'done', detail: { reason }, from: 'local' } });
  }
  await deps.store.commit(writes);
}

async function dropOld(deps: Deps): Promise<void> {
  for (const state of ['delivered', 'failed'] as const) {
    const old = await deps.store.list('webhook_messages', {
      where: [
        ['state', '=', state],
        ['due_at_ms', '<=', deps.clock.nowMs()],
      ],
      orderBy: [
        ['due_at_ms', 'asc'],
        ['id', 'asc'],
      ],
      limit: DROPPED_AT_ONCE,
    });
    if (old.length > 0)
      await deps.store.commit(old.map((row): Write => ({ kind: 'delete', table: 'webhook_messages', key: row.id })));
  }
}

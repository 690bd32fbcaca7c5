import { fromUtf8, toBase64url, utf8 } from '../../domain/base64url.ts';
import { WEBHOOK_TYPE_NAMES, type WebhookType } from '../../domain/webhook/types.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { WebhookMessageRow, WebhookRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireAccountKey, requireManagement, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { newId } from '../new-id.ts';
import { newestFirst, type PageQuery } from '../paging.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { shownSecret } from './sign.ts';

/** Each is asked for news every second by every node. */
export const WEBHOOKS_PER_ACCOUNT_MAX = 20;
const URL_CHARS_MAX = 2_000;
const SECRET_BYTES = 32;
const URL_PURPOSE = 'webhook url';
const SECRET_PURPOSE = 'webhook secret';

export interface WebhookAnswer {
  id: string;
  /** Whole for who may manage; else without the path, which may hold a token. */
  url: string;
  events: string[];
  state: WebhookRow['state'];
  reason: string | null;
  failing_since: string | null;
  created_at: string;
}

export interface WebhookMessageAnswer {
  id: string;
  type: string;
  state: WebhookMessageRow['state'];
  attempts: number;
  outcome: string | null;
  created_at: string;
  next_try_at: string | null;
  ended_at: string | null;
}

const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

export function urlOf(deps: Deps, row: WebhookRow): string {
  return fromUtf8(opened(deps, URL_PURPOSE, row.id, row.sealed_url));
}

export function secretOf(deps: Deps, row: WebhookRow): Uint8Array {
  return opened(deps, SECRET_PURPOSE, row.id, row.sealed_secret);
}

function opened(deps: Deps, purpose: string, id: string, sealed: Uint8Array): Uint8Array {
  const bytes = deps.keyring.open(purpose, id, sealed);
  if (bytes === null) throw new Error(`the ${purpose} of ${id} does not open: its key is missing, or it was altered`);
  return bytes;
}

function answerOf(deps: Deps, caller: Caller, row: WebhookRow): WebhookAnswer {
  const url = urlOf(deps, row);
  const origin = /^[a-z]+:\/\/[^/?]+/.exec(url)?.[0] ?? '';
  return {
    id: row.id,
    url: caller.mayManage ? url : `${origin}/…`,
    events: row.events,
    state: row.state,
    reason: row.reason,
    failing_since: iso(row.failing_since_ms),
    created_at: new Date(row.created_at_ms).toISOString(),
  };
}

/** A new webhook and its secret, shown once. It is told of what happens from now on. */
export async function addWebhook(
  deps: Deps,
  caller: Caller,
  what: { url: string; events?: readonly string[] | undefined },
): Promise<WebhookAnswer & { secret: string }> {
  requireManagement(caller);
  requireWriter(caller);
  const events = checkEvents(what.events);
  const refused =
    what.url.length > URL_CHARS_MAX ? `expected at most ${URL_CHARS_MAX} characters` : deps.webhooks.refusal(what.url);
  if (refused !== null) throw fieldError('url', refused);
  const secret = deps.random.bytes(SECRET_BYTES);
  return decideAndCommit(deps.store, async () => {
    const account = await deps.store.get('accounts', { id: caller.accountId });
    if (account === null) throw new FuselinkError('not_found', 'There is no such account.');
    const { rows } = await deps.store.count('webhooks', { where: [['account_id', '=', caller.accountId]] });
    if (rows >= WEBHOOKS_PER_ACCOUNT_MAX) {
      throw new FuselinkError('conflict', `Expected at most ${WEBHOOKS_PER_ACCOUNT_MAX} webhooks, got one more.`);
    }
    const [head] = await deps.store.list('audit', {
      where: [['chain', '=', caller.accountId]],
      orderBy: [['seq', 'desc']],
      limit: 1,
    });
    const nowMs = deps.clock.nowMs();
    const id = newId(deps, 'whk');
    const row: WebhookRow = {
      id,
      account_id: caller.accountId,
      sealed_url: deps.keyring.seal(URL_PURPOSE, id, utf8(what.url)),
      sealed_secret: deps.keyring.seal(SECRET_PURPOSE, id, secret),
      events,
      state: 'active',
      reason: null,
      cursor_seq: head?.seq ?? 0,
      failing_since_ms: null,
      created_at_ms: nowMs,
      version: 1,
    };
    return {
      answer: { ...answerOf(deps, caller, row), secret: shownSecret(secret) },
      writes: [
        { kind: 'insert', table: 'webhooks', row },
        // The account's version serialises creations: two at once cannot both be the last.
        {
          kind: 'update',
          table: 'accounts',
          row: { ...account, version: account.version + 1 },
          expectVersion: account.version,
        },
        auditOf(caller, nowMs, { action: 'webhook.added', subject: id, detail: { events } }),
      ],
    };
  });
}

function checkEvents(said: readonly string[] | undefined): WebhookType[] {
  if (said === undefined) return [...WEBHOOK_TYPE_NAMES];
  const wrong = said.find((name) => !(WEBHOOK_TYPE_NAMES as readonly string[]).includes(name));
  if (said.length === 0 || wrong !== undefined) {
    const got = wrong === undefined ? 'none' : `"${wrong.slice(0, 40)}"`;
    throw fieldError('events', `expected some of ${WEBHOOK_TYPE_NAMES.join(', ')}, got ${got}`);
  }
  return WEBHOOK_TYPE_NAMES.filter((name) => said.includes(name));
}

function fieldError(field: string, detail: string): FuselinkError {
  return new FuselinkError('invalid_field', `${field}: ${detail}.`, { errors: [{ field, detail }] });
}

export async function listWebhooks(deps: Deps, caller: Caller): Promise<WebhookAnswer[]> {
  requireAccountKey(caller);
  const rows = await deps.store.list('webhooks', {
    where: [['account_id', '=', caller.accountId]],
    orderBy: [
      ['created_at_ms', 'desc'],
      ['id', 'desc'],
    ],
    limit: WEBHOOKS_PER_ACCOUNT_MAX,
  });
  return rows.map((row) => answerOf(deps, caller, row));
}

export async function getWebhook(deps: Deps, caller: Caller, id: string): Promise<WebhookAnswer> {
  return answerOf(deps, caller, await loadWebhook(deps, caller, id));
}

async function loadWebhook(deps: Deps, caller: Caller, id: string): Promise<WebhookRow> {
  requireAccountKey(caller);
  const row = await deps.store.get('webhooks', { id });
  if (row === null || row.account_id !== caller.accountId)
    throw new FuselinkError('not_found', 'There is no such webhook.');
  return row;
}

/** Takes a webhook away, for the very next message. What it has not taken yet goes with it (the rows are dropped with their age). */
export async function removeWebhook(deps: Deps, caller: Caller, id: string): Promise<void> {
  requireManagement(caller);
  requireWriter(caller);
  const row = await loadWebhook(deps, caller, id);
  await deps.store.commit([
    { kind: 'delete', table: 'webhooks', key: row.id },
    auditOf(caller, deps.clock.nowMs(), { action: 'webhook.removed', subject: id }),
  ]);
}

/** Lets a disabled webhook go on, behind the last entry it was told of: what happened meanwhile is told now. */
export async function enableWebhook(deps: Deps, caller: Caller, id: string): Promise<WebhookAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  return decideAndCommit(deps.store, async () => {
    const row = await loadWebhook(deps, caller, id);
    if (row.state === 'active') return { answer: answerOf(deps, caller, row), writes: [] };
    const next: WebhookRow = {
      ...row,
      state: 'active',
      reason: null,
      failing_since_ms: null,
      version: row.version + 1,
    };
    return {
      answer: answerOf(deps, caller, next),
      writes: [
        { kind: 'update', table: 'webhooks', row: next, expectVersion: row.version },
        auditOf(caller, deps.clock.nowMs(), { action: 'webhook.enabled', subject: id }),
      ],
    };
  });
}

/** A message of its own kind, sent like every other. */
export async function testWebhook(deps: Deps, caller: Caller, id: string): Promise<WebhookMessageAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  const row = await loadWebhook(deps, caller, id);
  const nowMs = deps.clock.nowMs();
  const message = newMessage(deps, row, { type: 'webhook.test', data: {}, atMs: nowMs });
  await deps.store.commit([{ kind: 'insert', table: 'webhook_messages', row: message }]);
  return messageAnswer(message);
}

export async function listMessages(
  deps: Deps,
  caller: Caller,
  id: string,
  page: PageQuery,
): Promise<{ messages: WebhookMessageAnswer[]; next_cursor: string | null }> {
  await loadWebhook(deps, caller, id);
  const { rows, next_cursor } = await newestFirst(deps.store, 'webhook_messages', [['webhook_id', '=', id]], page);
  return { messages: rows.map(messageAnswer), next_cursor };
}

/** Sends a message once more, from its first try on, under the same id. */
export async function sendAgain(
  deps: Deps,
  caller: Caller,
  what: { webhook: string; message: string },
): Promise<WebhookMessageAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  await loadWebhook(deps, caller, what.webhook);
  return decideAndCommit(deps.store, async () => {
    const row = await deps.store.get('webhook_messages', { id: what.message });
    if (row === null || row.webhook_id !== what.webhook)
      throw new FuselinkError('not_found', 'There is no such message, or it is too old.');
    const nowMs = deps.clock.nowMs();
    const next: WebhookMessageRow = {
      ...row,
      state: 'waiting',
      attempts: 0,
      due_at_ms: nowMs,
      ended_at_ms: null,
      version: row.version + 1,
    };
    const writes: Write[] = [{ kind: 'update', table: 'webhook_messages', row: next, expectVersion: row.version }];
    return { answer: messageAnswer(next), writes };
  });
}

export function newMessage(
  deps: Deps,
  webhook: Pick<WebhookRow, 'id' | 'account_id'>,
  what: { type: string; data: Record<string, unknown>; atMs: number },
): WebhookMessageRow {
  const nowMs = deps.clock.nowMs();
  return {
    id: `msg_${toBase64url(deps.random.bytes(16))}`,
    webhook_id: webhook.id,
    account_id: webhook.account_id,
    type: what.type,
    body: JSON.stringify({ type: what.type, timestamp: new Date(what.atMs).toISOString(), data: what.data }),
    state: 'waiting',
    attempts: 0,
    due_at_ms: nowMs,
    outcome: null,
    created_at_ms: nowMs,
    ended_at_ms: null,
    version: 1,
  };
}

function messageAnswer(row: WebhookMessageRow): WebhookMessageAnswer {
  return {
    id: row.id,
    type: row.type,
    state: row.state,
    attempts: row.attempts,
    outcome: row.outcome,
    created_at: new Date(row.created_at_ms).toISOString(),
    next_try_at: row.state === 'waiting' ? iso(row.due_at_ms) : null,
    ended_at: iso(row.ended_at_ms),
  };
}

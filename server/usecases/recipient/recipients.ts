import { RECIPIENTS_MAX, type RecipientAnswer } from '#sdk/protocol';
import { fromUtf8, utf8 } from '../../domain/base64url.ts';
import type { RecipientId } from '../../domain/ids.ts';
import type { RecipientRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireManagement, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { newId } from '../new-id.ts';
import { newestFirst } from '../paging.ts';
import { recipientIndex } from '../sealing/transfer-meta.ts';
import { decideAndCommit } from '../store-helpers.ts';
import { changedDetail, checkedPublicKey, firstKey, keyOnFile, replacedKey } from './keys-on-file.ts';

const PURPOSE = 'recipient email';

export interface ListRecipients {
  /** Exactly this address. */
  email?: string | undefined;
  cursor?: string | undefined;
  limit?: number | undefined;
}

/**
 * The account's directory, newest first. Device keys look up one address at a time: a stolen one does not list whom
 * the account writes to.
 */
export async function listRecipients(
  deps: Deps,
  caller: Caller,
  query: ListRecipients,
): Promise<{ recipients: RecipientAnswer[]; next_cursor: string | null }> {
  if (query.email !== undefined) {
    const row = await findByEmail(deps, caller, checkedEmail(query.email));
    const found = row === null || row.removed_at_ms !== null ? [] : [recipientAnswer(deps, row)];
    return { recipients: found, next_cursor: null };
  }
  if (caller.key.kind !== 'account') {
    throw new FuselinkError('role_insufficient', `Expected ?email= with a ${caller.key.kind} key, got none.`);
  }
  const page = await newestFirst(
    deps.store,
    'recipients',
    [
      ['account_id', '=', caller.accountId],
      ['removed_at_ms', 'is-null'],
    ],
    query,
  );
  return { recipients: page.rows.map((row) => recipientAnswer(deps, row)), next_cursor: page.next_cursor };
}

export interface PutRecipient {
  email: string;
  publicKey: string;
  /** The caller knows that the key is another one than before, and means it. */
  replace: boolean;
}

/**
 * Enters an address with its public key. The same key again changes nothing; another key is refused with
 * `recipient_key_changed` unless `replace` says that it is meant, and is then an alarm until somebody confirms it.
 * Whoever may do this can have files sealed to a key of theirs: hence a sign-in, not an API key.
 */
export async function putRecipient(
  deps: Deps,
  caller: Caller,
  what: PutRecipient,
): Promise<{ recipient: RecipientAnswer; created: boolean }> {
  requireManagement(caller);
  requireWriter(caller);
  const email = checkedEmail(what.email);
  const key = checkedPublicKey(deps, 'recipient', what.publicKey);
  return decideAndCommit(deps.store, async () => {
    const nowMs = deps.clock.nowMs();
    const known = await findByEmail(deps, caller, email);
    const audit = (action: string, subject: string, detail: Record<string, unknown>) =>
      auditOf(caller, nowMs, { action, subject, detail: { ...detail, fingerprint: key.fingerprint } });
    if (known === null) {
      await refuseTooMany(deps, caller);
      const id = newId(deps, 'rcp') as RecipientId;
      const row: RecipientRow = {
        id,
        account_id: caller.accountId,
        email_index: recipientIndex(deps.keyring, caller.accountId, email),
        sealed_email: deps.keyring.seal(PURPOSE, id, utf8(email)),
        ...firstKey(key, nowMs),
        version: 1,
      };
      return {
        answer: { recipient: recipientAnswer(deps, row), created: true },
        writes: [{ kind: 'insert', table: 'recipients', row }, audit('recipient.added', id, {})],
      };
    }
    const changed = known.fingerprint !== key.fingerprint;
    if (!changed && known.removed_at_ms === null) {
      return { answer: { recipient: recipientAnswer(deps, known), created: false }, writes: [] };
    }
    if (changed && !what.replace) {
      const detail = changedDetail(email, known.fingerprint, key.fingerprint);
      throw new FuselinkError(
        'recipient_key_changed',
        `${detail} Compare the words with the recipient; if the new key is right, say replace.`,
      );
    }
    const next: RecipientRow = { ...known, ...replacedKey(known, key, nowMs), version: known.version + 1 };
    return {
      answer: { recipient: recipientAnswer(deps, next), created: known.removed_at_ms !== null },
      writes: [
        { kind: 'update', table: 'recipients', row: next, expectVersion: known.version },
        changed
          ? audit('recipient.key_changed', known.id, { earlier_fingerprint: known.fingerprint, alarm: true })
          : audit('recipient.added', known.id, {}),
      ],
    };
  });
}

/** Takes an address out of the directory; its fingerprint is remembered, so that another key later is still an alarm. */
export async function removeRecipient(deps: Deps, caller: Caller, id: RecipientId): Promise<RecipientAnswer> {
  return changeRecipient(deps, caller, id, 'recipient.removed', (row, nowMs) => ({ ...row, removed_at_ms: nowMs }));
}

/** Ends the alarm of a changed key: somebody compared `fingerprint` (64 hex characters) with the recipient. */
export async function confirmRecipient(
  deps: Deps,
  caller: Caller,
  what: { id: RecipientId; fingerprint: string },
): Promise<RecipientAnswer> {
  return changeRecipient(deps, caller, what.id, 'recipient.key_confirmed', (row) => {
    if (row.fingerprint !== what.fingerprint.toLowerCase()) {
      throw new FuselinkError(
        'recipient_key_changed',
        'The key on file does not have the fingerprint that was compared.',
      );
    }
    return { ...row, alarm_since_ms: null };
  });
}

async function changeRecipient(
  deps: Deps,
  caller: Caller,
  id: RecipientId,
  action: string,
  change: (row: RecipientRow, nowMs: number) => RecipientRow,
): Promise<RecipientAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  return decideAndCommit(deps.store, async () => {
    const row = await deps.store.get('recipients', { id });
    if (row === null || row.account_id !== caller.accountId || row.removed_at_ms !== null) {
      throw new FuselinkError('not_found', 'There is no such recipient.');
    }
    const nowMs = deps.clock.nowMs();
    const next = { ...change(row, nowMs), version: row.version + 1 };
    return {
      answer: recipientAnswer(deps, next),
      writes: [
        { kind: 'update', table: 'recipients', row: next, expectVersion: row.version },
        auditOf(caller, nowMs, { action, subject: id, detail: { fingerprint: row.fingerprint } }),
      ],
    };
  });
}

/** Found under every version of the secret there is. Also those that were removed. */
async function findByEmail(deps: Deps, caller: Caller, email: string): Promise<RecipientRow | null> {
  for (const version of deps.keyring.versions) {
    const email_index = recipientIndex(deps.keyring, caller.accountId, email, version);
    const row = await deps.store.get('recipients', { account_id: caller.accountId, email_index });
    if (row !== null) return row;
  }
  return null;
}

async function refuseTooMany(deps: Deps, caller: Caller): Promise<void> {
  const { rows } = await deps.store.count('recipients', {
    where: [
      ['account_id', '=', caller.accountId],
      ['removed_at_ms', 'is-null'],
    ],
  });
  if (rows < RECIPIENTS_MAX) return;
  throw new FuselinkError('recipient_limit_reached', `Expected at most ${RECIPIENTS_MAX} recipients, got one more.`);
}

function recipientAnswer(deps: Deps, row: RecipientRow): RecipientAnswer {
  const email = deps.keyring.open(PURPOSE, row.id, row.sealed_email);
  return { id: row.id, email: email === null ? '(cannot be opened)' : fromUtf8(email), ...keyOnFile(deps, row) };
}

/** In lower case: whoever writes Ops@ means ops@. Throws `invalid_field`. */
function checkedEmail(text: string): string {
  const email = text.trim().toLowerCase();
  if (/^[^\s@<>"\u0000-\u001f]+@[^\s@<>"\u0000-\u001f]+$/.test(email) && email.length <= 254) return email;
  const detail = 'expected one e-mail address, got another text';
  throw new FuselinkError('invalid_field', `email: ${detail}.`, { errors: [{ field: 'email', detail }] });
}

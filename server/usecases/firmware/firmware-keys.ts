import type { FirmwareKeyRow } from '../../ports/tables.ts';
import { auditOf, type Caller, requireAccountKey, requireManagement, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';

/** Keys an account may trust at once: one in use, one to change over to, and some that lie in a safe. */
const KEYS_MAX = 10;
const NAME_CHARS_MAX = 100;

export interface FirmwareKeyAnswer {
  public_key: string;
  name: string;
  created_at: string;
}

/** Images signed with this key may be rolled out from now on. A repeat changes the name. */
export async function trustFirmwareKey(
  deps: Deps,
  caller: Caller,
  what: { publicKey: string; name: string },
): Promise<FirmwareKeyAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  const publicKey = what.publicKey.trim().toLowerCase();
  const name = what.name.trim();
  if (!/^[0-9a-f]{64}$/.test(publicKey)) {
    throw invalid('public_key', 'expected an Ed25519 public key as 64 hex characters, got another text');
  }
  if (name === '' || name.length > NAME_CHARS_MAX || /[\u0000-\u001f\u007f\ud800-\udfff]/u.test(name)) {
    throw invalid('name', `expected 1 to ${NAME_CHARS_MAX} characters`);
  }
  const others = (await trustedKeys(deps, caller)).filter((row) => row.public_key !== publicKey);
  if (others.length >= KEYS_MAX) throw invalid('public_key', `expected at most ${KEYS_MAX} keys`);
  const nowMs = deps.clock.nowMs();
  const row: FirmwareKeyRow = {
    id: `${caller.accountId}/${publicKey}`,
    account_id: caller.accountId,
    public_key: publicKey,
    name,
    created_at_ms: nowMs,
    version: 1,
  };
  await deps.store.commit([
    { kind: 'put', table: 'firmware_keys', row },
    auditOf(caller, nowMs, {
      action: 'firmware.key_trusted',
      subject: row.id,
      detail: { name, public_key: publicKey },
    }),
  ]);
  return keyAnswer(row);
}

/** Nothing more signed with this key is taken or delivered; what runs already runs on. */
export async function distrustFirmwareKey(deps: Deps, caller: Caller, publicKey: string): Promise<FirmwareKeyAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  const id = `${caller.accountId}/${publicKey.trim().toLowerCase()}`;
  const row = await deps.store.get('firmware_keys', { id });
  if (row === null) throw new FuselinkError('not_found', 'There is no such key.');
  await deps.store.commit([
    { kind: 'delete', table: 'firmware_keys', key: id },
    auditOf(caller, deps.clock.nowMs(), {
      action: 'firmware.key_distrusted',
      subject: id,
      detail: { name: row.name, public_key: row.public_key },
    }),
  ]);
  return keyAnswer(row);
}

export async function listFirmwareKeys(deps: Deps, caller: Caller): Promise<FirmwareKeyAnswer[]> {
  requireAccountKey(caller);
  return (await trustedKeys(deps, caller)).map(keyAnswer);
}

export function trustedKeys(deps: Deps, { accountId }: Pick<Caller, 'accountId'>): Promise<FirmwareKeyRow[]> {
  return deps.store.list('firmware_keys', {
    where: [['account_id', '=', accountId]],
    orderBy: [['id', 'asc']],
    limit: KEYS_MAX,
  });
}

function keyAnswer({ public_key, name, created_at_ms }: FirmwareKeyRow): FirmwareKeyAnswer {
  return { public_key, name, created_at: new Date(created_at_ms).toISOString() };
}

export function invalid(field: string, detail: string): FuselinkError {
  return new FuselinkError('invalid_field', `${field}: ${detail}.`, { errors: [{ field, detail }] });
}

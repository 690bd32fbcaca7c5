import { fromUtf8, utf8 } from '../../domain/base64url.ts';
import type { TransferId } from '../../domain/ids.ts';
import type { Keyring } from './keyring.ts';

/** What the server must be able to show its account, and nobody who takes the database. */
export interface TransferMeta {
  filename: string;
  recipient: string | null;
  note: string | null;
  contentType: string;
  /** 64 hex characters; null until every byte is there. */
  sha256: string | null;
  /** What its sender said its digest would be when a resumable upload began. */
  announced?: string;
}

const PURPOSE = 'transfer meta';

export function sealMeta(keyring: Keyring, id: TransferId, meta: TransferMeta): Uint8Array {
  const { filename, recipient, note, contentType, sha256, announced } = meta;
  const parts = [filename, recipient, note, contentType, sha256, ...(announced === undefined ? [] : [announced])];
  return keyring.seal(PURPOSE, id, utf8(JSON.stringify(parts)));
}

/** Opens sealed metadata; a row that was altered, or sealed under a secret that is no longer there, is shown as such. */
export function openMeta(keyring: Keyring, row: { id: TransferId; sealed_meta: Uint8Array }): TransferMeta {
  const plain = keyring.open(PURPOSE, row.id, row.sealed_meta);
  if (plain === null)
    return {
      filename: '(cannot be opened)',
      recipient: null,
      note: null,
      contentType: 'application/octet-stream',
      sha256: null,
    };
  const [filename, recipient, note, contentType, sha256, announced] = JSON.parse(fromUtf8(plain));
  return { filename, recipient, note, contentType, sha256, ...(announced === undefined ? {} : { announced }) };
}

/** A keyed blind index: equal recipients of one account have equal indexes, and nothing else can be told from them. */
export function recipientIndex(keyring: Keyring, accountId: string, recipient: string, version?: number): string {
  const mac = keyring.mac('recipient index', [utf8(`${accountId}\n${recipient.toLowerCase()}`)], version);
  return Array.from(mac.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

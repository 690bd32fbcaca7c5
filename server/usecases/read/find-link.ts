import type { TransferRow } from '../../ports/tables.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { type LinkSecrets, linkSecrets, tokenOf } from '../sealing/link.ts';
import { openMeta, type TransferMeta } from '../sealing/transfer-meta.ts';

export interface FoundLink {
  row: TransferRow;
  secrets: LinkSecrets;
  meta: TransferMeta;
}

/** The transfer a link leads to. Throws `link_unknown` for every text that is no link of ours. */
export async function findLink(deps: Deps, tokenText: string): Promise<FoundLink> {
  const token = tokenOf(tokenText);
  if (token === null) throw new FuselinkError('link_unknown', 'There is no such link. Was it copied whole?');
  const secrets = linkSecrets(deps.crypto, token);
  await deps.endings.settled(secrets.id);
  const row = await deps.store.get('transfers', { id: secrets.id });
  if (row === null) throw new FuselinkError('link_unknown', 'There is no such link. Was it copied whole?');
  return { row, secrets, meta: openMeta(deps.keyring, row) };
}

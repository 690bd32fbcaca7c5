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

/** What the text of a link opens, without a look at the store. Throws `link_unknown` where it cannot be one of ours. */
export function secretsOf(deps: Deps, tokenText: string): LinkSecrets {
  const token = tokenOf(tokenText);
  if (token === null) throw linkUnknown();
  return linkSecrets(deps.crypto, token);
}

/** The row of a link as it is now, once no end of a read is being recorded. Throws `link_unknown` where there is none. */
export async function rowOf(deps: Deps, { id }: LinkSecrets): Promise<TransferRow> {
  await deps.endings.settled(id);
  const row = await deps.store.get('transfers', { id });
  if (row === null) throw linkUnknown();
  return row;
}

/** The transfer a link leads to. Throws `link_unknown` for every text that is no link of ours. */
export async function findLink(deps: Deps, tokenText: string): Promise<FoundLink> {
  const secrets = secretsOf(deps, tokenText);
  const row = await rowOf(deps, secrets);
  return { row, secrets, meta: openMeta(deps.keyring, row) };
}

function linkUnknown(): FuselinkError {
  return new FuselinkError('link_unknown', 'There is no such link. Was it copied whole?');
}

import type { Crypto } from './ports/crypto.ts';
import type { MetadataStore } from './ports/metadata-store.ts';
import { SecretError } from './secret-file.ts';
import { createKeyring, type KeyringKeys } from './usecases/sealing/keyring.ts';

/** Bytes of a check value: enough that another key never passes, too few to tell anything. */
const CHECK_BYTES = 8;

/** Whether something was sealed here before: a start without the keyring must then be refused. */
export async function hasKeyring(store: MetadataStore): Promise<boolean> {
  if ((await store.count('accounts', { where: [] })).rows > 0) return true;
  return (await store.get('facts', { id: checkFact(1) })) !== null;
}

/**
 * Every node, restart and restored backup must bring the keyring this installation's rows were sealed with. Each version
 * leaves a check value in the store when it is first used; another key under that version is refused with what to do.
 */
export async function checkKeyring(
  store: MetadataStore,
  keys: KeyringKeys,
  deps: { crypto: Crypto; where: string },
): Promise<void> {
  const keyring = createKeyring(keys, { crypto: deps.crypto, random: { bytes: (count) => new Uint8Array(count) } });
  for (const version of keyring.versions) {
    const mac = keyring.mac('keyring check', [], version);
    const value = Buffer.from(mac.subarray(0, CHECK_BYTES)).toString('hex');
    const row = { id: checkFact(version), value, version: 1 };
    const known =
      (await store.get('facts', { id: row.id })) ??
      // Where two first starts race, the one that comes second is held against the first.
      ((await store.commit([{ kind: 'insert', table: 'facts', row }])).ok
        ? row
        : await store.get('facts', { id: row.id }));
    if (known?.value === value) continue;
    throw new SecretError(
      `${deps.where}: expected version ${version} of the keyring that the data was sealed with, got another key. Give every node the same keyring (FUSELINK_SECRET, or a copy of the file made on the first start).`,
    );
  }
}

function checkFact(version: number): string {
  return `keyring check ${version}`;
}

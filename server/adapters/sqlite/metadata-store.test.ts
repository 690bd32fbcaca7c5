import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { metadataStoreContract } from '../../ports/metadata-store.contract.ts';
import { metadataAgreementContract } from '../metadata-agreement.contract.ts';
import { openSqliteStore } from './metadata-store.ts';

metadataStoreContract('sqlite metadata', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-sqlite-'));
  return {
    open: () => openSqliteStore({ path: join(folder, 'data', 'metadata.db') }),
    durable: true,
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
});

metadataAgreementContract('sqlite metadata', {
  runs: 150,
  async open() {
    const folder = await mkdtemp(join(tmpdir(), 'fuselink-sqlite-'));
    const store = await openSqliteStore({ path: join(folder, 'metadata.db') });
    return { store, dispose: () => rm(folder, { recursive: true, force: true }) };
  },
});

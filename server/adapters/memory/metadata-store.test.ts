import { metadataStoreContract } from '../../ports/metadata-store.contract.ts';
import { createMemoryStore } from './metadata-store.ts';

metadataStoreContract('memory metadata', async () => {
  const store = createMemoryStore();
  return { open: async () => store, durable: false, dispose: async () => undefined };
});

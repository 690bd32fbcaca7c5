import { cutFiles, steadyPower } from '../credentials/index.ts';
import { cutStorage } from './index.ts';
import { spoolStorageContract } from './spool.contract.ts';

spoolStorageContract('cutStorage', async () => {
  const files = cutFiles(steadyPower(), 4096);
  return { storage: cutStorage(files), reopen: async () => cutStorage(files), close: async () => {} };
});

import { sealCryptoContract } from './crypto.contract.ts';
import { nobleCrypto } from './noble.ts';

sealCryptoContract(nobleCrypto);

import { sealCryptoContract } from './crypto.contract.ts';
import { nodeCrypto } from './node.ts';

sealCryptoContract(nodeCrypto);

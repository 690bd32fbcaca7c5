import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { expect, it } from 'vitest';
import { fromHex, readVectors } from '../../../test/conformance/vectors.ts';
import { hex } from '../bytes.ts';
import { sealCryptoContract } from './crypto.contract.ts';
import { nobleCrypto } from './noble.ts';

sealCryptoContract(nobleCrypto);

it('the library below: NIST ACVP decapsulation with expanded keys → shared secrets, changed ciphertexts included', () => {
  interface Group {
    readonly parameterSet: string;
    readonly function: string;
    readonly dk: string;
    readonly tests: readonly { readonly c: string; readonly k: string }[];
  }
  const file = readVectors<{ testGroups: readonly Group[] }>('acvp/encap-decap.json');
  const groups = file.testGroups.filter((g) => g.parameterSet === 'ML-KEM-768' && g.function === 'decapsulation');
  let count = 0;
  for (const group of groups) {
    for (const test of group.tests) {
      expect(hex(ml_kem768.decapsulate(fromHex(test.c), fromHex(group.dk)))).toBe(test.k.toLowerCase());
      count += 1;
    }
  }
  expect(count).toBe(10);
});

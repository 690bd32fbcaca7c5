import { equalBytes } from '../bytes.ts';
import type { SealCrypto, SealRandom } from '../crypto/port.ts';
import { SealError } from '../errors.ts';
import { KEM_IDS, kemById } from '../hpke/kem.ts';
import { SIGNATURE_IDS, signatureSchemeById } from './signature-scheme.ts';

/** What a key is for: `recipient` keys open files, `signer` keys sign them. */
export type KeyPurpose = 'recipient' | 'signer';

/** The algorithms by the names that commands and settings use. */
export const ALGORITHMS = {
  'x-wing': { purpose: 'recipient', id: KEM_IDS.xWing },
  'ml-kem-768': { purpose: 'recipient', id: KEM_IDS.mlKem768 },
  ed25519: { purpose: 'signer', id: SIGNATURE_IDS.ed25519 },
  'ml-dsa-65': { purpose: 'signer', id: SIGNATURE_IDS.mlDsa65 },
} as const satisfies Record<string, { readonly purpose: KeyPurpose; readonly id: number }>;
export type AlgorithmName = keyof typeof ALGORITHMS;

/** A public key: of a recipient, to seal to; of a signer, to verify with. `publicKey` has the algorithm's own size. */
export interface PublicKey {
  readonly purpose: KeyPurpose;
  readonly algorithm: AlgorithmName;
  readonly publicKey: Uint8Array;
}

/** A key pair. `seed` is the private key: X-Wing 32 bytes, ML-KEM-768 64 (d ‖ z), Ed25519 and ML-DSA-65 32. */
export interface SecretKey extends PublicKey {
  readonly seed: Uint8Array;
}

/** Name of the algorithm with this purpose and code point, or `null`. */
export function algorithmName(purpose: KeyPurpose, id: number): AlgorithmName | null {
  for (const name of Object.keys(ALGORITHMS) as AlgorithmName[]) {
    if (ALGORITHMS[name].purpose === purpose && ALGORITHMS[name].id === id) return name;
  }
  return null;
}

/** Sizes of the algorithm's seed and public key in bytes. */
export function keySizes(algorithm: AlgorithmName): { readonly seedBytes: number; readonly publicKeyBytes: number } {
  const { purpose, id } = ALGORITHMS[algorithm];
  return purpose === 'recipient' ? kemById(id)! : signatureSchemeById(id)!;
}

/** The key pair of a seed. Throws {@link SealError} `key_malformed` where the seed has the wrong size. */
export function secretKeyFromSeed(crypto: SealCrypto, algorithm: AlgorithmName, seed: Uint8Array): SecretKey {
  const { purpose, id } = ALGORITHMS[algorithm];
  const { seedBytes } = keySizes(algorithm);
  if (seed.length !== seedBytes) {
    throw new SealError('key_malformed', `expected a seed of ${seedBytes} bytes for ${algorithm}, got ${seed.length}`);
  }
  const owned = new Uint8Array(seed);
  const publicKey =
    purpose === 'recipient'
      ? kemById(id)!.keyPair(crypto, owned).publicKey
      : signatureSchemeById(id)!.publicKey(crypto, owned);
  return { purpose, algorithm, seed: owned, publicKey };
}

/** A fresh key pair. */
export function generateKey(crypto: SealCrypto, random: SealRandom, algorithm: AlgorithmName): SecretKey {
  return secretKeyFromSeed(crypto, algorithm, random.bytes(keySizes(algorithm).seedBytes));
}

/** Whether both are the same key of the same algorithm. */
export function samePublicKey(a: PublicKey, b: PublicKey): boolean {
  return a.algorithm === b.algorithm && equalBytes(a.publicKey, b.publicKey);
}

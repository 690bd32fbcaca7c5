/** All of sealing but the cryptography it is given. */
export type { SealCrypto, SealRandom } from './crypto/port.ts';
export { SEAL_ERROR_MEANINGS, SealError, type SealErrorCode } from './errors.ts';
export { looksSealed } from './format/header.ts';
export { type Manifest, nameFault, portableFileName } from './format/manifest.ts';
export { type ByteSource, openAll, sealAll } from './iterables.ts';
export { type Fingerprint, fingerprint } from './keys/fingerprint.ts';
export {
  type AlgorithmName,
  generateKey,
  type KeyPurpose,
  type PublicKey,
  type SecretKey,
  samePublicKey,
  secretKeyFromSeed,
} from './keys/key.ts';
export { decodeKeyFile, encodeKeyFile } from './keys/key-file.ts';
export {
  decodePublicKey,
  decodeSecretKey,
  encodePublicKey,
  encodeSecretKey,
  type KeyForm,
  keyTextKind,
  lockSecretKey,
  unlockSecretKey,
} from './keys/key-text.ts';
export { decodeFragment, encodeFragment } from './link-fragment.ts';
export { createOpener, Opener } from './opener.ts';
export type { OpenReport, OpenRequest, SignaturePolicy } from './opening.ts';
export { createSealer, Sealer } from './sealer.ts';
export { type SealEffects, type SealRequest, type SealTo, sealedBytesOf } from './sealing.ts';
export { type SubtleAesGcm, SubtleOpener } from './subtle-opener.ts';

import { concat, u16, u64, utf8 } from '../bytes.ts';
import { ALGORITHMS, type PublicKey } from '../keys/key.ts';
import { type SignatureScheme, signatureSchemeById } from '../keys/signature-scheme.ts';

const LABEL = utf8('fuselink seal v1 signature');

/** The scheme of a signer's key. */
export function schemeOf(signer: PublicKey): SignatureScheme {
  return signatureSchemeById(ALGORITHMS[signer.algorithm].id)!;
}

/**
 * What a sender signs (SPEC §8): label ‖ scheme u16 ‖ SHA-256(whole header) ‖ SHA-256(manifest ‖ content) ‖ content
 * bytes u64. The header names the recipients' stanzas, so a recipient cannot pass the signature on in a file sealed to
 * somebody else; the manifest holds the signer's own key, so no other key can claim the signature.
 */
export function signatureMessage(input: {
  readonly signer: PublicKey;
  readonly headerHash: Uint8Array;
  readonly contentHash: Uint8Array;
  readonly contentBytes: number;
}): Uint8Array {
  const scheme = u16(ALGORITHMS[input.signer.algorithm].id);
  return concat([LABEL, scheme, input.headerHash, input.contentHash, u64(input.contentBytes)]);
}

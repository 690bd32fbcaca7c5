/**
 * Every way in which sealing or opening can fail, with what it means for the reader. The codes are stable: programs
 * branch on them, `sdk/SPEC.md` §10 lists them, and a test holds the two lists equal.
 */
export const SEAL_ERROR_MEANINGS = {
  not_sealed: 'the bytes do not begin with the magic of a sealed file',
  version_unknown: 'a sealed file of a version this program does not know',
  header_malformed: 'the header breaks a rule of the format',
  header_not_authentic: 'the header was changed, or the key is not the one this file was sealed with',
  no_matching_key: 'none of the identities given is a recipient of this file',
  key_missing: 'the file needs a kind of key that was not given',
  chunk_not_authentic: 'a chunk was changed, moved, repeated or left out',
  truncated: 'the file ends before its last chunk',
  trailing_bytes: 'something follows the last chunk',
  manifest_malformed: 'the sealed description of the file breaks a rule of the format',
  content_size_mismatch: 'the content is longer or shorter than its description says',
  signature_invalid: "the sender's signature does not hold",
  signature_missing: 'a signature was required and the file has none',
  signer_untrusted: 'the file is signed by a key that is not among the trusted ones',
  key_malformed: 'the text of a key breaks a rule of its encoding',
  passphrase_wrong: 'the passphrase does not open this key, or the locked key was changed',
  fragment_malformed: 'the key in the link is incomplete or mistyped',
  recipients_invalid: 'the list of recipients is empty, too long, or names somebody twice',
  name_invalid: 'the file name cannot be used on the other side',
  content_too_large: 'the content is larger than one sealed file may hold',
  source_changed: 'the file changed while it was being sealed',
} as const;

/** A stable code of {@link SEAL_ERROR_MEANINGS}. */
export type SealErrorCode = keyof typeof SEAL_ERROR_MEANINGS;

/**
 * The one error type of this library. `code` says what happened, `message` what was expected and what came; neither
 * ever holds key material or content. `chunkIndex` is set where a chunk is to blame (0 is the first).
 */
export class SealError extends Error {
  readonly code: SealErrorCode;
  readonly chunkIndex: number | null;

  constructor(code: SealErrorCode, detail: string, chunkIndex: number | null = null) {
    super(`${SEAL_ERROR_MEANINGS[code]}: ${detail}`);
    this.name = 'SealError';
    this.code = code;
    this.chunkIndex = chunkIndex;
  }
}

import type { AlgorithmName } from '#sdk/seal';

/** The shape of `vectors/seal/v1.json`: bytes in hexadecimal, large ones as files beside it. */
export interface SealVectors {
  readonly format_version: 1;
  readonly keys: readonly SealKeyVector[];
  readonly fragments: readonly { readonly content_key: string; readonly fragment: string }[];
  readonly files: readonly SealFileVector[];
}

export interface SealKeyVector {
  /** Also the label of its randomness. */
  readonly name: string;
  readonly purpose: 'recipient' | 'signer';
  readonly algorithm: AlgorithmName;
  readonly seed: string;
  readonly public_text: string;
  readonly secret_text: string;
  readonly passphrase: string;
  readonly cost_log2: number;
  readonly locked_text: string;
  readonly fingerprint: string;
  readonly fingerprint_hex: string;
  readonly fingerprint_words: string;
}

export interface SealFileVector {
  /** Also the label of its randomness and of its content. */
  readonly name: string;
  readonly recipients: readonly string[];
  readonly signer: string | null;
  readonly file_name: string | null;
  readonly announced_bytes: number | null;
  readonly media_type: string | null;
  readonly modified_at_ms: number | null;
  readonly content_bytes: number;
  readonly fragment: string | null;
  /** File under `vectors/seal/` that holds the sealed bytes. */
  readonly sealed_file: string;
  readonly sealed_sha256: string;
}

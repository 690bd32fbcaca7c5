/** Plaintext bytes in every chunk but the last. 64 KiB: small enough to authenticate on a 64 MB device, large enough that the tag costs 0.02 %. */
export const CHUNK_PLAIN_BYTES = 65_536;
/** Bytes of an AES-GCM tag. */
export const TAG_BYTES = 16;
/** Bytes of every chunk but the last in the sealed file. */
export const CHUNK_SEALED_BYTES = CHUNK_PLAIN_BYTES + TAG_BYTES;
/** Bytes of the content key, of a derived AES-256 key, of the header's salt and of SHA-256. */
export const KEY_BYTES = 32;
/** Most recipients of one file: trying 64 stanzas costs a reader about a tenth of a second, a header then has 75 KB. */
export const RECIPIENTS_MAX = 64;
/** Most stanzas a reader accepts; the same, so that a hostile header cannot buy unbounded work. */
export const STANZAS_MAX = RECIPIENTS_MAX;
/** Most bytes in one stanza's body: the largest known one (X-Wing) has 1,168; room for a later KEM (McEliece excluded). */
export const STANZA_BODY_BYTES_MAX = 4_096;
/** Most bytes of a file name in UTF-8: what common file systems hold (NAME_MAX). */
export const NAME_BYTES_MAX = 255;
/** Most bytes of the media type. RFC 6838 §4.2 allows 127 + 1 + 127. */
export const MEDIA_TYPE_BYTES_MAX = 255;
/** Most bytes of the whole manifest with padding: a signer's ML-DSA-65 key (1,952) and room for later fields; it must fit the first chunk. */
export const MANIFEST_BYTES_MAX = 8_192;
/** The manifest is padded to a multiple of this, so that a sealed file's size does not tell the length of its name. */
export const MANIFEST_PADDING_BYTES = 256;
/** Most content bytes in one sealed file: 256 TiB less the chunk that holds the manifest, so that a chunk's index fits 32 bits. */
export const CONTENT_BYTES_MAX = (2 ** 32 - 2) * CHUNK_PLAIN_BYTES;
/** Least and most scrypt cost (log2 N, r = 8) of a locked key: below is guessable at leisure, above 1 GiB of memory is refused rather than tried. */
export const SCRYPT_LOG2_N_MIN = 10;
export const SCRYPT_LOG2_N_MAX = 20;
/** The cost of keys locked today: 128 MiB and about half a second, OWASP's first recommendation. */
export const SCRYPT_LOG2_N_DEFAULT = 17;

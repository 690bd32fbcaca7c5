/**
 * Every limit that server, SDK, bridge and documents share. A number here is a promise: tests compare the
 * documents and the code with it.
 */

/** The largest file, in bytes (5 GiB). Over it: 413, before the body is read wherever the size is known. */
export const FILE_BYTES_MAX = 5368709120;

/** Bodies up to this size are sealed into the metadata row and share its commit; larger ones go to the blob store. */
export const INLINE_BODY_BYTES_MAX = 65536;

/** Seconds a link lives unless the sender says otherwise, and the range it may choose from. */
export const TTL_SECONDS_DEFAULT = 86400;
export const TTL_SECONDS_MIN = 60;
export const TTL_SECONDS_MAX = 604800;

/** Seconds a receipt outlives its bytes: default 30 days, at most a year. */
export const RECEIPT_TTL_SECONDS_DEFAULT = 2592000;
export const RECEIPT_TTL_SECONDS_MAX = 31536000;

/** Uploads a device (or a key without a device) may have accepted in any window of this many seconds. */
export const UPLOADS_PER_WINDOW = 60;
export const UPLOAD_WINDOW_SECONDS = 60;

/** Of the 60, how many the SDK keeps free for lane 0 (rotation and proof). */
export const UPLOADS_KEPT_FOR_LANE_0 = 10;

/** Status reports have their own budget, so that a rotation can always be proven. */
export const STATUS_REPORTS_PER_WINDOW = 10;

/** Uploads of one device (or key) that may be under way at the same moment: they hold memory and sockets. */
export const UPLOADS_IN_FLIGHT_MAX = 16;

/** Active account keys an account may have. Device and gateway keys do not count. */
export const ACCOUNT_KEYS_ACTIVE_MAX = 10;

/** A file's name: UTF-8 bytes, because file systems count bytes (255 on ext4). */
export const FILENAME_BYTES_MAX = 255;
export const RECIPIENT_CHARS_MAX = 254;
export const NOTE_CHARS_MAX = 1000;
export const KEY_NAME_CHARS_MAX = 100;
export const DEVICE_NAME_CHARS_MAX = 100;

/** An Idempotency-Key: long enough that it cannot be guessed, short enough for a header. */
export const IDEMPOTENCY_KEY_CHARS_MIN = 22;
export const IDEMPOTENCY_KEY_CHARS_MAX = 255;

/** Reads that brought no new bytes before a transfer is held for its owner to decide. */
export const READ_ATTEMPTS_DEFAULT = 5;
export const READ_ATTEMPTS_MAX = 100;

/** Seconds a reader may be silent before its lease goes back. */
export const LEASE_SECONDS_DEFAULT = 60;
export const LEASE_SECONDS_MIN = 5;
export const LEASE_SECONDS_MAX = 3600;

/** Seconds a resumable upload that is not finished is kept. */
export const UPLOAD_TTL_SECONDS = 86400;

/** Rows one page of a list may have. */
export const PAGE_ROWS_DEFAULT = 50;
export const PAGE_ROWS_MAX = 200;

/** An API key in its two forms. Both stand for 32 key bytes: decoded hex, or the 32 ASCII characters themselves. */
export const KEY_BYTES = 32;
export const KEY_HEX_CHARS = 64;
export const KEY_PDM_PREFIX = 'pdm_';
export const KEY_PDM_CHARS = 32;
export const KEY_PREFIX_CHARS = 8;
export const FINGERPRINT_BYTES = 8;
/** fingerprint = first 8 bytes of SHA-256(FINGERPRINT_LABEL ‖ key bytes). */
export const FINGERPRINT_LABEL = 'fuselink fp';
/** device secret D = HMAC-SHA-256(key bytes, DEVICE_SECRET_LABEL). */
export const DEVICE_SECRET_LABEL = 'fuselink device v1';

/** Seconds a sign-in lasts: native, and by Paradarum's login (as its scripts expect). */
export const SESSION_SECONDS = 3600;
export const SESSION_SECONDS_PARADARUM = 86400;

/** TOTP [RFC 6238]: digits of a code, seconds a code stands for, and how many of those a clock may be off either way. */
export const TOTP_DIGITS = 6;
export const TOTP_STEP_SECONDS = 30;
export const TOTP_DRIFT_STEPS = 1;
export const RECOVERY_CODES = 10;

/** Sign-in attempts that may fail before the next must wait, and the longest wait in seconds. */
export const SIGN_IN_FAILURES_FREE = 5;
export const SIGN_IN_WAIT_SECONDS_MAX = 3600;

/** Users an account may have. */
export const ACCOUNT_USERS_MAX = 100;

/**
 * Recovery of a device whose key cannot be trusted any more: R = SHA-256(RECOVERY_LABEL ‖ recovery secret, 32 bytes), and
 * proof = HMAC-SHA-256(R, RECOVERY_PROOF_LABEL, device id, generation, base, fingerprint and SHA-256 of the new key, each
 * behind a line feed), in hex.
 */
export const RECOVERY_LABEL = 'fuselink recovery v1';
export const RECOVERY_PROOF_LABEL = 'fuselink recovery proof v1';
export const RECOVERY_SECRET_BYTES = 32;

/** The wrapping key of offers = HMAC-SHA-256(D, OFFER_WRAP_LABEL). */
export const OFFER_WRAP_LABEL = 'fuselink wrap v1';

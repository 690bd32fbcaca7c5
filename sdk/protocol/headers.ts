/** Header names of the native API, lower-case as Node delivers them. */
export const HEADER_CLAIM = 'fuselink-claim';
export const HEADER_FILENAME = 'x-filename';
export const HEADER_RECIPIENT = 'x-recipient';
export const HEADER_TTL = 'x-ttl';
export const HEADER_NOTE = 'x-note';
export const HEADER_BURN = 'x-burn';
export const HEADER_REQUIRE_CLAIM = 'x-require-claim';
export const HEADER_ATTEMPTS_MAX = 'x-attempts-max';
export const HEADER_LEASE_SECONDS = 'x-lease-seconds';
export const HEADER_RECEIPT_TTL = 'x-receipt-ttl';
export const HEADER_IDEMPOTENCY_KEY = 'idempotency-key';
export const HEADER_API_KEY = 'x-api-key';
/** Set to `true` on the answer to a repeat under an Idempotency-Key. */
export const HEADER_REPLAYED = 'idempotency-replayed';

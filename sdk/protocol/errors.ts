/**
 * The registry of every error a Fuselink server answers with: RFC 9457 problem `code` → HTTP status and title.
 * `type` of the problem is `PROBLEM_TYPE_BASE + code`. Server, SDK, OpenAPI and docs are tested against this table.
 */
export interface ErrorEntry {
  status: number;
  title: string;
}

export const PROBLEM_TYPE_BASE = 'urn:fuselink:problem:';
/** The registered type of a refusal by rate limit (draft-ietf-httpapi-ratelimit-headers-11 §7). */
export const QUOTA_EXCEEDED_TYPE = 'https://iana.org/assignments/http-problem-types#quota-exceeded';

export const ERRORS = {
  credentials_missing: { status: 401, title: 'No credential was sent' },
  credentials_malformed: { status: 401, title: 'The credential is not in a known form' },
  credentials_ambiguous: { status: 400, title: 'Two different credentials were sent' },
  key_unknown: { status: 401, title: 'No such API key' },
  key_not_yet_valid: { status: 401, title: 'This API key is not valid yet' },
  key_revoked: { status: 401, title: 'This API key was revoked' },
  token_invalid: { status: 401, title: 'The token or session is not valid' },
  token_expired: { status: 401, title: 'The token or session has ended' },
  signature_malformed: { status: 401, title: 'The signature is not in the form of RFC 9421' },
  signature_incomplete: { status: 401, title: 'The signature does not cover what it must' },
  signature_invalid: { status: 401, title: 'The signature does not hold' },
  signature_key_unseen: { status: 401, title: 'Signatures with this key cannot be checked here' },
  signature_clock: { status: 401, title: 'The times of the signature are not now' },
  signature_unsupported: { status: 403, title: 'This call takes no signed requests' },
  nonce_missing: { status: 401, title: 'The request has no nonce yet' },
  nonce_unknown: { status: 401, title: 'This nonce was not given to this key' },
  nonce_expired: { status: 401, title: 'This nonce has expired' },
  nonce_used: { status: 401, title: 'This nonce was already used' },
  management_required: { status: 403, title: 'This needs a sign-in that passed the second factor' },
  role_insufficient: { status: 403, title: 'This role may not do that' },
  device_key_required: { status: 403, title: 'This call is for a device key' },

  bad_request: { status: 400, title: 'The request could not be understood' },
  invalid_field: { status: 400, title: 'A field is not acceptable' },
  invalid_body: { status: 400, title: 'The body is not acceptable' },
  file_missing: { status: 400, title: 'There is no file in this upload' },
  file_repeated: { status: 400, title: 'There is more than one file in this upload' },
  body_truncated: { status: 400, title: 'The body ended before it was complete' },
  digest_mismatch: { status: 400, title: 'The body does not have the digest it was announced with' },
  unsupported_media_type: { status: 415, title: 'This content type is not accepted here' },
  not_acceptable: { status: 406, title: 'No acceptable representation' },
  method_not_allowed: { status: 405, title: 'This method is not offered here' },
  not_found: { status: 404, title: 'Not found' },
  conflict: { status: 409, title: 'The state has changed meanwhile' },
  payload_too_large: { status: 413, title: 'The file is too large' },
  headers_too_large: { status: 431, title: 'The header fields are too large' },
  length_required: { status: 411, title: 'A length is required' },
  request_timeout: { status: 408, title: 'The client was silent for too long' },

  link_unknown: { status: 404, title: 'No such link' },
  link_expired: { status: 410, title: 'This link has expired' },
  link_burned: { status: 410, title: 'This file was already read' },
  link_revoked: { status: 410, title: 'This file was burned by its owner' },
  transfer_uploading: { status: 409, title: 'This file is still on its way' },
  transfer_leased: { status: 423, title: 'Somebody is reading this file now' },
  transfer_held: { status: 423, title: 'This file is held for its owner to decide' },
  claim_required: { status: 428, title: 'This file must be claimed before it is read' },
  claim_unknown: { status: 409, title: 'This claim does not hold the lease' },
  range_not_satisfiable: { status: 416, title: 'The range is outside the file' },
  ack_digest_mismatch: { status: 422, title: 'What was received is not what was sent' },
  ack_incomplete: { status: 409, title: 'Not every byte has been served yet' },
  transfer_ended: { status: 409, title: 'This transfer has already ended' },

  idempotency_key_invalid: { status: 400, title: 'The Idempotency-Key is not acceptable' },
  idempotency_mismatch: { status: 422, title: 'This Idempotency-Key was used for a different body' },
  idempotency_gone: { status: 410, title: 'What this Idempotency-Key stands for has ended' },
  upload_preempted: { status: 409, title: 'A newer request took over this upload' },
  upload_limit_exceeded: { status: 429, title: 'Too many uploads' },
  status_limit_exceeded: { status: 429, title: 'Too many status reports' },
  sign_in_limit_exceeded: { status: 429, title: 'Too many sign-in attempts' },
  event_streams_exceeded: { status: 429, title: 'Too many event streams of this account' },
  event_streams_full: { status: 503, title: 'This node carries as many event streams as it can' },
  too_many_in_flight: { status: 429, title: 'Too many uploads at the same time' },

  tus_version_unsupported: { status: 412, title: 'This version of tus is not spoken here' },
  tus_offset_mismatch: { status: 409, title: 'The offset is not where the upload stands' },
  tus_checksum_mismatch: { status: 460, title: 'The chunk does not have the checksum it was announced with' },
  tus_checksum_unsupported: { status: 400, title: 'This checksum algorithm is not offered' },
  tus_metadata_invalid: { status: 400, title: 'Upload-Metadata is not in the form of tus 1.0' },
  upload_unknown: { status: 404, title: 'No such upload' },
  upload_gone: { status: 410, title: 'This upload has ended' },

  key_limit_reached: { status: 400, title: 'There are as many active keys as an account may have' },
  key_already_revoked: { status: 400, title: 'This key was already revoked' },
  key_last_needs_confirmation: { status: 409, title: 'This is the last key that signs you in' },

  sign_in_failed: { status: 401, title: 'The sign-in was not accepted' },
  totp_required: { status: 401, title: 'A code of the authenticator is needed' },
  totp_enrolment_needed: { status: 403, title: 'The authenticator is not set up yet' },
  setup_secret_invalid: { status: 403, title: 'The setup secret is not the one of this account' },
  password_sign_in_refused: { status: 403, title: 'A sign-in without a second factor is not offered' },
  cross_site_request: { status: 403, title: 'The request came from another site' },
  totp_already_enrolled: { status: 409, title: 'The authenticator is already set up' },

  key_quarantined: { status: 403, title: 'This key is quarantined' },
  rotation_paused: { status: 409, title: 'Rotations are paused now' },
  rotation_refused: { status: 409, title: 'This key was not taken' },
  rotation_superseded: { status: 409, title: 'A newer rotation is wanted' },
  rotation_state_conflict: { status: 409, title: 'The rotation is in a state that does not allow this' },
  recovery_refused: { status: 403, title: 'The recovery proof was not accepted' },

  recipient_key_changed: { status: 409, title: 'This recipient is known with another key' },
  signing_key_changed: { status: 409, title: 'This device is known with another signing key' },
  recipient_limit_reached: { status: 400, title: 'There are as many recipients as an account may have' },
  unsealed_refused: { status: 422, title: 'This account accepts only files that are sealed end to end' },

  storage_full: { status: 507, title: 'There is no room for this file' },
  quota_exceeded: { status: 507, title: 'The account has no room for this file' },
  storage_unavailable: { status: 503, title: 'The store cannot be reached' },
  shutting_down: { status: 503, title: 'The server is stopping' },
  internal: { status: 500, title: 'Something went wrong on the server' },
};

export type ErrorCode = keyof typeof ERRORS;

/** One field that was not acceptable: where it stood, and what was expected and came. */
export interface FieldProblem {
  field: string;
  detail: string;
}

/** RFC 9457 problem details as every Fuselink error answer carries them. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  errors?: FieldProblem[];
  /** Fingerprint (16 hex characters) of the key a `key_revoked` is about: the only authority to drop it. */
  fingerprint?: string;
}

import type { Role } from '#sdk/protocol';
import type { AccountId, KeyId, SessionId, UserId } from '../domain/ids.ts';
import type { TableShape } from './table-shape.ts';

/** Somebody who signs in to an account. */
export interface UserRow {
  id: UserId;
  account_id: AccountId;
  email: string;
  role: Role;
  /** `pending` until the first code of the authenticator (or recovery code) was accepted. */
  totp_state: 'pending' | 'enrolled';
  /** 20 bytes, sealed under FUSELINK_SECRET. */
  totp_seed: Uint8Array;
  /** The seed of an authenticator that is to replace the present one, sealed; until its first code. */
  totp_next: Uint8Array | null;
  /** The time step of the last code accepted: a code counts only for a later one. */
  totp_last_step: number;
  /** base64url(SHA-256(setup secret)); null once enrolment is done. */
  setup_hash: string | null;
  created_at_ms: number;
  enrolled_at_ms: number | null;
  last_sign_in_at_ms: number | null;
  version: number;
}

/** One sign-in: what its cookie and its JWT stand for. */
export interface SessionRow {
  id: SessionId;
  account_id: AccountId;
  user_id: UserId;
  /** The key that signed in: the session dies with it. */
  key_id: KeyId;
  /** base64url(SHA-256(cookie value)). */
  hash: string;
  second_factor: boolean;
  /** A sign-in by password alone, where the operator allows it: it may make keys, and manage nothing else. */
  may_create_keys: boolean;
  created_at_ms: number;
  expires_at_ms: number;
  ended_at_ms: number | null;
  from: string;
  version: number;
}

/** A recovery code, by its hash; used once. */
export interface RecoveryCodeRow {
  /** base64url(SHA-256(user id ‖ code)). */
  id: string;
  user_id: UserId;
  created_at_ms: number;
  used_at_ms: number | null;
  version: number;
}

/** Failures that make the next sign-in attempt wait (domain/auth/waits.ts). */
export interface SignInAttemptRow {
  id: string;
  failures: number;
  wait_until_ms: number;
  at_ms: number;
  version: number;
}

/** The whole number by which a dialect names something that has a text id here. */
export interface NumberRow {
  /** The number, in decimal. */
  id: string;
  account_id: AccountId;
  kind: 'account' | 'key' | 'group';
  /** Id of the key or account, name of the group. */
  subject: string;
  version: number;
}

export interface SignInTables {
  users: UserRow;
  sessions: SessionRow;
  recovery_codes: RecoveryCodeRow;
  sign_in_attempts: SignInAttemptRow;
  numbers: NumberRow;
}

export const SIGN_IN_TABLES: { readonly [T in keyof SignInTables]: TableShape<SignInTables[T]> } = {
  users: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      email: 'text',
      role: 'text',
      totp_state: 'text',
      totp_seed: 'bytes',
      totp_next: 'bytes?',
      totp_last_step: 'int',
      setup_hash: 'text?',
      created_at_ms: 'int',
      enrolled_at_ms: 'int?',
      last_sign_in_at_ms: 'int?',
      version: 'int',
    },
    unique: [['email']],
    indexes: [['account_id', 'created_at_ms', 'id']],
  },
  sessions: {
    key: 'id',
    columns: {
      id: 'text',
      account_id: 'text',
      user_id: 'text',
      key_id: 'text',
      hash: 'text',
      second_factor: 'bool',
      may_create_keys: 'bool',
      created_at_ms: 'int',
      expires_at_ms: 'int',
      ended_at_ms: 'int?',
      from: 'text',
      version: 'int',
    },
    unique: [['hash']],
    indexes: [['user_id', 'created_at_ms', 'id'], ['expires_at_ms']],
  },
  recovery_codes: {
    key: 'id',
    columns: { id: 'text', user_id: 'text', created_at_ms: 'int', used_at_ms: 'int?', version: 'int' },
    unique: [],
    indexes: [['user_id', 'id']],
  },
  sign_in_attempts: {
    key: 'id',
    columns: { id: 'text', failures: 'int', wait_until_ms: 'int', at_ms: 'int', version: 'int' },
    unique: [],
    indexes: [['at_ms']],
  },
  numbers: {
    key: 'id',
    columns: { id: 'text', account_id: 'text', kind: 'text', subject: 'text', version: 'int' },
    unique: [['account_id', 'kind', 'subject']],
    indexes: [],
  },
};

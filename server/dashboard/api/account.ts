import type {
  AccountAnswer,
  EnrolmentAnswer,
  FirstAccountAnswer,
  KeyAnswer,
  KeyCreatedAnswer,
  KeyRevokedAnswer,
  LimitsAnswer,
  Role,
  SessionAnswer,
  SignInAnswer,
  UserAnswer,
  UserCreatedAnswer,
  WhoAnswer,
} from '#sdk/protocol';
import { call } from './calls.ts';

/** Sign-in, people, keys and settings: one function a call. */

export interface SignInForm {
  email: string;
  api_key: string;
  totp?: string;
  recovery_code?: string;
}

export const signIn = (form: SignInForm) => call<SignInAnswer>('POST', 'v1/auth/login', { body: form, quiet: true });
export const signOut = (everywhere: boolean) =>
  call<void>('POST', 'v1/auth/logout', { query: { everywhere: everywhere ? 'true' : undefined }, quiet: true });
export const whoAmI = () => call<WhoAnswer>('GET', 'v1/auth/session', { quiet: true });
export const createFirstAccount = (body: { email: string; setup_secret: string }) =>
  call<FirstAccountAnswer>('POST', 'v1/auth/first-account', { body, quiet: true });
export const enrolAuthenticator = (body: { email: string; api_key: string; setup_secret: string }) =>
  call<EnrolmentAnswer>('POST', 'v1/auth/totp/enrol', { body, quiet: true });
export const replaceAuthenticator = (totp: string) =>
  call<{ totp_uri: string; totp_qr_svg: string }>('POST', 'v1/auth/totp/replace', { body: { totp } });
export const confirmAuthenticator = (totp: string) => call<void>('POST', 'v1/auth/totp/confirm', { body: { totp } });
export const renewRecoveryCodes = (totp: string) =>
  call<{ recovery_codes: string[] }>('POST', 'v1/auth/totp/recovery-codes', { body: { totp } });

export const getAccount = () => call<AccountAnswer>('GET', 'v1/account');
export type AccountSwitch = 'keys_may_manage' | 'require_sealed' | 'alarms_quarantine' | 'rotations_paused';
export const setSwitch = (name: AccountSwitch, on: boolean) =>
  call<AccountAnswer>('PATCH', 'v1/account', { body: { [name]: on } });
export const getLimits = () => call<LimitsAnswer>('GET', 'v1/limits');

export const listUsers = () => call<{ users: UserAnswer[] }>('GET', 'v1/users', { query: { limit: 100 } });
export const addUser = (body: { email: string; role: Role }) => call<UserCreatedAnswer>('POST', 'v1/users', { body });
export const setRole = (id: string, role: Role) => call<UserAnswer>('PATCH', `v1/users/${id}`, { body: { role } });
export const removeUser = (id: string) => call<void>('DELETE', `v1/users/${id}`);
export const resetSecondFactor = (id: string) =>
  call<{ email: string; setup_secret: string }>('POST', `v1/users/${id}/reset-second-factor`);

export const listSessions = () => call<{ sessions: SessionAnswer[] }>('GET', 'v1/sessions');
export const endSession = (id: string) => call<void>('DELETE', `v1/sessions/${id}`);

export const listKeys = (query: { kind?: string; cursor?: string }) =>
  call<{ keys: KeyAnswer[]; next_cursor: string | null }>('GET', 'v1/keys', { query: { ...query, limit: 100 } });
export const createKey = (body: { name: string; role: Role }) => call<KeyCreatedAnswer>('POST', 'v1/keys', { body });
export const revokeKey = (id: string, options: { last: boolean; burn: boolean }) =>
  call<KeyRevokedAnswer>('DELETE', `v1/keys/${id}`, {
    query: { confirm: options.last ? 'last-key' : undefined, burn: options.burn ? 'true' : undefined },
  });

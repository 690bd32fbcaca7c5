import { describe, expect, test } from 'vitest';
import { keyHex } from './api-key.ts';
import { type CredentialHeaders, readCredential } from './credential-header.ts';

const KEY = 'c0ffee'.padEnd(64, '0');
const OTHER = 'decade'.padEnd(64, '0');
const PDM = 'pdm_AbCd1234!@#$%&*efGHijKLmnopq';
const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl';

function read(headers: Partial<CredentialHeaders>) {
  return readCredential({ authorization: undefined, xApiKey: undefined, sessionCookie: undefined, ...headers });
}

describe('credential', () => {
  test.each<[string, Partial<CredentialHeaders>]>([
    ['Bearer and a key', { authorization: `Bearer ${KEY}` }],
    ['bearer in small letters, two spaces', { authorization: `bearer  ${KEY}` }],
    ['the bare key', { authorization: KEY }],
    ['upper-case hex', { authorization: KEY.toUpperCase() }],
    ['X-API-Key', { xApiKey: KEY }],
    ['the same key in both', { authorization: `Bearer ${KEY}`, xApiKey: KEY }],
    ['an empty cookie beside it', { authorization: KEY, sessionCookie: '' }],
  ])('key: %s → the key', (_what, headers) => {
    const said = read(headers);
    expect(said.ok && said.credential.kind === 'key' && keyHex(said.credential.bytes)).toBe(KEY);
  });

  test.each<[string, Partial<CredentialHeaders>]>([
    ['Bearer', { authorization: `Bearer ${PDM}` }],
    ['bare', { authorization: PDM }],
    ['X-API-Key', { xApiKey: PDM }],
  ])('key: pdm_ form, %s → its 32 characters', (_what, headers) => {
    const said = read(headers);
    expect(said.ok && said.credential.kind === 'key' && String.fromCharCode(...said.credential.bytes)).toBe(PDM);
  });

  test.each<[string, Partial<CredentialHeaders>]>([
    ['Bearer', { authorization: `Bearer ${JWT}` }],
    ['bare', { authorization: JWT }],
  ])('token: %s → a JWT', (_what, headers) => {
    expect(read(headers)).toEqual({ ok: true, credential: { kind: 'jwt', text: JWT } });
  });

  test('token: with a session cookie (a client with a cookie jar) → both, for the store to compare', () => {
    expect(read({ authorization: `Bearer ${JWT}`, sessionCookie: 'abc' })).toEqual({
      ok: true,
      credential: { kind: 'jwt', text: JWT },
      beside: { kind: 'session', text: 'abc' },
    });
  });

  test.each<[string, Partial<CredentialHeaders>, string, string]>([
    ['nothing', {}, 'credentials_missing', 'No credential'],
    ['an empty Authorization', { authorization: '  ' }, 'credentials_malformed', 'empty'],
    ['Bearer alone', { authorization: 'Bearer' }, 'credentials_malformed', 'no key behind it'],
    [
      'no space after Bearer',
      { authorization: `Bearer${KEY}` },
      'credentials_malformed',
      'a space after "Bearer", got none',
    ],
    ['a colon after Bearer', { authorization: `Bearer:${KEY}` }, 'credentials_malformed', 'a space after "Bearer"'],
    ['another scheme', { authorization: `Basic ${KEY}` }, 'credentials_malformed', 'got "Basic"'],
    ['63 characters', { authorization: `Bearer ${KEY.slice(1)}` }, 'credentials_malformed', '63 characters'],
    ['65 characters', { authorization: `Bearer ${KEY}0` }, 'credentials_malformed', '65 characters'],
    ['not hex', { authorization: `Bearer ${KEY.slice(1)}g` }, 'credentials_malformed', 'not hex at position 64'],
    ['a pdm_ key cut short', { xApiKey: PDM.slice(0, -1) }, 'credentials_malformed', 'pdm_ and 27 characters'],
    ['a pdm_ key with a stranger', { xApiKey: PDM.replace('A', '-') }, 'credentials_malformed', 'not one of'],
    ['X-API-Key with Bearer', { xApiKey: `Bearer ${KEY}` }, 'credentials_malformed', 'takes the bare key'],
    ['two keys', { authorization: KEY, xApiKey: OTHER }, 'credentials_ambiguous', 'Two different'],
    ['a key and a cookie', { authorization: KEY, sessionCookie: 'abc' }, 'credentials_ambiguous', 'Two different'],
    ['a token and a key', { authorization: JWT, xApiKey: KEY }, 'credentials_ambiguous', 'Two different'],
    [
      'a token, a key and a cookie',
      { authorization: JWT, xApiKey: KEY, sessionCookie: 'a' },
      'credentials_ambiguous',
      'Two',
    ],
  ])('refused: %s → %s', (_what, headers, code, part) => {
    const said = read(headers);
    expect(said).toMatchObject({ ok: false, code });
    expect(!said.ok && said.detail).toContain(part);
  });
});

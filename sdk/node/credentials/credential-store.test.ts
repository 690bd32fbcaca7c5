import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { nvsContract } from '../../core/credentials/nvs.contract.ts';
import {
  CREDENTIAL_FILE,
  CredentialFileError,
  fingerprint,
  keyOfSecret,
  openCredentialSlots,
  openFileNvs,
  Secret,
  secretOf,
} from './index.ts';

const root = mkdtempSync(join(tmpdir(), 'fuselink-credentials-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const freshFolder = () => join(root, `store-${folders++}`);
const TEXT = 'pdm_abcDEF123!@#$%&*abcDEF123456';
const onPosix = process.platform !== 'win32';

nvsContract('credential file', {
  anyName: true,
  make: () => {
    const folder = freshFolder();
    return { nvs: openFileNvs(folder), reopen: () => openFileNvs(folder) };
  },
});

const refusal = (action: () => unknown): CredentialFileError => {
  try {
    action();
  } catch (error) {
    if (error instanceof CredentialFileError) return error;
    throw error;
  }
  throw new Error('expected a CredentialFileError, nothing was thrown');
};

describe.runIf(onPosix)('credential file: who may touch it', () => {
  test('a new store → folder 0700, file 0600, whatever the umask', () => {
    const before = process.umask(0);
    const folder = freshFolder();
    try {
      openCredentialSlots(folder).provision(keyOfSecret(new Secret(TEXT))!, 1);
    } finally {
      process.umask(before);
    }
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, CREDENTIAL_FILE)).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual([CREDENTIAL_FILE]);
  });

  test.each([0o640, 0o604, 0o620, 0o601])('a file of mode %o → refused, with the mode found and the remedy', (mode) => {
    const folder = freshFolder();
    openCredentialSlots(folder).provision(keyOfSecret(new Secret(TEXT))!, 1);
    chmodSync(join(folder, CREDENTIAL_FILE), mode);
    const error = refusal(() => openCredentialSlots(folder));
    expect(error.code).toBe('credentials_permissions');
    expect(error.message).toContain(`found 0${mode.toString(8)}`);
    expect(error.message).toContain('chmod 600');
    chmodSync(join(folder, CREDENTIAL_FILE), 0o600);
    expect(openCredentialSlots(folder).look().state).toBe('settled');
  });

  test('a folder others may write into → refused: they could replace the file', () => {
    const folder = freshFolder();
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    expect(refusal(() => openCredentialSlots(folder)).message).toContain('chmod 700');
  });

  test('a link or a folder in the place of the file → refused, nothing is followed', () => {
    const folder = freshFolder();
    mkdirSync(folder, { mode: 0o700 });
    const target = join(root, 'elsewhere');
    writeFileSync(target, 'untouched', { mode: 0o600 });
    symlinkSync(target, join(folder, CREDENTIAL_FILE));
    expect(refusal(() => openCredentialSlots(folder)).code).toBe('credentials_not_a_file');
    expect(statSync(target).size).toBe(9);
    const other = freshFolder();
    mkdirSync(join(other, CREDENTIAL_FILE), { recursive: true, mode: 0o700 });
    expect(refusal(() => openCredentialSlots(other)).code).toBe('credentials_not_a_file');
  });

  test('a path below a file → credentials_io that names the folder', () => {
    const target = join(root, 'plain');
    writeFileSync(target, '');
    const error = refusal(() => openCredentialSlots(join(target, 'below')));
    expect([error.code, error.message.includes(join(target, 'below'))]).toEqual(['credentials_io', true]);
  });
});

test('a rotation on disk: staged, settled, opened again by another process → the new key', () => {
  const folder = freshFolder();
  const first = keyOfSecret(new Secret(TEXT))!;
  const second = keyOfSecret(new Secret('0123456789abcdef'.repeat(4)))!;
  openCredentialSlots(folder).provision(first, 1);
  expect(openCredentialSlots(folder).stage(second, 2, fingerprint(first))).toBe('staged');
  expect(openCredentialSlots(folder).look().state).toBe('two-keys');
  expect(openCredentialSlots(folder).settle(fingerprint(second))).toBe(true);
  const view = openCredentialSlots(folder).look();
  expect([view.state, view.mirrored, view.base?.fingerprint]).toEqual(['settled', true, fingerprint(second)]);
  expect(secretOf(view.base!.key).reveal()).toBe('0123456789abcdef'.repeat(4));
});

test('a torn file → what was whole is read, and the next write heals it', () => {
  const folder = freshFolder();
  const key = keyOfSecret(new Secret(TEXT))!;
  openCredentialSlots(folder).provision(key, 1);
  const path = join(folder, CREDENTIAL_FILE);
  const size = statSync(path).size;
  writeFileSync(path, 'half an entry', { flag: 'a' });
  const slots = openCredentialSlots(folder);
  expect(slots.look()).toMatchObject({ state: 'settled', mirrored: true });
  const other = keyOfSecret(new Secret('ab'.repeat(32)))!;
  expect(slots.stage(other, 2, fingerprint(key))).toBe('staged');
  expect(statSync(path).size).toBe(size);
  expect(openCredentialSlots(folder).look().state).toBe('two-keys');
  expect(existsSync(`${path}.new`)).toBe(false);
});

test('secret: inspecting, JSON, templates, concatenation and errors → [secret]', () => {
  const secret = new Secret(TEXT);
  const shown = [
    inspect(secret),
    inspect({ deep: { secret } }, { depth: 9, showHidden: true }),
    JSON.stringify({ secret }),
    `${secret}`,
    'key: ' + secret,
    String(secret),
    inspect(Object.getOwnPropertyDescriptors(secret)),
    inspect(secret, { customInspect: false, showHidden: true }),
  ];
  for (const text of shown) expect(text).not.toContain('pdm_');
  expect(shown[0]).toBe('[secret]');
  expect(secret.reveal()).toBe(TEXT);
  expect(keyOfSecret(new Secret('not a key'))).toBeNull();
});

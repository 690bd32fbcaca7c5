import { expect, it } from 'vitest';
import { readSettings, SettingsError } from './settings.ts';

const S3 = { FUSELINK_S3_KEY_ID: 'AKIAEXAMPLE', FUSELINK_S3_SECRET: 'a-secret-of-the-store' };

it('settings: postgres:// and s3:// with credentials → both stores, and other nodes may share them', () => {
  const settings = readSettings({
    FUSELINK_METADATA: 'postgres://fuselink:hunter2@db:5432/fuselink',
    FUSELINK_BLOBS: 's3://bucket/prefix?endpoint=https://s3.example.com&region=eu-1',
    ...S3,
  });
  expect(settings.metadata).toEqual({ kind: 'postgres', url: 'postgres://fuselink:hunter2@db:5432/fuselink' });
  expect(settings.blobs).toMatchObject({
    kind: 's3',
    location: { bucket: 'bucket', prefix: 'prefix/', endpoint: 'https://s3.example.com', region: 'eu-1' },
    accessKeyId: 'AKIAEXAMPLE',
    secretAccessKey: 'a-secret-of-the-store',
  });
});

it.each<[string, Record<string, string>, RegExp]>([
  [
    'a database without a name',
    { FUSELINK_METADATA: 'postgres://u:hunter2@db' },
    /FUSELINK_METADATA: expected postgres/,
  ],
  [
    'a password that is not encoded',
    { FUSELINK_METADATA: 'postgres://u:hunter2#x@db:z/n' },
    /special characters as %XX/,
  ],
  ['another database', { FUSELINK_METADATA: 'mysql://u:hunter2@db/n' }, /got "mysql:…"/],
  ['a path where an address belongs', { FUSELINK_METADATA: '/hunter2/file.db' }, /an address without a scheme/],
  ['an object store without credentials', { FUSELINK_BLOBS: 's3://bucket' }, /FUSELINK_S3_KEY_ID: expected/],
  ['credentials in the address', { FUSELINK_BLOBS: 's3://u:hunter2@bucket', ...S3 }, /expected no credentials/],
  ['an unknown option', { FUSELINK_BLOBS: 's3://bucket?endpont=x', ...S3 }, /came endpont/],
  [
    'bytes in memory beside a shared database',
    { FUSELINK_METADATA: 'postgres://u:hunter2@db/n', FUSELINK_BLOBS: 'memory:' },
    /expected s3: or disk: beside postgres/,
  ],
])('settings: %s → refused with what was expected, without a secret', (_what, env, told) => {
  let message = '';
  try {
    readSettings(env);
  } catch (error) {
    expect(error).toBeInstanceOf(SettingsError);
    message = (error as Error).message;
  }
  expect(message).toMatch(told);
  expect(message).not.toMatch(/hunter2|a-secret/);
});

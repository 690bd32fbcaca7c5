import { describe, expect, it } from 'vitest';
import { bucketAddress, parseS3Location } from './location.ts';

describe('s3 location', () => {
  it('bucket, endpoint, prefix, region → all of them', () => {
    const location = parseS3Location('s3://files/fuse/link/?endpoint=http://127.0.0.1:9000&region=eu-central-1');
    expect(location).toEqual({
      endpoint: 'http://127.0.0.1:9000',
      bucket: 'files',
      prefix: 'fuse/link/',
      region: 'eu-central-1',
      addressing: 'path',
    });
    expect(bucketAddress(location)).toBe('http://127.0.0.1:9000/files');
  });

  it('only a bucket → Amazon’s endpoint of the region, no prefix', () => {
    expect(parseS3Location('s3://files?region=eu-west-1&addressing=host')).toMatchObject({ prefix: '' });
    expect(bucketAddress(parseS3Location('s3://files?region=eu-west-1&addressing=host'))).toBe(
      'https://files.s3.eu-west-1.amazonaws.com',
    );
  });

  it.each([
    ['nonsense', /address/],
    ['https://files', /s3:/],
    ['s3://KEY:SECRET@files', /no credentials/],
    ['s3://files?endpoint=https://KEY:SECRET@host', /no credentials/],
    ['s3://UPPER_case', /bucket/],
    ['s3://files?endpoint=ftp://host', /endpoint=https/],
    ['s3://files?endpoint=http://host/path', /endpoint=https/],
    ['s3://files?endpont=http://host', /endpont/],
    ['s3://files?addressing=virtual', /addressing=path/],
    ['s3://files/a%20b', /prefix/],
  ])('%s → says what was expected, never a credential', (text, expected) => {
    expect(() => parseS3Location(text)).toThrow(expected);
    expect(() => parseS3Location(text)).not.toThrow(/SECRET/);
  });
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseApiKey } from '#sdk/core';
import { unwrapOffer } from './requests.ts';

const VECTORS = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../test/conformance/vectors/key-wrap.json'), 'utf8'),
) as {
  device_key: string;
  wrapping_key: string;
  unwrap: { name: string; wrapping_key: string; wrapped: string; key: string | null }[];
};

const ofDevice = VECTORS.unwrap.filter(({ wrapping_key }) => wrapping_key === VECTORS.wrapping_key);

test.each(ofDevice)('offer: $name', ({ wrapped, key }) => {
  const device = parseApiKey(VECTORS.device_key);
  if (device === null) throw new Error('expected a key in a known form');
  const raw = unwrapOffer(wrapped, device);
  expect(raw && Buffer.from(raw).toString('hex')).toBe(key);
});

test('offer: there are vectors that open and vectors that do not', () => {
  expect(new Set(ofDevice.map(({ key }) => key === null)).size).toBe(2);
});

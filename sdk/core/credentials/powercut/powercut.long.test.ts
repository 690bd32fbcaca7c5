import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { credentialSubject, cutFiles, exploreCuts, FILE_VARIANTS, fileNvs, steadyPower } from '../index.ts';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());

test('append-only file: every pair of cuts at every 4 bytes, in every variant → a key that works', {
  timeout: 600_000,
}, () => {
  const subject = credentialSubject({
    medium: cutFiles(steadyPower(), 4),
    variants: FILE_VARIANTS.length,
    openStore: (files) => fileNvs(files, 'nvs'),
    sha256,
    updates: 2,
  });
  const report = exploreCuts(subject, 2);
  expect(report.failures).toEqual([]);
  expect(report.schedules).toBeGreaterThan(1_000_000);
});

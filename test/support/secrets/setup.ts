import { appendFileSync } from 'node:fs';
import { afterAll, expect } from 'vitest';
import { harvestInto } from './harvest.ts';
import { SecretScan } from './secret-scan.ts';

/**
 * Part of every test file: whatever secret it makes, no line that a server, a bridge, a client or a tool of ours writes to standard
 * error meanwhile may have it. Found ones fail the file.
 */
const scan = new SecretScan();
harvestInto(scan);
(globalThis as Record<symbol, unknown>)[Symbol.for('fuselink secrets')] = scan;

afterAll(() => {
  const file = process.env['TEST_SECRETS_FILE'];
  if (file !== undefined) appendFileSync(file, `${scan.secrets} ${scan.chars}\n`);
  expect(scan.leaks(), 'secrets in what was logged').toEqual([]);
});

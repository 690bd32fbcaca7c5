import { expect, test } from 'vitest';
import { exploreCuts } from '../credentials/index.ts';
import { cutStorage } from './index.ts';
import { spoolSubject } from './spool-subject.ts';

test('spool: a cut at every 4 bytes, in every variant → what was acknowledged as durable arrives once', {
  timeout: 600_000,
}, () => {
  const report = exploreCuts(spoolSubject(cutStorage, 4), 1);
  expect(report.failures).toEqual([]);
  expect(report.schedules).toBeGreaterThan(5_000);
});

import { expect, test } from 'vitest';
import type { CutFiles } from '../credentials/index.ts';
import { exploreCuts } from '../credentials/index.ts';
import type { SpoolStorage } from './index.ts';
import { cutStorage } from './index.ts';
import { spoolSubject } from './spool-subject.ts';

test.each([
  { unitBytes: 32, depth: 1 },
  { unitBytes: 1024, depth: 2 },
])(
  'spool: up to $depth cuts at every $unitBytes bytes, torn and out of order → what was acknowledged as durable arrives once',
  ({ unitBytes, depth }) => {
    const report = exploreCuts(spoolSubject(cutStorage, unitBytes), depth);
    expect(report.failures).toEqual([]);
    expect(report.schedules).toBeGreaterThan(500);
  },
);

test.each([
  ['does not sync its data', (op: string, name: string) => op === 'sync' && name.startsWith('lane')],
  ['does not sync its snapshots', (op: string, name: string) => op === 'sync' && name.startsWith('state')],
])('bench: a spool that %s → is found', (_what, skipped) => {
  const careless = (files: CutFiles): SpoolStorage => {
    const inner = cutStorage(files);
    return {
      ...inner,
      perform: (operations, done) =>
        inner.perform(
          operations.filter((each) => !skipped(each.op, each.name)),
          done,
        ),
    };
  };
  expect(exploreCuts(spoolSubject(careless, 1024), 2).failures.length).toBeGreaterThan(0);
});

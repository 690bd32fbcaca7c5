import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  credentialSubject,
  cutFiles,
  exploreCuts,
  FILE_VARIANTS,
  fileNvs,
  fileNvsMeaning,
  steadyPower,
} from '../index.ts';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());

const subject = credentialSubject({
  medium: cutFiles(steadyPower(), 4),
  variants: FILE_VARIANTS.length,
  openStore: (files) => fileNvs(files, 'nvs'),
  sha256,
  updates: 2,
  meaning: (files) => files.meaning(fileNvsMeaning),
});

test('append-only file: every cut, pair and triple of cuts at every 4 bytes over two whole updates, in every variant → a key that works', {
  timeout: 600_000,
}, () => {
  const report = exploreCuts(subject, 3);
  console.log(
    `${report.operations} operations, ${report.schedules} schedules of cuts, ${report.boots} boots really run`,
  );
  expect(report.failures).toEqual([]);
  expect(report.operations).toBeGreaterThan(120);
  expect(report.schedules).toBeGreaterThan(500_000_000);
});

test('append-only file: what the search takes for alike after a cut at any word → behaves alike, operation by operation', () => {
  const known = new Map<string, string>();
  let states = 0;
  const run = subject.copy();
  run.power.watch = () => {
    for (let variant = 0; variant < run.variants; variant++) {
      const rebooted = run.copy();
      rebooted.reboot(variant);
      const alike = rebooted.fingerprint();
      const seen: string[] = [];
      rebooted.power.watch = () => void seen.push(rebooted.fingerprint());
      rebooted.drive();
      const digest = createHash('sha256').update(seen.join('\n')).digest('hex');
      states += 1;
      if (!known.has(alike)) known.set(alike, digest);
      if (known.get(alike) !== digest) expect(digest, alike).toBe(known.get(alike));
    }
  };
  run.drive();
  expect(states).toBeGreaterThan(1_200);
  expect(known.size).toBeLessThan(200);
});

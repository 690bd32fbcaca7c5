import { expect, test } from 'vitest';
import { junitXml } from './junit.ts';
import type { Finding, LiveResult } from './result.ts';
import { parseXml } from './xml.testkit.ts';

const finding = (over: Partial<Finding>): Finding => ({
  name: 'I1',
  sentence: 'a sentence',
  checks: 3,
  skipped: null,
  broken: [],
  ...over,
});

const RESULT: LiveResult = {
  ok: false,
  interrupted: false,
  run: 'abcd1234',
  scenario: 'rotation-under-load',
  seed: 7,
  devices: 20,
  seconds: 12.5,
  started_at: '2026-11-28T20:00:00.000Z',
  speed: 100,
  missed: 'the campaign did not complete',
  findings: [
    finding({}),
    finding({ name: 'I10', skipped: 'cannot be seen' }),
    finding({ name: 'I9', checks: 0 }),
    finding({
      name: 'I12',
      broken: [
        { device: 3, at: '2026-11-28T20:00:01.000Z', what: 'a <b> & "c"\u0000\n]]>' },
        { device: -1, at: null, what: 'twice' },
      ],
    }),
  ],
  requests: 10,
  requests_per_second: 2,
  bytes_sent: 100,
  latencies: [{ verb: 'upload', count: 1, mean_ms: 1, p50_ms: 1, p90_ms: 1, p99_ms: 1, max_ms: 1, histogram: [] }],
  statuses: {},
  readings: { kept: 1, delivered: 1, dropped: 0 },
  uploads: { accepted: 1, read_back: 0 },
  campaigns_completed: 0,
  faults: {},
  removed: { devices: 21, campaigns: 0, left: [] },
};

test('junit: passed, skipped, never looked at, broken and not as expected → the elements and counts of JUnit, all escaped', () => {
  const root = parseXml(junitXml(RESULT));
  expect([root.name, root.attributes['tests'], root.attributes['failures'], root.attributes['skipped']]).toEqual([
    'testsuites',
    '5',
    '2',
    '2',
  ]);
  const suite = root.children[0];
  expect(suite?.name).toBe('testsuite');
  expect(suite?.attributes).toMatchObject({
    name: 'fuselink-sim live rotation-under-load',
    tests: '5',
    failures: '2',
    errors: '0',
    skipped: '2',
    time: '12.500',
    timestamp: '2026-11-28T20:00:00',
  });
  const cases = suite?.children.filter(({ name }) => name === 'testcase') ?? [];
  expect(cases.map(({ children }) => children[0]?.name)).toEqual([
    'system-out',
    'skipped',
    'skipped',
    'failure',
    'failure',
  ]);
  for (const one of cases) {
    expect(Object.keys(one.attributes).sort()).toEqual(['classname', 'name', 'time']);
    expect(one.children.length).toBe(1);
  }
  expect(cases[3]?.children[0]?.attributes['message']).toBe(
    '2026-11-28T20:00:01.000Z device 3: a <b> & "c"\ufffd\n]]>',
  );
  expect(cases[3]?.children[0]?.text).toContain('twice');
  expect(cases[4]?.children[0]?.attributes['message']).toBe('the campaign did not complete');
  const properties = suite?.children.find(({ name }) => name === 'properties')?.children ?? [];
  expect(properties.map(({ attributes }) => attributes['name'])).toContain('latency.upload.p99_ms');
});

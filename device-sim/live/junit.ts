import type { Finding, LiveResult } from './result.ts';

/** Characters that XML 1.0 cannot hold at all, not even escaped. */
const IMPOSSIBLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

function escaped(text: string): string {
  return text
    .replace(IMPOSSIBLE, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll('\n', '&#10;');
}

/** The run as JUnit XML: a test case for each thing that must hold, one for the scenario's own expectation, the figures as properties. */
export function junitXml(result: LiveResult): string {
  const expectation: Finding = {
    name: result.scenario,
    sentence: 'the scenario goes as its operator expects',
    checks: 1,
    skipped: result.interrupted ? 'the run was interrupted' : null,
    broken: result.missed === null ? [] : [{ device: -1, at: null, what: result.missed }],
  };
  const cases = [...result.findings, expectation];
  const failures = cases.filter(({ broken }) => broken.length > 0).length;
  const skipped = cases.filter(isSkipped).length;
  const seconds = result.seconds.toFixed(3);
  const counts = `tests="${cases.length}" failures="${failures}" errors="0" skipped="${skipped}" time="${seconds}"`;
  const suite = `fuselink-sim live ${result.scenario}`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="fuselink-sim" ${counts}>`,
    `  <testsuite name="${escaped(suite)}" ${counts} timestamp="${result.started_at.slice(0, 19)}">`,
    '    <properties>',
    ...propertiesOf(result).map(
      ([name, value]) => `      <property name="${escaped(name)}" value="${escaped(value)}"/>`,
    ),
    '    </properties>',
    ...cases.map((one) => caseOf(one, `fuselink-sim.live.${result.scenario}`)),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

/** Passed, too, is only what was looked at. */
function isSkipped({ skipped, checks, broken }: Finding): boolean {
  return broken.length === 0 && (skipped !== null || checks === 0);
}

function caseOf(one: Finding, group: string): string {
  const { name, sentence, broken, skipped, checks } = one;
  const head = `    <testcase classname="${escaped(group)}" name="${escaped(`${name}: ${sentence}`)}" time="0"`;
  if (broken.length > 0) {
    const lines = broken.map(({ device, at, what }) => {
      const whose = device < 0 ? '' : `device ${device}: `;
      return `${at === null ? '' : `${at} `}${whose}${what}`;
    });
    const first = escaped(lines[0] ?? '');
    return `${head}>\n      <failure type="${escaped(name)}" message="${first}">${escaped(lines.join('\n'))}</failure>\n    </testcase>`;
  }
  if (isSkipped(one)) {
    const why = skipped ?? 'nothing in this run had to do with it';
    return `${head}>\n      <skipped message="${escaped(why)}"/>\n    </testcase>`;
  }
  return `${head}>\n      <system-out>${checks} checks</system-out>\n    </testcase>`;
}

function propertiesOf(result: LiveResult): [string, string][] {
  const { run, seed, devices, requests, requests_per_second: rate, uploads, readings } = result;
  const latencies = result.latencies.flatMap((one): [string, string][] => [
    [`latency.${one.verb}.p50_ms`, String(one.p50_ms)],
    [`latency.${one.verb}.p99_ms`, String(one.p99_ms)],
    [`latency.${one.verb}.max_ms`, String(one.max_ms)],
  ]);
  return [
    ['run', run],
    ['seed', String(seed)],
    ['devices', String(devices)],
    ['requests', String(requests)],
    ['requests_per_second', String(rate)],
    ['uploads_accepted', String(uploads.accepted)],
    ['readings_delivered', String(readings.delivered)],
    ...latencies,
  ];
}

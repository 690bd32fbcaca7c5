import { expect, test } from 'vitest';
import { INVARIANT_NAMES } from '../oracle/invariants.ts';
import { runProgram } from '../program.testkit.ts';

const small = ['--devices', '2', '--days', '3', '--campaign-every', '2'];

test('swarm --json: a run that holds → 0, one object and nothing beside it', async () => {
  const { code, out, err } = await runProgram('swarm', '--seed', '3', ...small, '--json');
  const report = JSON.parse(out);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(report).toMatchObject({ ok: true, seed: 3, devices: 2, missed: null, scenario: null });
  expect(report.trace_hash).toMatch(/^[0-9a-f]{32}$/);
  expect(Object.keys(report.invariants)).toEqual([...INVARIANT_NAMES]);
  expect(Object.keys(report.coverage)).toEqual(['device', 'server', 'campaign']);
  expect(report.readings.kept).toBeGreaterThan(0);
});

test('swarm: a broken run → 1, and its last line, given back to the program, is the same run', async () => {
  const first = await runProgram(
    'swarm',
    '--seed',
    '1',
    ...small,
    '--canary',
    'use-before-durable',
    '--without',
    'net-delay',
  );
  const replay = first.out.trimEnd().split('\n').at(-1) ?? '';
  expect(first.code).toBe(1);
  expect(replay).toMatch(/^replay: npm run -s sim -- swarm --seed 1 .*--canary use-before-durable --only /);
  const again = await runProgram(...replay.slice('replay: npm run -s sim -- '.length).split(' '), '--json');
  const report = JSON.parse(again.out);
  expect(again.code).toBe(1);
  expect(first.out).toContain(`trace: ${report.trace_hash}`);
  expect(report.invariants.I3.holds).toBe(false);
});

test('swarm --seeds --json: several seeds → 0, one object, a hash for each', async () => {
  const { code, out, err } = await runProgram(
    'swarm',
    '--seed',
    '7',
    '--seeds',
    '2',
    '--jobs',
    '1',
    ...small,
    '--json',
  );
  const report = JSON.parse(out);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(report).toMatchObject({ ok: true, first_seed: 7, seeds: 2, failed: [] });
  expect(new Set(report.trace_hashes).size).toBe(2);
});

test.each(['model', 'powercut', 'swarm', 'live'])('%s --help → 0, and says --json', async (verb) => {
  const { code, out } = await runProgram(verb, '--help');
  expect(code).toBe(0);
  expect(out).toContain('--json');
});

test.each([
  ['--seed', 'x', 'expected a whole number of at least 0, got x'],
  ['--seeds', '0', 'expected a whole number of at least 1, got 0'],
  ['--only', 'nonsense', 'expected names of faults with commas between them, got nonsense'],
  ['--canary', 'nonsense', 'Allowed choices are one-slot'],
  ['--scenario', 'nonsense', 'Allowed choices are rotation-under-load'],
  ['--preset', 'nonsense', 'Allowed choices are smoke'],
])('swarm %s %s: not understood → 2, said on stderr', async (option, value, said) => {
  const { code, out, err } = await runProgram('swarm', option, value);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain(said);
});

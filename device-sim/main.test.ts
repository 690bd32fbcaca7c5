import { expect, test } from 'vitest';
import type { ModelReport } from './model/check.ts';
import { modelReportText } from './model/command.ts';
import { runProgram } from './program.testkit.ts';

test('fuselink-sim model --json: the product → 0, one object, nothing beside it', async () => {
  const { code, out, err } = await runProgram('model', '--json');
  const report = JSON.parse(out) as ModelReport;
  expect(code).toBe(0);
  expect(err).toBe('');
  expect(report).toMatchObject({ safe: true, stuck: 0 });
  expect(report.variants).toHaveLength(9);
  for (const one of report.variants) {
    expect(Object.keys(one)).toEqual(expect.arrayContaining(['name', 'bricks', 'steps', 'story']));
  }
});

test('fuselink-sim model: for a person → progress aside, stories numbered, the verdict last', async () => {
  const { code, out, err } = await runProgram('model');
  expect(code).toBe(0);
  expect(err).toMatch(/^ {2}0 % {2}self: 4 rotations\n/);
  expect(out).toContain('     1. The operator starts a rotation. IDLE → WANTED.');
  expect(out.trimEnd().split('\n').at(-1)).toMatch(/^Safe: \d+ states, \d+ edges, 0 stuck\.$/);
});

test('fuselink-sim: --help → 0, verbs and exit codes', async () => {
  const { code, out } = await runProgram('--help');
  expect(code).toBe(0);
  expect(out).toContain('model');
  expect(out).toContain('Exit codes:');
  expect((await runProgram('model', '--help')).out).toContain('--json');
});

test.each([['nonsense'], ['model', '--nonsense'], []])(
  'fuselink-sim %s %s: not understood → 2, said on stderr',
  async (...args) => {
    const { code, out, err } = await runProgram(...args.filter((one) => one !== undefined));
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).not.toBe('');
  },
);

test('report: a search that is not sound and a design not found → both are said, with the story', () => {
  const report: ModelReport = {
    safe: false,
    states: 3,
    edges: 2,
    stuck: 1,
    searches: [{ name: 'self', states: 3, edges: 2, stuck: 1, broken: null, story: ['It rained.'] }],
    variants: [{ name: 'one-slot', patch: 'p', bricks: false, steps: 0, story: [] }],
  };
  const text = modelReportText(report);
  expect(text).toContain('self: 3 states, 2 edges: 1 states cannot settle\n     1. It rained.');
  expect(text).toContain('one-slot (p): NOT FOUND');
  expect(text).toContain('NOT SAFE: 3 states');
});

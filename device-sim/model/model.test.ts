import { beforeAll, describe, expect, test } from 'vitest';
import { checkModel, isSound, type ModelReport, productSearches } from './check.ts';
import { DEVICE_MACHINE, productOptions } from './options.ts';
import { deviceRemovals, findHarm, serverRemovals } from './removal.ts';
import { search } from './search.ts';
import { variants } from './variants.ts';

describe('the product', () => {
  let report: ModelReport;
  beforeAll(() => {
    report = checkModel();
  });

  test('model: the product → safe, and every state can settle', () => {
    for (const one of report.searches)
      expect([one.name, one.broken, one.stuck, one.story]).toEqual([one.name, null, 0, []]);
    expect(report.safe).toBe(true);
    expect(report.stuck).toBe(0);
  });

  test('model: the product → worlds as large as their names say', () => {
    expect(report.searches.length).toBe(productSearches().length);
    for (const one of report.searches) expect(one.states, one.name).toBeGreaterThan(500);
    expect(report.edges).toBeGreaterThan(report.states);
  });

  test('model: run again → the same figures', () => {
    const options = productSearches().at(0)!.options;
    const again = search(options, 'all');
    expect([again.states, again.edges]).toEqual([report.searches[0]!.states, report.searches[0]!.edges]);
  });

  test('model: the nine designs known to brick → each is found, with a story of as many sentences as steps', () => {
    expect(report.variants.map((one) => [one.name, one.bricks, one.steps])).toEqual([
      ['one-slot', true, 3],
      ['key-used-before-durable', true, 6],
      ['roll-back-on-timeout', true, 7],
      ['candidate-dropped-on-any-401', true, 7],
      ['two-generations-pending', true, 12],
      ['offer-without-base', true, 8],
      ['old-key-erased-on-first-200', true, 8],
      ['both-slots-in-one-page', true, 1],
      ['abort-on-stale-read', true, 8],
    ]);
    for (const one of report.variants) {
      expect(one.story.length).toBe(one.steps);
      for (const sentence of one.story) expect(sentence).toMatch(/^[A-Z].*\.$/);
    }
  });
});

test('model: the story of the stale abort → read, proof, old key revoked, written', () => {
  const stale = variants().find((one) => one.name === 'abort-on-stale-read')!;
  const { story } = search(stale.options, 'bricks').broken!;
  expect(story.slice(4)).toEqual([
    'The operator asks to abort: the server reads MINTED, decides, and has not stored it yet.',
    'A request under K2 reaches the server and is committed. MINTED → PROVEN. Now K2 is active, K1 is retiring.',
    'A request under K2 reaches the server and is committed. PROVEN → IDLE. Now K1 is revoked.',
    'The server stores what it decided for the abort. MINTED → IDLE. Now K2 is revoked.',
  ]);
});

test('model: an offer as new as the candidate at hand is written again → the proven candidate is lost to a cut', () => {
  const { guards } = DEVICE_MACHINE;
  const older: (typeof guards)[string] = (state, event) =>
    (event as { generation: number }).generation < state.highestGeneration;
  const device = { ...DEVICE_MACHINE, guards: { ...guards, stale: older } };
  const { broken } = search({ ...productOptions('offer'), generationMax: 2, device }, 'bricks');
  expect(broken?.story.some((sentence) => sentence.includes('the power is cut inside the write'))).toBe(true);
});

test('model: a medium that tears both slots, but is only written to when told → found too', () => {
  const torn = search({ ...productOptions('self'), storage: 'shared' }, 'all');
  expect(isSound(torn)).toBe(false);
});

describe('without one safety row', () => {
  const removals = [...deviceRemovals(), ...serverRemovals()].filter((one) => one.safety);

  test('model: the tables → they have safety rows', () => {
    expect(removals.length).toBeGreaterThan(30);
  });

  test.each(removals)('model: without "$row" → found unsound', (removal) => {
    expect(findHarm(removal)).not.toBeNull();
  });
});

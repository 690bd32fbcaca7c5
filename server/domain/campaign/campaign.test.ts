import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  CAMPAIGN_TABLE,
  type Campaign,
  type CampaignState,
  campaignTableMarkdown,
  hasEnded,
  stepCampaign,
  stratified,
  type Tally,
  waveSizes,
} from './index.ts';

describe('campaign table', () => {
  test('DESIGN.md: its table → the very rows the code runs', () => {
    const design = readFileSync(new URL('./DESIGN.md', import.meta.url), 'utf8');
    const table = /<!-- table -->\n([\s\S]*?)\n<!-- \/table -->/.exec(design)?.[1];
    expect(table).toBe(campaignTableMarkdown());
  });

  test('states: every one that is no end → is left by some row', () => {
    const states = new Set<CampaignState>(
      CAMPAIGN_TABLE.flatMap(({ from, to }) => [...from, ...(to === '=' ? [] : [to])]),
    );
    for (const state of states) {
      expect(
        CAMPAIGN_TABLE.some(({ from }) => from.includes(state)),
        state,
      ).toBe(!hasEnded(state));
    }
  });
});

describe('steps', () => {
  const wave: Campaign = {
    state: 'WAVE',
    resumeTo: null,
    reason: null,
    wave: 1,
    startAtMs: null,
    sinceMs: 0,
    rules: {
      canary: 2,
      growth: 2,
      soakMs: 0,
      errorsPercentMax: 10,
      sampleMin: 2,
      silenceMs: 1000,
      waveMsMax: 1000,
      stragglersMsMax: 1000,
    },
  };
  const tally: Tally = {
    waiting: 3,
    open: 4,
    openContacted: 0,
    contacted: 6,
    done: 6,
    errors: 0,
    limbo: 0,
    waveContacted: 2,
    waveWaiting: 0,
    waveMembers: 8,
  };

  test.each([
    ['enough heard, none of them open', {}, 10, 'SOAK'],
    ['one that was heard is still at it', { openContacted: 1 }, 5000, 'WAVE'],
    ['too few heard', { waveContacted: 1 }, 10, 'WAVE'],
    ['some of the wave are not asked yet', { waveWaiting: 1 }, 10, 'WAVE'],
    ['too few heard, and the wave has waited long enough', { waveContacted: 1, waveWaiting: 1 }, 1000, 'SOAK'],
    ['a device in LIMBO', { limbo: 1 }, 10, 'PAUSED'],
    ['too many errors', { errors: 1 }, 10, 'PAUSED'],
  ] as [string, Partial<Tally>, number, CampaignState][])(
    'wave: %s → what becomes of it',
    (_name, change, nowMs, state) => {
      const outcome = stepCampaign(wave, { kind: 'tick', tally: { ...tally, ...change } }, nowMs);
      expect(outcome.campaign.state).toBe(state);
    },
  );

  test('errors that were there when it was let go on: → forgiven; as many anew → paused again', () => {
    const bad = { ...tally, errors: 2 };
    const paused = stepCampaign(wave, { kind: 'tick', tally: bad }, 10).campaign;
    const resumed = stepCampaign(paused, { kind: 'resume', tally: bad }, 20).campaign;
    expect(resumed).toMatchObject({ state: 'WAVE', reason: null, forgiven: { errors: 2, contacted: 6 } });
    expect(stepCampaign(resumed, { kind: 'tick', tally: { ...bad, waveContacted: 1 } }, 30).kind).toBe('stayed');
    const worse = stepCampaign(resumed, { kind: 'tick', tally: { ...bad, errors: 4, contacted: 9 } }, 30).campaign;
    expect(worse).toMatchObject({
      state: 'PAUSED',
      reason: '2 errors among 3 devices that were heard, more than 10 %',
    });
  });
});

describe('waves', () => {
  test.each([
    [0, []],
    [1, [1]],
    [5, [2, 3]],
    [9, [2, 6, 1]],
    [100, [2, 6, 18, 54, 20]],
  ])('sizes: %i devices, canary 2, growth 3 → %j', (devices, sizes) => {
    expect(waveSizes(devices, { canary: 2, growth: 3 })).toEqual(sizes);
  });

  test('order: 90 of one kind and 10 of another → every ten have one of the few', () => {
    const devices = Array.from({ length: 100 }, (_, i) => ({
      id: `d${i}`,
      profile: i < 90 ? 'pi' : 'esp32',
      gateway: '',
      rank: ((i * 7919) % 1000).toString().padStart(4, '0'),
    }));
    const order = stratified(devices);
    for (let from = 0; from < 100; from += 10) {
      expect(order.slice(from, from + 10).filter(({ profile }) => profile === 'esp32')).toHaveLength(1);
    }
    expect(stratified([...devices].reverse())).toEqual(order);
  });

  test('order: one profile behind four gateways of unequal size → every ten have of each what the fleet has', () => {
    const sizes = { north: 50, south: 30, east: 10, west: 10 };
    const devices = Object.entries(sizes).flatMap(([gateway, size]) =>
      Array.from({ length: size }, (_, i) => ({
        id: `${gateway} ${i}`,
        profile: 'plc',
        gateway,
        rank: ((i * 7919 + size * 104729) % 9973).toString().padStart(4, '0'),
      })),
    );
    const order = stratified(devices);
    for (let from = 0; from < 100; from += 10) {
      const counts = order.slice(from, from + 10).map(({ gateway }) => gateway);
      for (const [gateway, size] of Object.entries(sizes)) {
        expect(counts.filter((one) => one === gateway)).toHaveLength(size / 10);
      }
    }
  });
});

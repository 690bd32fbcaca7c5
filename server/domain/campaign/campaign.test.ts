import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CAMPAIGN_TABLE, type CampaignState, campaignTableMarkdown, hasEnded, stratified, waveSizes } from './index.ts';

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

import { describe, expect, test } from 'vitest';
import type { AuditAnswer, CampaignSample, TransferAnswer } from '#sdk/protocol';
import { CAMPAIGN_FORM, campaignBody } from './campaign-form.ts';
import { verbsFor } from './campaign-verbs.ts';
import { BANDS, chartWords, stackedSeries } from './chart-series.ts';
import { shellWord } from './commands.ts';
import { ordersFor } from './device-orders.ts';
import { eventFits } from './event-filter.ts';
import { receiptEvents } from './receipt.ts';
import { readPlace } from './route.ts';
import { readSetUpLink } from './set-up.ts';

describe('addresses', () => {
  test.each([
    ['/dashboard', '', '', null],
    ['/dashboard/', '', '', null],
    ['/dashboard/devices', '?q=a', 'devices', null],
    ['/dashboard/devices/dev_1', '', 'devices', 'dev_1'],
    ['/dashboard/transfers/a%20b', '', 'transfers', 'a b'],
  ])('%s%s → page %j, thing %j', (path, search, page, id) => {
    expect(readPlace(path, search, '/dashboard')).toMatchObject({ page, id });
  });

  test('set-up links: of a new server, of a person, none, half → what they are', () => {
    expect(readSetUpLink('#first=abc')).toEqual({ kind: 'first', secret: 'abc' });
    expect(readSetUpLink('#setup=ABCD-EFGH&email=a%2Bb%40example.com')).toEqual({
      kind: 'person',
      secret: 'ABCD-EFGH',
      email: 'a+b@example.com',
    });
    for (const nothing of ['', '#', '#first=', '#setup=', '#other=1']) {
      expect(readSetUpLink(nothing)).toEqual({ kind: 'none' });
    }
  });

  test.each([
    ['boiler-7', 'boiler-7'],
    ['two words', "'two words'"],
    ["o'clock; rm -rf /", "'o'\\''clock; rm -rf /'"],
    ['', "''"],
  ])('shellWord: %j → %s', (text, word) => {
    expect(shellWord(text)).toBe(word);
  });
});

describe('campaigns', () => {
  test('form: what is empty → left out; minutes and days → seconds', () => {
    expect(campaignBody({ ...CAMPAIGN_FORM, name: 'all', tags: 'a, b', deadlineDays: '2', soakMinutes: '15' })).toEqual(
      {
        name: 'all',
        tags: ['a', 'b'],
        source: 'self',
        canary: 5,
        growth: 3,
        wave_soak_seconds: 900,
        errors_percent_max: 5,
        policy: 'keep',
        deadline_seconds: 172_800,
      },
    );
  });

  test('verbs: by state → what makes sense, and nothing behind the end', () => {
    expect(verbsFor('DRAFT')).toContain('start');
    expect(verbsFor('WAVE')).toEqual(['pause', 'roll-back', 'abort']);
    expect(verbsFor('PAUSED')[0]).toBe('resume');
    for (const over of ['COMPLETED', 'COMPLETED_WITH_STRAGGLERS', 'ABORTED', 'ROLLED_BACK', 'ABORTING']) {
      expect(verbsFor(over)).toEqual([]);
    }
  });

  const sample = (at: string, counts: Partial<CampaignSample>): CampaignSample => ({
    at,
    waiting: 0,
    open: 0,
    wanted: 0,
    minted: 0,
    proven: 0,
    overdue: 0,
    done: 0,
    errors: 0,
    skipped: 0,
    ...counts,
  });

  test('chart: samples → each band stands on the ones below, and the highest edge is the whole fleet', () => {
    const samples = [
      sample('2026-01-01T00:00:00Z', { waiting: 10 }),
      sample('2026-01-01T00:01:00Z', { waiting: 4, open: 5, wanted: 2, minted: 2, proven: 1, done: 1 }),
    ];
    const { seconds, edges } = stackedSeries(samples);
    expect((seconds[1] ?? 0) - (seconds[0] ?? 0)).toBe(60);
    expect(edges).toHaveLength(BANDS.length);
    expect(edges.at(-1)).toEqual([10, 10]);
    for (const at of [0, 1]) {
      const column = edges.map((edge) => edge[at] ?? 0);
      expect(column).toEqual(column.toSorted((a, b) => a - b));
    }
    expect(chartWords(samples)).toBe(
      "Chart of the fleet's states over time. Now: 1 done, 1 proven, 2 staged, 2 asked, 4 waiting.",
    );
    expect(chartWords([])).toBe('No samples yet.');
  });
});

describe('devices', () => {
  test.each([
    ['IDLE', ['rotate', 'quarantine', 'lose', 'remove']],
    ['PROVEN', ['roll-back', 'quarantine', 'lose', 'remove']],
    ['LOST', ['reprovision', 'remove']],
    ['GONE', []],
  ])('orders: %s → %j', (state, orders) => {
    expect(ordersFor({ state, source: 'self', proposals: [] })).toEqual(orders);
  });

  test('orders: a quarantined device with a staged key → approve first', () => {
    const proposals = [{ generation: 2, fingerprint: 'ab' }];
    expect(ordersFor({ state: 'QUARANTINED', source: 'self', proposals })[0]).toBe('approve');
  });
});

describe('receipts and events', () => {
  const transfer = {
    created_at: '2026-01-01T10:00:00Z',
    ready_at: '2026-01-01T10:00:01Z',
    expires_at: '2026-01-02T10:00:00Z',
    ended_at: null,
    state: 'ready',
    size: 10,
    delivered_by: null,
  } as TransferAnswer;
  const claimed = (at: string) => ({ action: 'transfer.claimed', at, from: '192.0.2.1' }) as AuditAnswer;

  test('alive → what was, in order, and what is ahead', () => {
    const events = receiptEvents(transfer, [claimed('2026-01-01T11:00:00Z'), claimed('2026-01-01T10:30:00Z')]);
    expect(events.map(({ at }) => at)).toEqual(events.map(({ at }) => at).toSorted());
    expect(events.map(({ ahead }) => ahead)).toEqual([false, false, false, false, true]);
  });

  test('ended → how, and nothing ahead', () => {
    const over = {
      ...transfer,
      state: 'burned',
      ended_at: '2026-01-01T11:00:01Z',
      delivered_by: 'ack',
    } as TransferAnswer;
    const last = receiptEvents(over, [claimed('2026-01-01T11:00:00Z')]).at(-1);
    expect(last).toMatchObject({ tone: 'good', ahead: false, text: expect.stringContaining('digest') });
  });

  test('filter: words anywhere in an event, in any case → fits', () => {
    const event = {
      action: 'key.created',
      actor: 'session:a@b.c',
      subject: 'key_1',
      from: '::1',
      detail: { name: 'CI' },
    };
    for (const words of ['', 'KEY', 'a@b', 'ci']) expect(eventFits(event as unknown as AuditAnswer, words)).toBe(true);
    expect(eventFits(event as unknown as AuditAnswer, 'transfer')).toBe(false);
  });
});

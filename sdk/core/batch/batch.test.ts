import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NOTE_CHARS_MAX } from '#sdk/protocol';
import { fromAscii, toAscii } from '../bytes/index.ts';
import type { Batch, BatchOptions, Reading, TimeTrust } from './index.ts';
import { checkReading, closeBatch, csvRow, isDue, manifestText, offerReading, openBatcher } from './index.ts';

const options = (change: Partial<BatchOptions>): BatchOptions => ({
  device: 'pi-1',
  spool: 'a1b2',
  format: 'ndjson',
  bytesMax: 1000,
  countMax: 100,
  ageMsMax: 5000,
  gzip: false,
  csvHeader: null,
  embedManifest: false,
  ...change,
});
const reading = (sequence: number, change: Partial<Reading> = {}): Reading => ({
  bytes: fromAscii(`{"n":${sequence}}`),
  sequence,
  boot: 1,
  monotonicMs: sequence * 10,
  wallMs: 1_800_000_000_000 + sequence * 10,
  trust: 'trusted',
  ...change,
});

test('batcher: three readings as NDJSON → three lines and a manifest of them', () => {
  const batcher = openBatcher(options({}));
  for (const sequence of [7, 8, 10]) expect(offerReading(batcher, reading(sequence), 0)).toBe('taken');
  const batch = closeBatch(batcher)!;
  expect(toAscii(batch.bytes)).toBe('{"n":7}\n{"n":8}\n{"n":10}\n');
  expect(batch).toMatchObject({ filename: 'pi-1-7-10.ndjson', contentType: 'application/x-ndjson', gzip: false });
  expect(batch.manifest).toEqual({
    version: 1,
    device: 'pi-1',
    spool: 'a1b2',
    format: 'ndjson',
    count: 3,
    first_sequence: 7,
    last_sequence: 10,
    missing: 1,
    boots: [{ boot: 1, first_sequence: 7, last_sequence: 10, first_monotonic_ms: 70, last_monotonic_ms: 100 }],
    first_wall_ms: 1_800_000_000_070,
    last_wall_ms: 1_800_000_000_100,
    time_trust: 'trusted',
  });
  expect(closeBatch(batcher)).toBeNull();
});

test('batcher: a CSV with header and manifest → comment, header, rows; gzip is a wish for the driver', () => {
  const batcher = openBatcher(
    options({ format: 'csv', csvHeader: fromAscii('t,v'), embedManifest: true, gzip: true, device: 'a/b ü' }),
  );
  offerReading(batcher, reading(1, { bytes: fromAscii('1,2') }), 0);
  const batch = closeBatch(batcher)!;
  const [comment, ...rows] = toAscii(batch.bytes).split('\n');
  expect(JSON.parse(comment!.slice(2))).toEqual(batch.manifest);
  expect(comment).toMatch(/^# \{.*a\/b \\u00fc/);
  expect(rows).toEqual(['t,v', '1,2', '']);
  expect(batch).toMatchObject({ filename: 'a_b__-1-1.csv.gz', contentType: 'text/csv', gzip: true });
});

test('batcher: raw → bytes as they are; a manifest inside it → RangeError', () => {
  const batcher = openBatcher(options({ format: 'raw' }));
  offerReading(batcher, reading(1, { bytes: Uint8Array.of(0, 10, 255) }), 0);
  offerReading(batcher, reading(2, { bytes: Uint8Array.of(13) }), 0);
  expect(closeBatch(batcher)!.bytes).toEqual(Uint8Array.of(0, 10, 255, 13));
  expect(() => openBatcher(options({ format: 'raw', embedManifest: true }))).toThrow(/got raw/);
  expect(() => openBatcher(options({ bytesMax: 0 }))).toThrow(RangeError);
  expect(() => openBatcher(options({ countMax: Number.NaN }))).toThrow(RangeError);
});

test('batcher: bytes, count and age each close it; an oversized reading gets a batch of its own', () => {
  const byBytes = openBatcher(options({ bytesMax: 16 }));
  expect(['taken', 'taken', 'full']).toEqual([1, 2, 3].map((n) => offerReading(byBytes, reading(n), 0)));
  closeBatch(byBytes);
  const large = reading(4, { bytes: new Uint8Array(500).fill(65) });
  expect(offerReading(byBytes, large, 0)).toBe('taken');
  expect(offerReading(byBytes, reading(5), 0)).toBe('full');
  const byCount = openBatcher(options({ countMax: 2 }));
  expect(isDue(byCount, 1e9)).toBe(false);
  offerReading(byCount, reading(1), 0);
  expect(isDue(byCount, 0)).toBe(false);
  offerReading(byCount, reading(2), 0);
  expect(isDue(byCount, 0)).toBe(true);
  expect(offerReading(byCount, reading(3), 0)).toBe('full');
  const byAge = openBatcher(options({}));
  offerReading(byAge, reading(1), 1000);
  offerReading(byAge, reading(2), 5000);
  expect([isDue(byAge, 5999), isDue(byAge, 6000)]).toEqual([false, true]);
});

test.each<{ trusts: TimeTrust[]; worst: TimeTrust; wall: [number, number] | [null, null] }>([
  { trusts: ['trusted', 'trusted'], worst: 'trusted', wall: [1, 2] },
  { trusts: ['none', 'estimated', 'trusted'], worst: 'none', wall: [2, 3] },
  { trusts: ['trusted', 'estimated', 'none'], worst: 'none', wall: [1, 2] },
  { trusts: ['none', 'none'], worst: 'none', wall: [null, null] },
])('manifest: times trusted as $trusts → $worst, wall time from those that had one', ({ trusts, worst, wall }) => {
  const batcher = openBatcher(options({}));
  trusts.forEach((trust, i) => {
    offerReading(batcher, reading(i + 1, { trust, wallMs: i + 1 }), 0);
  });
  const { manifest } = closeBatch(batcher)!;
  expect([manifest.time_trust, manifest.first_wall_ms, manifest.last_wall_ms]).toEqual([worst, ...wall]);
});

test('manifest: a reboot loop with the largest numbers → at most 4 boots a batch, and it fits a note', () => {
  const batcher = openBatcher(options({ device: 'd'.repeat(100) }));
  const huge = { monotonicMs: 2 ** 41, wallMs: 2 ** 42 };
  for (let boot = 1; boot <= 4; boot++) {
    expect(offerReading(batcher, reading(2 ** 40 + boot, { boot: 100_000 + boot, ...huge }), 0)).toBe('taken');
  }
  expect(offerReading(batcher, reading(2 ** 40 + 9, { boot: 100_004, ...huge }), 0)).toBe('taken');
  expect(offerReading(batcher, reading(2 ** 40 + 10, { boot: 200_000, ...huge }), 0)).toBe('full');
  const { manifest } = closeBatch(batcher)!;
  expect(manifest.boots.length).toBe(4);
  expect(manifestText(manifest).length).toBeLessThanOrEqual(NOTE_CHARS_MAX);
});

test('batches: any readings → each exactly once and in order, within the limits, the same bytes again', () => {
  const arbitrary = fc.array(
    fc.record({ size: fc.integer({ min: 1, max: 60 }), boot: fc.integer({ min: 0, max: 9 }) }),
    {
      maxLength: 200,
    },
  );
  fc.assert(
    fc.property(
      arbitrary,
      fc.integer({ min: 1, max: 80 }),
      fc.integer({ min: 1, max: 9 }),
      (sizes, bytesMax, countMax) => {
        const readings = sizes.map(({ size, boot }, i) =>
          reading(i, { boot, bytes: new Uint8Array(size).map((_, at) => 48 + ((i + at) % 10)) }),
        );
        const run = () => {
          const batcher = openBatcher(options({ bytesMax, countMax }));
          const batches: Batch[] = [];
          for (const each of readings) {
            if (offerReading(batcher, each, 0) === 'taken') continue;
            batches.push(closeBatch(batcher)!);
            expect(offerReading(batcher, each, 0)).toBe('taken');
          }
          const last = closeBatch(batcher);
          return last ? [...batches, last] : batches;
        };
        const batches = run();
        const lines = batches.map((batch) => toAscii(batch.bytes)).join('');
        expect(lines).toBe(readings.map((each) => `${toAscii(each.bytes)}\n`).join(''));
        for (const { bytes, manifest } of batches) {
          expect(manifest.count).toBeLessThanOrEqual(countMax);
          if (manifest.count > 1) expect(bytes.length).toBeLessThanOrEqual(bytesMax);
        }
        expect(run()).toEqual(batches);
      },
    ),
  );
});

test('format: what cannot stand on a line is told before it is stored', () => {
  expect(checkReading('ndjson', fromAscii('{"a":1}'))).toBe('ok');
  expect(checkReading('ndjson', fromAscii('{"a":\n1}'))).toBe('line_break');
  expect(checkReading('csv', fromAscii('a,b\r'))).toBe('line_break');
  expect(checkReading('raw', Uint8Array.of(10))).toBe('ok');
  expect(checkReading('raw', new Uint8Array(0))).toBe('empty');
});

test('csv: fields with commas, quotes and breaks → quoted, one line; null → empty', () => {
  expect(csvRow([1.5, 'plain', true, null, 'a,b', 'say "x"', 'two\r\nlines'])).toBe(
    '1.5,plain,true,,"a,b","say ""x""","two lines"',
  );
});

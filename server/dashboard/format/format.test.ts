import { describe, expect, test } from 'vitest';
import { bytesText, countText, fingerprintText } from './numbers.ts';
import { ageText, agoText, durationText, exactText } from './time.ts';
import { actorText, rotationWords, transferWords } from './words.ts';
import { wordsList } from './words-list.ts';

const NOW = Date.parse('2026-11-28T12:00:00Z');

describe('format', () => {
  test.each([
    [-1_000, 'just now'],
    [-59_000, 'just now'],
    [-60_000, '1 min ago'],
    [-7_199_000, '1 h ago'],
    [-7_200_000, '2 h ago'],
    [3 * 86_400_000, 'in 3 days'],
    [45_000, 'in less than a minute'],
    [-40 * 86_400_000, '40 days ago'],
    [-61 * 86_400_000, '2 months ago'],
    [-800 * 86_400_000, '2 years ago'],
  ])('agoText: %i ms away → %s', (apart, text) => {
    expect(agoText(NOW + apart, NOW)).toBe(text);
  });

  test.each([
    [0, '0 s'],
    [400, '1 s'],
    [1_000, '1 s'],
    [59_000, '59 s'],
    [900_000, '15 min'],
    [7_200_000, '2 h'],
    [86_400_000, '1 day'],
  ])('durationText: %i ms → %s', (ms, text) => {
    expect(durationText(ms)).toBe(text);
  });

  test('ageText: a clock that is behind → no negative age', () => {
    expect(ageText(NOW + 5_000, NOW)).toBe('0 s');
  });

  test('exactText: an instant → the same instant in UTC to the millisecond', () => {
    expect(exactText('2026-11-28T12:00:00.123Z')).toContain('2026-11-28T12:00:00.123Z');
  });

  test.each([
    [0, '0 bytes'],
    [1, '1 byte'],
    [1023, '1023 bytes'],
    [1536, '1.5 KiB'],
    [5_368_709_120, '5.0 GiB'],
    [52_428_800, '50 MiB'],
  ])('bytesText: %i → %s', (bytes, text) => {
    expect(bytesText(bytes)).toBe(text);
  });

  test('counts and fingerprints → with thousands, units and groups', () => {
    expect([countText(1, 'device'), countText(12_000, 'device'), countText(0, 'entry', 'entries')]).toEqual([
      '1 device',
      '12,000 devices',
      '0 entries',
    ]);
    expect(fingerprintText('00112233aabbccdd')).toBe('0011 2233 aabb ccdd');
  });

  test('words: a state nobody knew when this was written → shown as it is', () => {
    expect(rotationWords('SLEEPING')).toMatchObject({ text: 'sleeping', tone: 'quiet' });
    expect(transferWords({ state: 'ready', held: true }).text).toBe('held');
    expect(actorText('session:ops@example.com')).toBe('ops@example.com');
    expect(actorText('sweep')).toBe('sweep');
  });

  test('wordsList: commas and spaces → words, none of them empty', () => {
    expect(wordsList(' hall 3, north,, ')).toEqual(['hall 3', 'north']);
  });
});

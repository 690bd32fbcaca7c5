import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeFooter, encodeReading, FOOTER_BYTES, segmentName, segmentSalt } from '#sdk/core';

const SEGMENT_BYTES = 1_048_576;
const SEGMENTS = 10_240;
const READINGS = 7_000;

test('spool: a backlog of 10 GiB → opens in seconds, records and sends, in at most 64 MB more than an empty Node', {
  timeout: 300_000,
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fuselink-backlog-'));
  try {
    for (let number = 1; number <= SEGMENTS; number++) {
      const name = segmentName(1, number);
      const salt = segmentSalt(name);
      const firstSequence = (number - 1) * READINGS + 1;
      const lastSequence = number * READINGS;
      const footer = encodeFooter({ readings: READINGS, firstSequence, lastSequence }, salt);
      // The first twenty segments are whole, the others are holes up to their footer: as large to whoever opens them.
      if (number <= 20) {
        const frames: Uint8Array[] = [];
        for (let sequence = firstSequence; sequence <= lastSequence; sequence++) {
          const bytes = new Uint8Array(114).fill(65);
          frames.push(encodeReading({ bytes, sequence, boot: 1, monotonicMs: 1, wallMs: 1, trust: 'none' }, salt));
        }
        writeFileSync(join(folder, name), Buffer.concat([...frames, footer]));
      } else {
        const file = openSync(join(folder, name), 'w');
        writeSync(file, footer, 0, FOOTER_BYTES, SEGMENT_BYTES - FOOTER_BYTES);
        closeSync(file);
      }
    }
    const run = (script: string, ...args: string[]) =>
      execFileSync(process.execPath, ['--import', 'tsx', script, ...args], { encoding: 'utf8' });
    const emptyRss = Number(
      execFileSync(
        process.execPath,
        ['--import', 'tsx', '-e', 'process.stdout.write(String(process.resourceUsage().maxRSS * 1024))'],
        { encoding: 'utf8' },
      ),
    );
    const result = JSON.parse(run(join(import.meta.dirname, 'backlog-child.ts'), folder, String(20 * 2 ** 30)));
    console.log({ emptyRss, ...result });
    expect(result.lane.segments).toBeGreaterThan(SEGMENTS - 20);
    expect(result.taken).toBeGreaterThan(50_000);
    expect(result.rssBytesMax - emptyRss).toBeLessThan(64 * 2 ** 20);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

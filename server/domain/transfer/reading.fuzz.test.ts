import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addRange, covers, type Ranges } from '../reading/byte-ranges.ts';
import { endRead } from './read-ending.ts';
import { beginRead } from './reading.ts';
import { aTransfer } from './transfer.testkit.ts';
import type { Transfer } from './transfer.ts';

/** One request of an honest reader: what it asks for, and what becomes of it. */
const request = fc.record({
  reader: fc.constantFrom('A', 'B', 'P', 'Q'),
  start: fc.constantFrom('whole', 'on', 'part'),
  at: fc.nat(99),
  length: fc.integer({ min: 1, max: 100 }),
  /** How much of it is handed to the socket, and how much of that arrives, both in percent. */
  handed: fc.constantFrom(0, 30, 60, 100),
  arrives: fc.constantFrom(0, 40, 100),
  /** Requests that begin before this one ends. */
  overlaps: fc.nat(2),
  waitMs: fc.constantFrom(0, 1_000, 70_000),
});

interface Under {
  reader: string;
  from: number;
  to: number;
  handedTo: number;
  arrivedTo: number;
  left: number;
}

/**
 * A and B read from front to back and go on where they stopped; P and Q fetch parts side by side, as aria2 does. Every
 * one of them keeps what arrives. `has` is the truth the rules never see.
 */
function play(requests: readonly (typeof request extends fc.Arbitrary<infer T> ? T : never)[]) {
  let transfer: Transfer = aTransfer({ attempts_max: 100, expires_at_ms: Number.MAX_SAFE_INTEGER });
  let nowMs = 0;
  const has: Record<string, Ranges> = { A: [], B: [], P: [], Q: [] };
  let under: Under[] = [];

  const finish = (one: Under) => {
    const proven = one.arrivedTo === one.to;
    has[one.reader] = addRange(has[one.reader] ?? [], one.from, one.arrivedTo);
    const outcome = proven ? 'proven' : 'broken';
    const { from, handedTo: to, reader: leaseHash } = one;
    transfer = endRead(transfer, { via: 'implicit', leaseHash, from, to, outcome, graceMs: 0, nowMs }) ?? transfer;
  };

  for (const ask of requests) {
    nowMs += ask.waitMs;
    for (const one of under) one.left--;
    const over = under.filter((one) => one.left < 0);
    under = under.filter((one) => one.left >= 0);
    over.forEach(finish);
    if (transfer.state === 'burned') break;

    const linear = ask.reader === 'A' || ask.reader === 'B';
    // A reader that goes from front to back has one request at a time.
    if (linear && under.some((one) => one.reader === ask.reader)) continue;
    const mine = has[ask.reader] ?? [];
    const end = mine[0]?.[0] === 0 ? (mine[0]?.[1] ?? 0) : 0;
    if (linear && ask.start === 'whole') has[ask.reader] = [];
    const from = ask.start === 'whole' ? 0 : linear ? end : ask.at;
    if (from >= 100) continue;
    const openEnded = linear || ask.start === 'whole';
    const to = openEnded ? 100 : Math.min(100, from + ask.length);
    const begun = beginRead(transfer, { via: 'implicit', leaseHash: ask.reader, from, openEnded, nowMs });
    if (!begun.ok) continue;
    transfer = begun.transfer;
    const handedTo = from + Math.floor(((to - from) * ask.handed) / 100);
    const arrivedTo = from + Math.floor(((handedTo - from) * ask.arrives) / 100);
    under.push({ reader: ask.reader, from, to, handedTo, arrivedTo, left: ask.overlaps });
  }
  under.forEach(finish);
  return { transfer, has };
}

describe('reading, any sequence of honest readers', () => {
  it('burned → one of them has every byte', () => {
    let burned = 0;
    fc.assert(
      fc.property(fc.array(request, { maxLength: 12 }), (requests) => {
        const { transfer, has } = play(requests);
        if (transfer.state !== 'burned') return;
        burned++;
        expect(Object.values(has).some((ranges) => covers(ranges, 100))).toBe(true);
      }),
      { numRuns: 3_000 },
    );
    // The property would hold of a server that never burns anything.
    expect(burned).toBeGreaterThan(100);
  });
});

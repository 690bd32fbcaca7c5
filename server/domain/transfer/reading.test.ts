import { describe, expect, it } from 'vitest';
import { acknowledge, type EndRead, endRead, renewLease } from './read-ending.ts';
import { type BeginRead, beginRead, claim, leaseSecondsLeft, type ReadOutcome, standing } from './reading.ts';
import { aTransfer } from './transfer.testkit.ts';
import type { Transfer } from './transfer.ts';

const read = (changes: Partial<BeginRead> = {}): BeginRead => ({
  via: 'implicit',
  leaseHash: 'A',
  from: 0,
  openEnded: true,
  nowMs: 0,
  ...changes,
});
const end = (changes: Partial<EndRead> = {}): EndRead => ({
  via: 'implicit',
  leaseHash: 'A',
  from: 0,
  to: 100,
  outcome: 'proven',
  graceMs: 600_000,
  nowMs: 1,
  ...changes,
});
const done = (outcome: ReadOutcome): Transfer => {
  if (!outcome.ok) throw new Error(`expected a transfer, got ${outcome.code}`);
  return outcome.transfer;
};
const ended = (transfer: Transfer | null): Transfer => {
  if (transfer === null) throw new Error('expected a transfer, got null');
  return transfer;
};
const begun = (transfer = aTransfer(), changes: Partial<BeginRead> = {}) => done(beginRead(transfer, read(changes)));
const code = (outcome: ReadOutcome) => (outcome.ok ? 'ok' : outcome.code);

describe('beginning to read', () => {
  it.each([
    ['burned', { state: 'burned' }, 'link_burned'],
    ['revoked', { state: 'revoked' }, 'link_revoked'],
    ['expired', { state: 'expired' }, 'link_expired'],
    ['expired, not swept', { expires_at_ms: 0 }, 'link_expired'],
    ['grace passed, not swept', { state: 'claimed', grace_until_ms: 0, lease_expires_at_ms: 0 }, 'link_burned'],
    ['uploading', { state: 'uploading' }, 'transfer_uploading'],
    ['held', { held: true }, 'transfer_held'],
    ['served to the cap', { bytes_served: 6 * 67_108_864 }, 'transfer_held'],
    ['leased', { state: 'claimed', lease_hash: 'B', lease_kind: 'claim', lease_expires_at_ms: 9 }, 'transfer_leased'],
    ['claim required', { require_claim: true }, 'claim_required'],
    ['ready', {}, 'ok'],
  ] as [string, Partial<Transfer>, string][])('a plain GET: %s → %s', (_name, changes, expected) => {
    expect(code(beginRead(aTransfer(changes), read()))).toBe(expected);
    if (expected !== 'claim_required')
      expect(code(claim(aTransfer(changes), { leaseHash: 'C', nowMs: 0 }))).toBe(expected);
  });

  it('a plain GET: takes the lease and counts one attempt', () => {
    expect(begun()).toMatchObject({
      state: 'claimed',
      lease_kind: 'implicit',
      lease_readers: 1,
      lease_expires_at_ms: 60_000,
      attempts: 1,
      attempts_without_progress: 1,
      version: 2,
    });
  });

  it('require_claim: a person at the page or a claim → served', () => {
    const strict = aTransfer({ require_claim: true });
    expect(code(beginRead(strict, read({ deliberate: true })))).toBe('ok');
    const claimed = done(claim(strict, { leaseHash: 'C', nowMs: 0 }));
    expect(code(beginRead(claimed, read({ via: 'claim', leaseHash: 'C' })))).toBe('ok');
  });

  it('a live lease: only parts of the same reader join, and then it is known to read side by side', () => {
    const live = begun();
    expect(code(beginRead(live, read({ leaseHash: 'B' })))).toBe('transfer_leased');
    expect(code(beginRead(live, read({ leaseHash: 'B', from: 5 })))).toBe('transfer_leased');
    expect(code(beginRead(live, read()))).toBe('transfer_leased');
    const joined = begun(live, { from: 50, openEnded: false });
    expect(joined).toMatchObject({ lease_kind: 'parallel', lease_readers: 2, attempts: 1 });
  });

  it('a lease that has run out: given back, and the next reader gets it', () => {
    const stale = begun();
    expect(standing(stale, 59_999)).toBe(stale);
    expect(standing(stale, 60_000)).toMatchObject({ state: 'ready', lease_readers: 0, lease_hash: 'A', version: 2 });
    expect(begun(stale, { leaseHash: 'B', nowMs: 60_000 })).toMatchObject({ lease_hash: 'B', attempts: 2 });
    expect(leaseSecondsLeft(stale, 1)).toBe(60);
    expect(leaseSecondsLeft(stale, 60_000)).toBeNull();
  });

  it('a claim: needs the lease or to have held it last', () => {
    const claimed = done(claim(aTransfer(), { leaseHash: 'C', nowMs: 0 }));
    expect(code(beginRead(claimed, read({ via: 'claim', leaseHash: 'D' })))).toBe('claim_unknown');
    expect(code(beginRead(claimed, read({ leaseHash: 'C' })))).toBe('transfer_leased');
    expect(code(beginRead(claimed, read({ via: 'claim', leaseHash: 'C', nowMs: 70_000 })))).toBe('ok');
    const taken = begun(claimed, { nowMs: 70_000 });
    expect(code(beginRead(taken, read({ via: 'claim', leaseHash: 'C', nowMs: 70_001 })))).toBe('claim_unknown');
  });
});

describe('proof of delivery', () => {
  it.each([
    ['all, closed in order', {}, 'burned'],
    ['all, who closed is not known', { outcome: 'unproven' }, 'claimed'],
    ['all, reset', { outcome: 'broken' }, 'ready'],
    ['nothing, reset', { outcome: 'broken', to: 0 }, 'ready'],
    ['a part, closed in order', { to: 50 }, 'ready'],
  ] as [string, Partial<EndRead>, string][])('a plain GET: %s → %s', (_name, changes, state) => {
    const after = ended(endRead(begun(), end(changes)));
    expect(after.state).toBe(state);
    if (state === 'burned') {
      expect(after).toMatchObject({ delivered_by: 'close', ended_at_ms: 1, lease_hash: null, idempotency_salt: null });
      expect(after.receipt_until_ms).toBe(1 + 8_000_000);
    }
  });

  it('an empty file: closed in order → burned', () => {
    const empty = aTransfer({ size: 0 });
    expect(ended(endRead(begun(empty), end({ to: 0 }))).state).toBe('burned');
    expect(ended(endRead(begun(empty), end({ to: 0, outcome: 'broken' }))).state).toBe('ready');
  });

  it('curl -C - after a break: what came before is believed, and the rest in order → burned', () => {
    const broken = ended(endRead(begun(), end({ to: 70, outcome: 'broken' })));
    const on = begun(broken, { from: 60, nowMs: 2 });
    expect(on).toMatchObject({ delivered: [[0, 60]], attempts: 2, attempts_without_progress: 1 });
    expect(ended(endRead(on, end({ from: 60 }))).state).toBe('burned');
  });

  it('curl -C - from beyond what was ever served → not believed, not burned', () => {
    const broken = ended(endRead(begun(), end({ to: 30, outcome: 'broken' })));
    const on = begun(broken, { from: 60, nowMs: 2 });
    expect(on.delivered).toEqual([]);
    expect(ended(endRead(on, end({ from: 60 }))).state).toBe('ready');
  });

  it('named parts one after the other, in any order → burned with the last', () => {
    let now = aTransfer();
    for (const [from, to] of [
      [60, 100],
      [0, 30],
      [30, 60],
    ] as const) {
      expect(now.state).toBe('ready');
      now = ended(endRead(begun(now, { from, openEnded: false }), end({ from, to })));
    }
    expect(now.state).toBe('burned');
  });

  it('named parts of two readers: neither has the file → not burned', () => {
    const half = ended(endRead(begun(aTransfer(), { openEnded: false }), end({ to: 50 })));
    const other = begun(half, { leaseHash: 'B', from: 50, openEnded: false });
    expect(ended(endRead(other, end({ leaseHash: 'B', from: 50 }))).state).toBe('ready');
  });

  it('side by side: the first GET is cut at its part → its bytes are not believed, the file stays', () => {
    let now = begun(begun(), { from: 50, openEnded: false });
    now = ended(endRead(now, end({ from: 50 })));
    now = ended(endRead(now, end({ to: 80, outcome: 'broken' })));
    expect(now).toMatchObject({ state: 'ready', lease_kind: 'parallel', delivered: [[50, 100]] });
    const on = begun(now, { from: 40, nowMs: 2 });
    expect(on.delivered).toEqual([[50, 100]]);
    expect(ended(endRead(on, end({ from: 40 }))).state).toBe('ready');
  });

  it('side by side: every part proven → burned with the last, whatever the order', () => {
    let now = begun(aTransfer(), { openEnded: false });
    now = begun(now, { from: 50, openEnded: false });
    now = ended(endRead(now, end({ from: 50 })));
    expect(now).toMatchObject({ state: 'claimed', lease_readers: 1 });
    expect(ended(endRead(now, end({ to: 50 }))).state).toBe('burned');
  });

  it('under a claim: nothing burns before the ack, and a break gives the lease back', () => {
    const claimed = done(claim(aTransfer(), { leaseHash: 'C', nowMs: 0 }));
    const reading = begun(claimed, { via: 'claim', leaseHash: 'C' });
    const whole = ended(endRead(reading, end({ via: 'claim', leaseHash: 'C', outcome: 'unproven', nowMs: 5 })));
    expect(whole).toMatchObject({ state: 'claimed', lease_expires_at_ms: 60_005 });
    const broken = ended(endRead(reading, end({ via: 'claim', leaseHash: 'C', outcome: 'broken', to: 9 })));
    expect(broken).toMatchObject({ state: 'ready', lease_hash: 'C' });
  });

  it('a lease of another by now, or a file that has ended → nothing changes', () => {
    expect(endRead(begun(aTransfer(), { leaseHash: 'B' }), end())).toBeNull();
    expect(endRead(aTransfer({ state: 'burned' }), end())).toBeNull();
    expect(renewLease(begun(aTransfer(), { leaseHash: 'B' }), { leaseHash: 'A', nowMs: 9 })).toBeNull();
    expect(renewLease(begun(), { leaseHash: 'A', nowMs: 9 })?.lease_expires_at_ms).toBe(60_009);
  });
});

describe('behind a proxy', () => {
  const waiting = () => ended(endRead(begun(), end({ outcome: 'unproven', nowMs: 10 })));

  it('complete: waits through the grace, and others wait with it', () => {
    expect(waiting()).toMatchObject({ state: 'claimed', grace_until_ms: 600_010, lease_expires_at_ms: 600_010 });
    const other = beginRead(waiting(), read({ leaseHash: 'B', nowMs: 20 }));
    expect(other).toMatchObject({ code: 'transfer_leased', retryAfterSeconds: 600 });
    expect(code(claim(waiting(), { leaseHash: 'C', nowMs: 20 }))).toBe('transfer_leased');
  });

  it('its own retry within the grace → served again, and the grace is over', () => {
    expect(begun(waiting(), { nowMs: 20 })).toMatchObject({ state: 'claimed', grace_until_ms: null, attempts: 2 });
    expect(begun(waiting(), { from: 40, nowMs: 20 })).toMatchObject({ grace_until_ms: null, lease_readers: 1 });
  });

  it('its ack → burned by ack, also when the grace has just passed; another digest → not', () => {
    const ack = { leaseHash: null, digestMatches: true, nowMs: 700_000 };
    expect(done(acknowledge(waiting(), ack))).toMatchObject({ state: 'burned', delivered_by: 'ack' });
    expect(code(acknowledge(waiting(), { ...ack, digestMatches: false }))).toBe('ack_digest_mismatch');
  });
});

describe('acknowledging', () => {
  const claimed = () => done(claim(aTransfer(), { leaseHash: 'C', nowMs: 0 }));
  const whole = () => {
    const reading = begun(claimed(), { via: 'claim', leaseHash: 'C' });
    return ended(endRead(reading, end({ via: 'claim', leaseHash: 'C', outcome: 'unproven' })));
  };
  const ack = { leaseHash: 'C', digestMatches: true, nowMs: 9 };

  it.each([
    ['everything handed over, digest right', whole(), ack, 'ok'],
    ['another digest', whole(), { ...ack, digestMatches: false }, 'ack_digest_mismatch'],
    ['nothing read yet', claimed(), ack, 'ack_incomplete'],
    ['another claim', whole(), { ...ack, leaseHash: 'D' }, 'claim_unknown'],
    ['no claim, though one was taken', whole(), { ...ack, leaseHash: null }, 'claim_unknown'],
    ['nobody has read at all', aTransfer(), { ...ack, leaseHash: null }, 'claim_unknown'],
    ['after the lease ran out', standing(whole(), 70_000), { ...ack, nowMs: 70_000 }, 'ok'],
    ['after expiry, not swept', { ...whole(), expires_at_ms: 5 }, ack, 'ok'],
    ['revoked meanwhile', aTransfer({ state: 'revoked' }), ack, 'link_revoked'],
  ] as [string, Transfer, typeof ack, string][])('%s → %s', (_name, transfer, command, expected) => {
    expect(code(acknowledge(transfer, command))).toBe(expected);
  });

  it('ahead of the end of its own request: what is under way counts', () => {
    const reading = begun(claimed(), { via: 'claim', leaseHash: 'C' });
    expect(code(acknowledge(reading, ack))).toBe('ack_incomplete');
    expect(code(acknowledge(reading, { ...ack, live: [[0, 100]] }))).toBe('ok');
  });

  it('the digest of a claim that read nothing, after others have read all → refused', () => {
    const others = ended(endRead(begun(), end({ outcome: 'broken' })));
    const late = done(claim(others, { leaseHash: 'C', nowMs: 0 }));
    expect(code(acknowledge(late, ack))).toBe('ack_incomplete');
  });

  it('a claim that goes on with what an earlier reader left on its disk → its ack counts', () => {
    const broken = ended(endRead(begun(), end({ to: 70, outcome: 'broken' })));
    const late = done(claim(broken, { leaseHash: 'C', nowMs: 0 }));
    const on = begun(late, { via: 'claim', leaseHash: 'C', from: 50 });
    const rest = ended(endRead(on, end({ via: 'claim', leaseHash: 'C', from: 50, outcome: 'unproven' })));
    expect(code(acknowledge(rest, ack))).toBe('ok');
  });
});

describe('attempts', () => {
  it('reads that bring nothing new: at attempts_max → held, and nobody is served', () => {
    let now = aTransfer({ attempts_max: 3 });
    for (let i = 0; i < 3; i++) {
      expect(now.held).toBe(false);
      now = ended(endRead(begun(now), end({ to: 30, outcome: 'broken' })));
    }
    expect(now).toMatchObject({ held: true, attempts: 3 });
    expect(code(beginRead(now, read({ from: 30 })))).toBe('transfer_held');
    expect(code(claim(now, { leaseHash: 'C', nowMs: 0 }))).toBe('transfer_held');
  });

  it('reads that go on from break to break → never held', () => {
    let now = aTransfer({ attempts_max: 2 });
    for (let from = 0; from < 90; from += 10) {
      now = ended(endRead(begun(now, { from }), end({ from, to: from + 10, outcome: 'broken' })));
      expect(now.held).toBe(false);
    }
    expect(ended(endRead(begun(now, { from: 90 }), end({ from: 90 }))).state).toBe('burned');
  });

  it('claims that are left lying: each lease that runs out counts', () => {
    let now = aTransfer({ attempts_max: 2 });
    now = done(claim(now, { leaseHash: 'C', nowMs: 0 }));
    now = done(claim(now, { leaseHash: 'D', nowMs: 60_000 }));
    expect(code(claim(now, { leaseHash: 'E', nowMs: 120_000 }))).toBe('transfer_held');
    expect(standing(now, 120_000).held).toBe(true);
  });

  it('a claim that reads again and again: the bytes served are capped, too', () => {
    const claimed = { ...done(claim(aTransfer(), { leaseHash: 'C', nowMs: 0 })), bytes_served: 6 * 67_108_864 };
    expect(code(beginRead(claimed, read({ via: 'claim', leaseHash: 'C' })))).toBe('transfer_held');
  });
});

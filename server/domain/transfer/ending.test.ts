import { describe, expect, it } from 'vitest';
import { burn, burnOnFirstByte, reopen, revoke, sweep } from './ending.ts';
import { aTransfer } from './transfer.testkit.ts';
import type { Transfer } from './transfer.ts';

describe('endings', () => {
  it.each([
    ['alive', {}, 999_999, null],
    ['expired', {}, 1_000_000, 'expired'],
    ['expired under a live lease', { state: 'claimed', lease_expires_at_ms: 1_060_000 }, 1_000_000, null],
    ['expired, lease run out', { state: 'claimed', lease_expires_at_ms: 999_000 }, 1_000_000, 'expired'],
    ['grace running, though expired', { state: 'claimed', grace_until_ms: 1_200_000 }, 1_000_000, null],
    ['grace passed', { state: 'claimed', grace_until_ms: 500 }, 500, 'burned'],
    ['upload alive', { state: 'uploading', upload_deadline_ms: 10 }, 9, null],
    ['upload given up', { state: 'uploading', upload_deadline_ms: 10 }, 10, 'expired'],
    ['ended', { state: 'revoked' }, 2_000_000, null],
  ] as [string, Partial<Transfer>, number, string | null][])('sweep: %s → %s', (_name, changes, nowMs, state) => {
    expect(sweep(aTransfer(changes), nowMs)?.state ?? null).toBe(state);
  });

  it('every ending: what made the link is destroyed, the receipt stays for its own time', () => {
    const claimed = aTransfer({ state: 'claimed', lease_hash: 'A', lease_kind: 'claim', lease_expires_at_ms: 9 });
    for (const after of [burn(claimed, { nowMs: 5, by: 'ack' }), revoke(claimed, 5), sweep(claimed, 1_000_000)]) {
      expect(after).toMatchObject({ idempotency_salt: null, lease_hash: null, lease_kind: null, held: false });
      expect(after?.receipt_until_ms).toBe((after?.ended_at_ms ?? 0) + 8_000_000);
      expect(after?.version).toBe(2);
    }
  });

  it('on-first-byte: burned within the change that began the read', () => {
    expect(burnOnFirstByte(aTransfer({ version: 7 }), 3)).toMatchObject({
      state: 'burned',
      delivered_by: 'first-byte',
      version: 7,
    });
  });

  it('revoke, reopen: too late, or nothing to reopen → null', () => {
    for (const state of ['burned', 'expired', 'revoked'] as const) {
      expect(revoke(aTransfer({ state }), 1)).toBeNull();
      expect(reopen(aTransfer({ state, held: true }))).toBeNull();
    }
    expect(reopen(aTransfer())).toBeNull();
  });

  it('reopen: held by attempts or by bytes → attempts and bytes start from zero', () => {
    for (const changes of [{ held: true, attempts_without_progress: 5 }, { bytes_served: 6 * 67_108_864 }]) {
      expect(reopen(aTransfer(changes))).toMatchObject({ held: false, attempts_without_progress: 0, bytes_served: 0 });
    }
  });
});

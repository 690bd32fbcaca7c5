import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Caller } from '../caller.ts';
import { claimLink } from '../read/claim-link.ts';
import { type Bench, codeOf, finish, openBench } from '../read/reading.testkit.ts';
import { sweepOnce } from '../sweep.ts';
import { listTransfers, ownTransfer, receiptOf } from './look.ts';
import { reopenTransfer } from './reopen-transfer.ts';
import { revokeTransfer } from './revoke-transfer.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

const bytes = new Uint8Array([104, 105]);
const SHA256_HI = '8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4';
const receipt = async (id: string) => receiptOf(bench.deps, await bench.row(id));
const stranger = (): Caller => ({ ...bench.owner, accountId: 'another' as Caller['accountId'] });
const device = (subject: string): Caller => ({
  ...bench.owner,
  key: { ...bench.owner.key, kind: 'device' },
  deviceId: subject as NonNullable<Caller['deviceId']>,
  subject: subject as Caller['subject'],
});

describe('receipts', () => {
  it('delivered: who, when, how often, how and what it was are told after the bytes are gone', async () => {
    const { token, row } = await bench.upload(bytes, { filename: 'a.txt', recipient: 'r@example.com', note: 'n' });
    const createdAt = bench.clock.nowMs;
    bench.clock.nowMs += 1_000;
    await finish(await bench.begin(token), 'broken', 1);
    bench.clock.nowMs += 1_000;
    await finish(await bench.begin(token), 'proven');
    const iso = (ms: number) => new Date(ms).toISOString();
    expect(await receipt(row.id)).toMatchObject({
      state: 'burned',
      size: 2,
      sha256: SHA256_HI,
      filename: 'a.txt',
      recipient: 'r@example.com',
      note: 'n',
      created_at: iso(createdAt),
      claimed_at: iso(createdAt + 2_000),
      ended_at: iso(createdAt + 2_000),
      delivered_by: 'close',
      attempts: 2,
      bytes_served: 3,
      receipt_until: iso(createdAt + 2_000 + 2_592_000_000),
    });
  });

  it('expired: says so, and is dropped when its own time is over', async () => {
    const { row } = await bench.upload(bytes, { ttl: '60', receipt_ttl: '100' });
    bench.clock.nowMs += 60_000;
    await sweepOnce(bench.deps, { atStart: false });
    expect(await receipt(row.id)).toMatchObject({
      state: 'expired',
      attempts: 0,
      claimed_at: null,
      delivered_by: null,
    });
    bench.clock.nowMs += 100_000;
    await sweepOnce(bench.deps, { atStart: false });
    await expect(bench.row(row.id)).rejects.toThrow('found none');
  });

  it('a claim that was left lying: no reader any more once its lease has run out', async () => {
    const { token, row } = await bench.upload(bytes, { attempts_max: '1' });
    await claimLink(bench.deps, token, { from: 'x' });
    expect(await receipt(row.id)).toMatchObject({ state: 'claimed', held: false });
    bench.clock.nowMs += 60_000;
    expect(await receipt(row.id)).toMatchObject({ state: 'ready', held: true, attempts: 1 });
  });
});

describe('held', () => {
  it('held by attempts → refused until the owner reopens it; then it is read', async () => {
    const { token, row } = await bench.upload(bytes, { attempts_max: '2' });
    for (let i = 0; i < 2; i++) await finish(await bench.begin(token), 'broken', 0);
    expect(await codeOf(bench.begin(token))).toBe('transfer_held');
    expect(await codeOf(reopenTransfer(bench.deps, stranger(), row.id))).toBe('not_found');
    expect(await codeOf(reopenTransfer(bench.deps, { ...bench.owner, role: 'auditor' }, row.id))).toBe(
      'role_insufficient',
    );
    expect(await reopenTransfer(bench.deps, bench.owner, row.id)).toMatchObject({ held: false, attempts: 2 });
    expect(await codeOf(reopenTransfer(bench.deps, bench.owner, row.id))).toBe('conflict');
    expect((await finish(await bench.begin(token), 'proven')).row.state).toBe('burned');
    expect(await codeOf(reopenTransfer(bench.deps, bench.owner, row.id))).toBe('conflict');
  });

  it('held by a lease that ran out, not yet written → can be reopened all the same', async () => {
    const { token, row } = await bench.upload(bytes, { attempts_max: '1' });
    await claimLink(bench.deps, token, { from: 'x' });
    bench.clock.nowMs += 60_000;
    expect(await codeOf(claimLink(bench.deps, token, { from: 'x' }))).toBe('transfer_held');
    await reopenTransfer(bench.deps, bench.owner, row.id);
    expect(await codeOf(claimLink(bench.deps, token, { from: 'x' }))).toBe('served');
  });

  it('held by bytes served: again and again under one claim → refused at the cap, until reopened', async () => {
    const { token, row } = await bench.upload(new Uint8Array(1_048_576), { attempts_max: '1' });
    const { claim } = await claimLink(bench.deps, token, { from: 'x' });
    // Two whole attempts of at least 64 MiB each.
    for (let i = 0; i < 128; i++) await finish(await bench.begin(token, { claim }), 'unproven');
    expect(await codeOf(bench.begin(token, { claim }))).toBe('transfer_held');
    await reopenTransfer(bench.deps, bench.owner, row.id);
    expect(await codeOf(bench.begin(token, { claim }))).toBe('served');
  });
});

describe('burning by the owner', () => {
  it('unread, being read, ended → gone at once, gone at once, refused', async () => {
    const unread = await bench.upload(bytes);
    expect(await revokeTransfer(bench.deps, bench.owner, unread.row.id)).toMatchObject({
      state: 'revoked',
      storage: 'gone',
    });
    expect(await codeOf(bench.begin(unread.token))).toBe('link_revoked');
    expect(await codeOf(revokeTransfer(bench.deps, bench.owner, unread.row.id))).toBe('transfer_ended');

    const reading = await bench.upload(bytes);
    const open = await bench.begin(reading.token);
    await revokeTransfer(bench.deps, bench.owner, reading.row.id);
    expect((await open.end('proven', 2)).state).toBe('revoked');
    expect(await codeOf(revokeTransfer(bench.deps, stranger(), reading.row.id))).toBe('not_found');
  });
});

describe('looking', () => {
  it('a stranger, another device → there is no such transfer', async () => {
    const { row } = await bench.upload(bytes, {}, device('one'));
    expect((await ownTransfer(bench.deps, bench.owner, row.id)).id).toBe(row.id);
    expect((await ownTransfer(bench.deps, device('one'), row.id)).id).toBe(row.id);
    expect(await codeOf(ownTransfer(bench.deps, device('two'), row.id))).toBe('not_found');
    expect(await codeOf(ownTransfer(bench.deps, stranger(), row.id))).toBe('not_found');
  });

  it('pages: every transfer once, newest first, also when several were made in one moment', async () => {
    const made: string[] = [];
    for (let i = 0; i < 7; i++) {
      if (i % 3 === 0) bench.clock.nowMs += 5;
      made.push((await bench.upload(bytes, { recipient: 'pages@example.com' })).row.id);
    }
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await listTransfers(bench.deps, bench.owner, { recipient: 'PAGES@example.com', limit: 3, cursor });
      const times = page.transfers.map(({ created_at }) => created_at);
      expect(times).toEqual([...times].sort().reverse());
      seen.push(...page.transfers.map(({ id }) => id));
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen.toSorted()).toEqual(made.toSorted());
  });

  it('filters: state, device, key, recipient → only those; a stranger sees nothing', async () => {
    const only = device('only');
    const { row } = await bench.upload(bytes, {}, only);
    await revokeTransfer(bench.deps, only, row.id);
    const ids = async (caller: Caller, query: Parameters<typeof listTransfers>[2]) =>
      (await listTransfers(bench.deps, caller, query)).transfers.map(({ id }) => id);
    expect(await ids(bench.owner, { deviceId: 'only' })).toEqual([row.id]);
    expect(await ids(bench.owner, { deviceId: 'only', state: 'revoked' })).toEqual([row.id]);
    expect(await ids(bench.owner, { deviceId: 'only', state: 'ready' })).toEqual([]);
    expect(await ids(bench.owner, { keyId: 'none' })).toEqual([]);
    expect(await ids(bench.owner, { recipient: 'nobody@example.com' })).toEqual([]);
    expect(await ids(only, {})).toEqual([row.id]);
    expect(await ids(stranger(), {})).toEqual([]);
  });
});

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sweepOnce } from '../sweep.ts';
import { acknowledgeRead } from './acknowledge.ts';
import { claimLink } from './claim-link.ts';
import { inspectLink } from './inspect-link.ts';
import { type Bench, codeOf, finish, openBench } from './reading.testkit.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());
beforeEach(() => {
  bench.clock.nowMs += 1_000_000;
  bench.deps.settings.behindProxy = false;
});

const content = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255);
const sha256 = (bytes: Uint8Array) => Buffer.from(bench.deps.crypto.sha256(bytes)).toString('hex');
const claim = (token: string) => claimLink(bench.deps, token, { from: '192.0.2.1' });
const ack = (token: string, bytes: Uint8Array, claimText?: string) =>
  acknowledgeRead(bench.deps, token, { claim: claimText, sha256: sha256(bytes), from: '192.0.2.1' });

async function storedAnywhere(id: string): Promise<boolean> {
  for await (const blob of bench.deps.blobs.list()) if (blob === id) return true;
  return (await bench.deps.store.get('bodies', { transfer_id: id as never })) !== null;
}

describe('bytes of a link', () => {
  it.each([0, 1, 65_535, 65_536, 65_537, 200_000, 9_000_000])(
    '%i bytes: whole and by every kind of range → the same bytes',
    async (size) => {
      const bytes = content(size);
      const { token, row } = await bench.upload(bytes, { attempts_max: '9' });
      for (const [start, stop] of [
        [0, 1],
        [size >> 1, size],
        [size - 1, size],
        [65_535, 65_537],
        [1, size - 1],
      ]) {
        if (start === undefined || stop === undefined || start < 0 || stop > size || start >= stop) continue;
        const part = await finish(await bench.begin(token, { start, stop }), 'broken');
        expect(Buffer.compare(part.bytes, bytes.subarray(start, stop))).toBe(0);
      }
      const whole = await finish(await bench.begin(token), 'proven');
      expect(Buffer.compare(whole.bytes, bytes)).toBe(0);
      expect(await bench.row(row.id)).toMatchObject({ state: 'burned', delivered_by: 'close', storage: 'gone' });
      expect(await storedAnywhere(row.id)).toBe(false);
    },
  );

  it('nothing but the link → link_unknown for every other text, and nothing about it', async () => {
    const { token } = await bench.upload(content(3));
    for (const text of ['', 'x', `${token}x`, token.slice(0, -1), token.toUpperCase(), '../../etc/passwd', '%00'])
      expect(await codeOf(bench.begin(text))).toBe('link_unknown');
  });

  it('the store cannot be read → the fault comes out, nothing burns, and it works again', async () => {
    const bytes = content(200_000);
    const { token } = await bench.upload(bytes);
    const read = bench.deps.blobs.read;
    // biome-ignore lint/correctness/useYield: a store that fails before its first piece
    bench.deps.blobs.read = async function* () {
      throw new Error('unplugged');
    };
    const opened = await bench.begin(token);
    await expect(finish(opened, 'proven')).rejects.toThrow('unplugged');
    bench.deps.blobs.read = read;
    await opened.end('broken', 0);
    expect(Buffer.compare((await finish(await bench.begin(token), 'proven')).bytes, bytes)).toBe(0);
  });

  it('an altered byte at rest → not released, not burned', async () => {
    const { token, row } = await bench.upload(content(200_000));
    const read = bench.deps.blobs.read.bind(bench.deps.blobs);
    bench.deps.blobs.read = async function* (id, range) {
      for await (const piece of read(id, range)) {
        const altered = Uint8Array.from(piece);
        altered[100] = (altered[100] ?? 0) ^ 1;
        yield altered;
      }
    };
    const opened = await bench.begin(token);
    await expect(finish(opened, 'proven')).rejects.toThrow('does not open');
    bench.deps.blobs.read = read;
    await opened.end('broken', 0);
    expect((await bench.row(row.id)).state).toBe('ready');
  });
});

describe('leases', () => {
  it('inspecting, claiming by another, reading by another while it is read → only looks are answered', async () => {
    const { token } = await bench.upload(content(10));
    const reading = await bench.begin(token);
    expect((await inspectLink(bench.deps, token)).leasedSeconds).toBe(60);
    expect(await codeOf(claim(token))).toBe('transfer_leased');
    expect(await codeOf(bench.begin(token, { readerTag: 'other' }))).toBe('transfer_leased');
    await finish(reading, 'broken', 4);
    expect((await inspectLink(bench.deps, token)).leasedSeconds).toBeNull();
  });

  it('a reader that vanished: its lease runs out → another takes over, and the first cannot end what is not its own', async () => {
    const { token, row } = await bench.upload(content(10));
    const lost = await bench.begin(token);
    bench.clock.nowMs += 60_000;
    const next = await bench.begin(token, { readerTag: 'other' });
    expect((await lost.end('proven', 10)).state).toBe('claimed');
    expect((await finish(next, 'proven')).row.state).toBe('burned');
    expect((await bench.row(row.id)).attempts).toBe(2);
  });

  it('bytes keep moving → the lease lives on', async () => {
    const { token } = await bench.upload(content(10));
    const reading = await bench.begin(token);
    for (let i = 0; i < 5; i++) {
      bench.clock.nowMs += 30_000;
      reading.moved(i);
      await new Promise(setImmediate);
      expect(await codeOf(bench.begin(token, { readerTag: 'other' }))).toBe('transfer_leased');
    }
    expect((await finish(reading, 'proven')).row.state).toBe('burned');
  });

  it('a claim that lost its lease → claim_unknown; it claims again and goes on', async () => {
    const bytes = content(100);
    const { token } = await bench.upload(bytes);
    const first = await claim(token);
    await finish(await bench.begin(token, { claim: first.claim }), 'broken', 40);
    const thief = await bench.begin(token, { readerTag: 'other' });
    expect(await codeOf(bench.begin(token, { claim: first.claim, start: 40 }))).toBe('claim_unknown');
    expect(await codeOf(ack(token, bytes, first.claim))).toBe('claim_unknown');
    expect(await codeOf(claim(token))).toBe('transfer_leased');
    await finish(thief, 'broken', 10);
    const second = await claim(token);
    const rest = await finish(await bench.begin(token, { claim: second.claim, start: 40 }), 'unproven');
    expect(Buffer.compare(rest.bytes, bytes.subarray(40))).toBe(0);
    expect((await ack(token, bytes, second.claim)).state).toBe('burned');
  });

  it('a dead connection: the same reader goes on → the dead one is cut and its bytes count', async () => {
    const { token } = await bench.upload(content(100));
    const dead = await bench.begin(token);
    let cuts = 0;
    dead.onCut(() => {
      cuts++;
      void dead.end('broken', 60);
    });
    dead.moved(60);
    const tooSoon = await bench.begin(token, { start: 50 });
    expect(cuts).toBe(0);
    await finish(tooSoon, 'broken', 0);
    bench.clock.nowMs += 1_000;
    expect((await finish(await bench.begin(token, { start: 50 }), 'broken', 0)).row.state).toBe('ready');
    expect(cuts).toBe(1);
  });

  it('a dead connection under no overlap before: cut, gone on with, proven → burned', async () => {
    const { token } = await bench.upload(content(100));
    const dead = await bench.begin(token);
    dead.onCut(() => void dead.end('broken', 60));
    dead.moved(60);
    bench.clock.nowMs += 1_000;
    expect((await finish(await bench.begin(token, { start: 50 }), 'proven')).row.state).toBe('burned');
  });

  it('a dead connection under a claim: gone on with at once → the ack counts what it had', async () => {
    const bytes = content(100);
    const { token } = await bench.upload(bytes);
    const { claim: text } = await claim(token);
    const dead = await bench.begin(token, { claim: text });
    dead.moved(60);
    await finish(await bench.begin(token, { claim: text, start: 50 }), 'unproven');
    expect((await ack(token, bytes, text)).state).toBe('burned');
    expect((await dead.end('broken', 60)).state).toBe('burned');
  });
});

describe('acknowledging', () => {
  it('wrong digest, too early, right, again → refused, refused, burned, the same answer', async () => {
    const bytes = content(200_000);
    const { token, row } = await bench.upload(bytes);
    const { claim: text } = await claim(token);
    expect(await codeOf(ack(token, bytes, text))).toBe('ack_incomplete');
    await finish(await bench.begin(token, { claim: text }), 'unproven');
    expect(await codeOf(ack(token, content(5), text))).toBe('ack_digest_mismatch');
    expect(await codeOf(ack(token, bytes, 'another claim'))).toBe('claim_unknown');
    const first = await ack(token, bytes, text);
    expect(first).toMatchObject({ state: 'burned', delivered_by: 'ack' });
    bench.clock.nowMs += 5_000;
    expect((await ack(token, bytes, text)).ended_at_ms).toBe(first.ended_at_ms);
    expect(await codeOf(ack(token, content(5), text))).toBe('link_burned');
    expect(await storedAnywhere(row.id)).toBe(false);
  });

  it('after the owner burned it → link_revoked', async () => {
    const { token, row } = await bench.upload(content(5));
    const { revokeTransfer } = await import('../transfer/revoke-transfer.ts');
    await revokeTransfer(bench.deps, bench.owner, row.id);
    expect(await codeOf(ack(token, content(5)))).toBe('link_revoked');
  });
});

describe('burn: on-first-byte', () => {
  it.each([10, 200_000])(
    '%i bytes: burned as the read begins, served whole to that reader, gone behind it',
    async (size) => {
      const bytes = content(size);
      const { token, row } = await bench.upload(bytes, { burn: 'on-first-byte' });
      const reading = await bench.begin(token);
      expect(await bench.row(row.id)).toMatchObject({ state: 'burned', delivered_by: 'first-byte' });
      expect(await codeOf(bench.begin(token, { readerTag: 'other' }))).toBe('link_burned');
      await sweepOnce(bench.deps, { atStart: false });
      const { bytes: got, row: after } = await finish(reading, 'broken');
      expect(Buffer.compare(got, bytes)).toBe(0);
      expect(after.bytes_served).toBe(size);
      expect(await storedAnywhere(row.id)).toBe(false);
      expect((await bench.row(row.id)).storage).toBe('gone');
    },
  );

  it('a claim alone burns nothing; its first byte does, and the ack behind it is answered', async () => {
    const bytes = content(10);
    const { token } = await bench.upload(bytes, { burn: 'on-first-byte' });
    const { claim: text } = await claim(token);
    await finish(await bench.begin(token, { claim: text }), 'unproven');
    expect(await ack(token, bytes, text)).toMatchObject({ state: 'burned', delivered_by: 'first-byte' });
  });
});

describe('behind a proxy', () => {
  it('complete, then silence → burned by the sweep after the grace, and never served again', async () => {
    const { token, row } = await bench.upload(content(10));
    await finish(await bench.begin(token), 'unproven');
    bench.clock.nowMs += 599_999;
    await sweepOnce(bench.deps, { atStart: false });
    expect((await bench.row(row.id)).state).toBe('claimed');
    bench.clock.nowMs += 1;
    expect(await codeOf(bench.begin(token))).toBe('link_burned');
    expect(await codeOf(claim(token))).toBe('link_burned');
    await sweepOnce(bench.deps, { atStart: false });
    expect(await bench.row(row.id)).toMatchObject({ state: 'burned', delivered_by: 'grace', storage: 'gone' });
  });

  it('its own retry within the grace → the bytes again; its ack → burned at once', async () => {
    const bytes = content(10);
    const { token } = await bench.upload(bytes);
    await finish(await bench.begin(token), 'unproven');
    expect(await codeOf(bench.begin(token, { readerTag: 'other' }))).toBe('transfer_leased');
    expect((await finish(await bench.begin(token), 'unproven')).bytes).toEqual(bytes);
    expect(await ack(token, bytes)).toMatchObject({ state: 'burned', delivered_by: 'ack' });
  });
});

describe('expiry', () => {
  it('while it is read: the reader finishes; a read that breaks then → gone', async () => {
    const first = await bench.upload(content(10), { ttl: '60' });
    const second = await bench.upload(content(10), { ttl: '60' });
    const finishing = await bench.begin(first.token);
    const breaking = await bench.begin(second.token);
    bench.clock.nowMs += 59_000;
    finishing.moved(1);
    breaking.moved(1);
    await new Promise(setImmediate);
    bench.clock.nowMs += 2_000;
    await sweepOnce(bench.deps, { atStart: false });
    expect((await finish(finishing, 'proven')).row).toMatchObject({ state: 'burned', delivered_by: 'close' });
    await finish(breaking, 'broken', 3);
    expect(await codeOf(bench.begin(second.token, { start: 3 }))).toBe('link_expired');
    await sweepOnce(bench.deps, { atStart: false });
    expect(await bench.row(second.row.id)).toMatchObject({ state: 'expired', storage: 'gone', delivered_by: null });
  });
});

describe('the audit', () => {
  it('every read and claim → an entry with how it ended', async () => {
    const { token, row } = await bench.upload(content(10));
    await finish(await bench.begin(token), 'broken', 4);
    await claim(token);
    const entries = await bench.deps.store.list('audit', {
      where: [['chain', '=', bench.owner.accountId]],
      orderBy: [['seq', 'desc']],
      limit: 2,
    });
    expect(entries).toMatchObject([
      { action: 'transfer.claimed', subject: row.id, actor: 'link', from: '192.0.2.1' },
      { action: 'transfer.read', subject: row.id, detail: { ending: 'broken', from_byte: 0, to_byte: 4 } },
    ]);
  });
});

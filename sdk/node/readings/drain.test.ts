import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { UPLOAD_LIMITS } from '#sdk/core';
import type { HttpAnswer, HttpRequest, Transport } from '../http/transport.ts';
import { Uploader } from '../send/uploader.ts';
import type { Spool } from '../spool/index.ts';
import { openSpool } from '../spool/index.ts';
import { Forwarder } from './forwarder.ts';

/** Time that passes only when everybody waits for it. */
class VirtualTime {
  nowMs = 0;
  readonly #due: { atMs: number; action: () => void }[] = [];
  /** Real work under way (the disk): time stands still until it is done. */
  working = 0;

  after = (ms: number, action: () => void) => {
    const entry = { atMs: this.nowMs + ms, action };
    this.#due.push(entry);
    return () => {
      const index = this.#due.indexOf(entry);
      if (index >= 0) this.#due.splice(index, 1);
    };
  };

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  async runUntil(done: () => boolean): Promise<void> {
    while (!done()) {
      for (let i = 0; i < 20; i++) await turn();
      if (this.working > 0) continue;
      this.#due.sort((a, b) => a.atMs - b.atMs);
      const next = this.#due.shift();
      if (next === undefined) continue;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.action();
    }
  }
}

interface Arrived {
  note: string;
  bytes: number;
  atMs: number;
}

/** A relay at the end of a line of 1 MB/s and 80 ms that allows 60 uploads a minute, and counts those it refuses. */
function slowRelay(time: VirtualTime): { transport: Transport; starts: number[]; refused: number; arrived: Arrived[] } {
  const uploads: { length: number; offset: number; note: string }[] = [];
  const out = { starts: [] as number[], refused: 0, arrived: [] as Arrived[], transport: {} as Transport };
  const answer = (status: number, headers: Record<string, string>): HttpAnswer => ({
    status,
    headers,
    body: Buffer.alloc(0),
  });
  async function exchange(request: HttpRequest): Promise<HttpAnswer> {
    await time.sleep(80);
    if (request.method === 'POST') {
      out.starts = out.starts.filter((at) => at > time.nowMs - 60_000);
      if (out.starts.length >= 60) {
        out.refused += 1;
        return answer(429, { 'retry-after': '5' });
      }
      out.starts.push(time.nowMs);
      const note = /note ([^,]+)/.exec(request.headers['Upload-Metadata'] ?? '')?.[1] ?? '';
      uploads.push({
        length: Number(request.headers['Upload-Length']),
        offset: 0,
        note: Buffer.from(note, 'base64').toString(),
      });
      return answer(201, { location: `/v1/uploads/${uploads.length - 1}` });
    }
    const index = Number(request.url.pathname.split('/').pop());
    const upload = uploads[index] as (typeof uploads)[0];
    if (typeof request.body === 'function') {
      await request.body(async (piece) => {
        upload.offset += piece.byteLength;
      });
    }
    await time.sleep(upload.offset / 1000);
    const offset = { 'upload-offset': String(upload.offset), 'upload-length': String(upload.length) };
    if (upload.offset < upload.length) return answer(204, offset);
    out.arrived.push({ note: upload.note, bytes: upload.length, atMs: time.nowMs });
    return answer(204, { ...offset, 'fuselink-id': `t${index}`, 'fuselink-url': `http://relay.test/get/${index}` });
  }
  out.transport = { exchange, open: () => Promise.reject(new Error('expected no download')), close: () => {} };
  return out;
}

/** The spool, with its work on the disk made visible to virtual time. */
function watched(spool: Spool, time: VirtualTime): Spool {
  const during = async <Value>(work: Promise<Value>): Promise<Value> => {
    time.working += 1;
    try {
      return await work;
    } finally {
      time.working -= 1;
    }
  };
  const takeEach: Spool['takeEach'] = (...given) => during(spool.takeEach(...given));
  return { ...spool, takeEach, flush: () => during(spool.flush()) };
}

test('drain: a week offline at one batch a second (604,800) → there in minutes of virtual time, in order, each once, within 60 a minute', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-drain-'));
  const BATCHES = 604_800;
  const lane = { lane: 1, whenFull: 'never-drop', sync: 'none', syncIntervalMs: 1000, bytesMax: 1e9 } as const;
  const spool = openSpool({ folder, lanes: [lane], segmentBytesMax: 1_048_576 });
  try {
    const bytes = Buffer.alloc(160, 'x');
    for (let done = 0; done < BATCHES; ) {
      const round = Math.min(4800, BATCHES - done);
      await Promise.all(Array.from({ length: round }, () => spool.record(bytes, { monotonicMs: done * 1000 })));
      done += round;
    }
    const time = new VirtualTime();
    const relay = slowRelay(time);
    const uploader = new Uploader({
      base: new URL('http://relay.test'),
      transport: relay.transport,
      authorization: async () => 'Bearer k',
      limits: UPLOAD_LIMITS,
      nowMs: () => time.nowMs,
      random: () => 0.5,
      after: time.after,
    });
    const forwarder = new Forwarder({
      spool: watched(spool, time),
      uploader,
      lanes: [1],
      device: 'pump',
      format: 'ndjson',
      gzip: false,
      csvHeader: null,
      embedManifest: false,
      countMax: 1000,
      bytesMax: 262_144,
      ageMsMax: 60_000,
      mergeBytesMax: 1_048_576,
      recipient: null,
      ttlSeconds: 604_800,
      hooksFor: () => ({}),
      sent: () => {},
      warn: (code, detail) => {
        throw new Error(`${code}: ${detail}`);
      },
      random: () => 0.5,
      after: time.after,
    });
    let drained = false;
    const flushed = forwarder.flush().then(() => {
      drained = true;
    });
    await time.runUntil(() => drained);
    await flushed;
    let next = 1;
    for (const { note } of relay.arrived) {
      const manifest = JSON.parse(note) as {
        first_sequence: number;
        last_sequence: number;
        count: number;
        missing: number;
      };
      expect(manifest.first_sequence).toBe(next);
      expect(manifest.missing).toBe(0);
      next = manifest.last_sequence + 1;
    }
    expect(next).toBe(BATCHES + 1);
    expect(relay.refused).toBe(0);
    const minutes = time.nowMs / 60_000;
    const total = relay.arrived.reduce((sum, { bytes: size }) => sum + size, 0);
    console.log(`${BATCHES} batches, ${total} B, ${relay.arrived.length} files, ${minutes.toFixed(1)} virtual minutes`);
    expect(minutes).toBeLessThan(10);
    await forwarder.close();
  } finally {
    await spool.close();
    await rm(folder, { recursive: true, force: true });
  }
});

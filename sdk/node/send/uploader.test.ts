import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UPLOAD_LIMITS } from '#sdk/core';
import { createTransport, type Transport } from '../http/transport.ts';
import type { FakeRelay } from '../testing/fake-relay.ts';
import { fakeRelay } from '../testing/fake-relay.ts';
import { bufferSource } from './buffer-source.ts';
import { Uploader } from './uploader.ts';

let relay: FakeRelay;
let transport: Transport;

beforeEach(async () => {
  relay = await fakeRelay();
  transport = createTransport({});
});

afterEach(async () => {
  transport.close();
  await relay.close();
});

const FILE = { contentType: 'text/csv', recipient: null, ttlSeconds: 600, note: null, burn: null };
const SPEC = {
  lane: 1,
  replayable: true,
  durable: false,
  resume: null,
  whenRefused: 'wait',
  giveUpAfterMs: null,
} as const;

describe('uploader: a gateway that speaks for devices', () => {
  test('uploader: headers of its own → on every request, small, resumable, asking and taking back', async () => {
    const uploader = new Uploader({
      base: new URL(relay.url),
      transport,
      authorization: async () => 'Bearer good-key',
      headers: { 'Fuselink-On-Behalf-Of': 'plc-7', Authorization: 'Bearer never' },
      limits: UPLOAD_LIMITS,
    });
    const send = (id: string, bytes: Uint8Array) =>
      uploader.submit(
        { ...SPEC, id, idempotencyKey: id.padEnd(22, '0'), sizeBytes: bytes.byteLength },
        bufferSource(bytes),
        { ...FILE, filename: `${id}.csv` },
        {},
      );
    await send('small', randomBytes(10));
    relay.loseAnswers.push((request) => request.method === 'PATCH');
    relay.faults.push({
      on: (request) => request.method === 'HEAD',
      // Other bytes than were sent: the machine takes them back and begins again.
      run: () => {
        for (const held of relay.held.slice(1)) held.bytes = [Buffer.alloc(held.size)];
        return false;
      },
    });
    await send('large', randomBytes(200_000));
    const verbs = new Set(relay.requests.map((line) => line.split(' ')[0]));
    expect(verbs).toEqual(new Set(['POST', 'PATCH', 'HEAD', 'DELETE']));
    for (const headers of relay.headers) {
      expect(headers['fuselink-on-behalf-of']).toBe('plc-7');
      expect(headers.authorization).toBe('Bearer good-key');
    }
    uploader.close();
  });
});

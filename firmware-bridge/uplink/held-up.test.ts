import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTransport } from '#sdk/node';
import { until } from '../../test/support/until.ts';
import { Uplink } from './uplink.ts';

/* More devices than there are places for, all of them held up by the server; then one that is not. */
const HELD = 40;

let folder: string;
let server: Server;
let uplink: Uplink;
/** Devices that asked, and how many requests there were at once. */
const asked = new Set<string>();
let inside = 0;
let most = 0;
let calm = false;
const sent = new Map<string, number>();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-held-'));
  server = createServer(async (request, response) => {
    inside += 1;
    most = Math.max(most, inside);
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    // Others come meanwhile, if they may.
    await new Promise((resolve) => setImmediate(resolve));
    inside -= 1;
    const device = String(request.headers['x-device']);
    asked.add(device);
    if (!calm && device.startsWith('held')) {
      response.writeHead(429, { 'retry-after': '2', 'content-type': 'application/problem+json' });
      response.end(JSON.stringify({ code: 'upload_limit_exceeded', detail: 'held up' }));
      return;
    }
    const body = Buffer.concat(pieces);
    const sha256 = createHash('sha256').update(body).digest('hex');
    response.writeHead(201, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ id: device, url: 'http://x/get/y', size: body.length, sha256 }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  uplink = await Uplink.open({
    folder,
    base: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    transport: createTransport({ proxy: null }),
    gatewayKey: () => 'ab'.repeat(32),
    settings: { countMax: 1 },
    events: {
      sent: async (device, { readings }) => void sent.set(device, (sent.get(device) ?? 0) + readings),
      dropped: () => {},
      returned: () => {},
      warn: () => {},
      retrying: () => {},
    },
  });
});
afterEach(async () => {
  await uplink.close();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

test('uplink: more devices than places are held up by the server → another one goes through meanwhile; they do after it, once', async () => {
  const publish = (device: string) =>
    uplink.accept({ device, channel: 't', payload: Buffer.from('21.5'), delivery: null });
  const devices = Array.from({ length: HELD }, (_, i) => `held${i}`);
  await Promise.all(devices.map(publish));
  await until('all of them were told to come later', () => devices.every((device) => asked.has(device)));
  await publish('free');
  await until('the one that is not held up', () => sent.get('free') === 1);
  expect([...sent.keys()]).toEqual(['free']);
  expect(most).toBeLessThanOrEqual(16);
  calm = true;
  await until('the others', () => uplink.stats().backlogReadings === 0, 20_000);
  expect([...sent.values()]).toEqual(Array(HELD + 1).fill(1));
});

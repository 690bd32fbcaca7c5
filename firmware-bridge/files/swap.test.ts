import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { addGateway } from '../../server/usecases/gateway/gateways.ts';
import { until } from '../../test/support/until.ts';
import { sendFileOverMqtt } from '../testing/mqtt-files.ts';
import { type BrokerKind, type Gateway, MqttWorld } from '../testing/mqtt-world.ts';
import { fileIdOf, makeManifest } from './make-manifest.ts';

/*
 * What of a file was sent on before its gateway was lost, disk and all, need not be sent again: the next one learns it from
 * the server, and from nowhere else.
 */

const BLOCK = 1024;
const BLOCKS = 40;

let world: MqttWorld;
let pump: { id: string; key: string };
let hall: Gateway;
let content: Buffer;
let path: string;

async function setUp(how: BrokerKind): Promise<void> {
  world = await MqttWorld.start(how, { files: { ahead_ms: 20 } });
  [pump = { id: '', key: '' }] = await world.enrol('pump');
  hall = await world.gateway('hall', [pump.id]);
  content = randomBytes(BLOCK * BLOCKS);
  path = join(world.folder, 'log.bin');
  await writeFile(path, content);
}
afterEach(() => world.stop());

/** Sends until the power goes before this part, or until it is stored. How many parts were sent. */
async function send(
  at: () => Gateway,
  powerGoesAt = Number.POSITIVE_INFINITY,
  sent: () => Promise<unknown> = async () => {},
) {
  const device = await world.boot(pump.id, at);
  let parts = 0;
  const before = (part: number) => {
    if (part >= powerGoesAt) throw new Error('the power goes');
    parts += 1;
  };
  const options = { name: 'log.bin', block: BLOCK, windowBytes: 16 * BLOCK, before };
  const state = await sendFileOverMqtt(device, path, options).catch(() => null);
  await sent();
  device.cut();
  return { parts, state };
}

const transfers = async () => world.kit.server.deps.store.list('transfers', { where: [], limit: 10 });
const offset = async () => (await transfers())[0]?.offset ?? 0;

async function destroy(gateway: Gateway, name: string): Promise<void> {
  await gateway.bridge.stop();
  await rm(join(world.folder, name, 'data'), { recursive: true, force: true });
}

/** Half of the file over the first gateway, on to the server, and then that gateway and its disk are gone. */
async function halfWay(): Promise<number> {
  const { state } = await send(
    () => hall,
    26,
    () => until('sent on', async () => (await offset()) >= 20 * BLOCK),
  );
  expect(state).toBeNull();
  await destroy(hall, 'hall');
  return offset();
}

async function expectStoredOnce(by: string): Promise<void> {
  const rows = await transfers();
  expect(rows.map(({ state, size, device_id }) => [state, size, device_id])).toEqual([
    ['ready', content.length, pump.id],
  ]);
  const lines = (await readFile(join(world.folder, by, 'data/links.jsonl'), 'utf8')).trim().split('\n');
  const { id, url } = JSON.parse(lines[0] ?? '');
  expect([lines.length, id]).toEqual([1, rows[0]?.id]);
  const read = await fetch(`${world.kit.url}${new URL(url).pathname}`);
  expect(Buffer.from(await read.arrayBuffer()).equals(content)).toBe(true);
}

describe.each(['own', 'joined'] as const)('a gateway lost with its disk, %s broker', (how) => {
  test('half way through a file → the next one asks for the rest alone; one transfer, whole', async () => {
    await setUp(how);
    const kept = await halfWay();
    const annex = await world.gateway('annex', [pump.id]);
    const { parts, state } = await send(() => annex);
    expect(state).toMatchObject({ state: 'stored' });
    // The table, and the blocks of which the server had not all.
    expect(parts).toBe(1 + BLOCKS - Math.floor(kept / BLOCK));
    await expectStoredOnce('annex');
  });
});

test('a gateway lost with its disk when all of it was on the server, and read since → the next one says so, and no block is sent', async () => {
  await setUp('own');
  expect((await send(() => hall)).state).toMatchObject({ state: 'stored' });
  await expectStoredOnce('hall');
  await until('burned', async () => (await transfers())[0]?.state === 'burned');
  await destroy(hall, 'hall');
  const annex = await world.gateway('annex', [pump.id]);
  expect(await send(() => annex)).toMatchObject({
    parts: 0,
    state: { state: 'stored', id: (await transfers())[0]?.id },
  });
  expect(await transfers()).toHaveLength(1);
});

test('the next gateway is there, and what was on the server goes → the device is asked for all of it; one transfer, whole', async () => {
  await setUp('own');
  await halfWay();
  const annex = await world.gateway('annex', [pump.id]);
  expect((await send(() => annex, 5)).state).toBeNull();
  const [row] = await transfers();
  const gone = { kind: 'delete', table: 'transfers', key: row?.id as never, expectVersion: row?.version ?? 0 } as const;
  expect((await world.kit.server.deps.store.commit([gone])).ok).toBe(true);
  const { parts, state } = await send(() => annex);
  expect(state).toMatchObject({ state: 'stored' });
  expect(parts).toBeGreaterThanOrEqual(20);
  expect(parts).toBeLessThanOrEqual(1 + BLOCKS);
  await expectStoredOnce('annex');
});

test('a gateway sent on other bytes than it was given → the whole is refused before it counts, and comes again from the device', async () => {
  await setUp('own');
  const made = await makeManifest(path, { name: 'log.bin', type: 'application/octet-stream', block: BLOCK });
  await hall.bridge.stop();
  const bad = await addGateway(world.kit.server.deps, world.operator, { name: 'bad', devices: [pump.id] });
  const uploads = uploadsUnder(bad.key, pump.id, made.line);
  const begun = await uploads.create();
  expect(begun.status).toBe(201);
  expect((await uploads.patch(begun.location, 0, Buffer.alloc(30 * BLOCK, 'x'))).status).toBe(204);
  const annex = await world.gateway('annex', [pump.id]);
  const { parts, state } = await send(() => annex);
  expect(state).toMatchObject({ state: 'stored' });
  expect(parts).toBe(1 + BLOCKS);
  await expectStoredOnce('annex');
});

test('a gateway that does not serve the device → neither key nor Location lead it to the upload', async () => {
  await setUp('own');
  const [valve = { id: '', key: '' }] = await world.enrol('valve');
  const made = await makeManifest(path, { name: 'log.bin', type: 'application/octet-stream', block: BLOCK });
  await send(
    () => hall,
    26,
    () => until('sent on', async () => (await offset()) >= 20 * BLOCK),
  );
  await hall.bridge.stop();
  const before = await transfers();
  const place = JSON.parse(
    await readFile(join(world.folder, 'hall/data/files', pump.id, fileIdOf(made.line), 'place.json'), 'utf8'),
  );
  const leaked = new URL(place.location).pathname;
  const fence = await addGateway(world.kit.server.deps, world.operator, { name: 'fence', devices: [valve.id] });
  const stranger = await world.kit.account();
  for (const [key, device, status] of [
    // Of the same account, for a device that is not on its list: that device does not exist for it.
    [fence.key, pump.id, 404],
    // For its own device: an upload of that one's own, and no way to another's.
    [fence.key, valve.id, 201],
    [stranger.apiKey, pump.id, 400],
    [valve.key, undefined, 201],
  ] as const) {
    const uploads = uploadsUnder(key, device, made.line);
    const begun = await uploads.create();
    expect(begun.status).toBe(status);
    expect(begun.location).not.toBe(leaked);
    for (const method of ['HEAD', 'PATCH', 'DELETE'] as const) {
      const answer = await uploads.at(method, leaked, await offset());
      expect([method, answer.status]).toEqual([method, status === 400 ? 400 : 404]);
    }
  }
  const own = (await transfers()).filter(({ device_id }) => device_id === pump.id);
  expect(own).toEqual(before);
});

/** What the bridge asks for a file's upload, by hand, as whoever has this key. */
function uploadsUnder(key: string, device: string | undefined, line: string) {
  const { size, sha256 } = JSON.parse(line);
  const headers = {
    Authorization: `Bearer ${key}`,
    'Tus-Resumable': '1.0.0',
    ...(device === undefined ? {} : { 'X-Device': device }),
  };
  const ask = async (method: string, at: string, more: Record<string, string>, body?: Buffer) => {
    const sent = body === undefined ? {} : { body: new Uint8Array(body) };
    const answer = await fetch(world.kit.url + at, { method, headers: { ...headers, ...more }, ...sent });
    await answer.arrayBuffer();
    const location = answer.headers.get('location');
    return { status: answer.status, location: location === null ? '' : new URL(location).pathname };
  };
  const patch = (at: string, from: number, bytes: Buffer) =>
    ask('PATCH', at, { 'Upload-Offset': `${from}`, 'Content-Type': 'application/offset+octet-stream' }, bytes);
  return {
    create: () =>
      ask('POST', '/v1/uploads', {
        'Upload-Length': `${size}`,
        'Repr-Digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
        'Idempotency-Key': `file-${pump.id}-${fileIdOf(line)}`,
      }),
    patch,
    at: (method: 'HEAD' | 'PATCH' | 'DELETE', at: string, from: number) =>
      method === 'PATCH' ? patch(at, from, Buffer.alloc(10)) : ask(method, at, {}),
  };
}

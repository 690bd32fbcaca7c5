import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../../test/support/until.ts';
import type { MqttDevice } from '../testing/mqtt-device.ts';
import { DeviceInbox, sendFileOverMqtt } from '../testing/mqtt-files.ts';
import { type BrokerKind, type Gateway, MqttWorld, seeded } from '../testing/mqtt-world.ts';
import { fileIdOf } from './make-manifest.ts';

const SEED = Number(process.env['FUSELINK_SEED'] ?? 31);

let world: MqttWorld;
let pump: { id: string; key: string };
let hall: Gateway;

async function setUp(how: BrokerKind, files: Record<string, number> = {}): Promise<void> {
  world = await MqttWorld.start(how, { files });
  [pump = { id: '', key: '' }] = await world.enrol('pump');
  hall = await world.gateway('hall', [pump.id]);
}
afterEach(() => world.stop());

async function file(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(world.folder, name);
  await writeFile(path, bytes);
  return path;
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** The links the gateways wrote down, each once. */
async function links(...gateways: string[]): Promise<{ id: string; file: string; url: string; filename: string }[]> {
  const found = new Map<string, { id: string; file: string; url: string; filename: string }>();
  for (const name of gateways) {
    const text = await readFile(join(world.folder, name, 'data/links.jsonl'), 'utf8').catch(() => '');
    for (const line of text.split('\n').filter((one) => one !== '')) {
      const link = JSON.parse(line);
      found.set(link.id, link);
    }
  }
  return [...found.values()];
}

async function read(url: string): Promise<Buffer> {
  const answer = await fetch(`${world.kit.url}${new URL(url).pathname}`);
  expect(answer.status).toBe(200);
  return Buffer.from(await answer.arrayBuffer());
}

/** A device that is cut and booted again until it has sent its file. */
async function sendWithCuts(path: string, cutsAt: readonly number[], at?: () => Gateway): Promise<number> {
  let parts = 0;
  for (const cutAt of [...cutsAt, Number.POSITIVE_INFINITY]) {
    const device = await world.boot(pump.id, at);
    const before = (part: number) => {
      if (part >= cutAt) throw new Error('the power goes');
      parts += 1;
    };
    const state = await sendFileOverMqtt(device, path, { name: 'log.bin', block: 1024, before }).catch(() => null);
    device.cut();
    if (state?.state === 'stored') return parts;
  }
  throw new Error('expected the file to be stored');
}

describe.each(['own', 'joined'] as const)('a file from a device, %s broker', (how) => {
  test.each([
    ['empty', 0, 1024],
    ['one byte', 1, 1024],
    ['a block exactly', 1024, 1024],
    ['several tables', 600_000, 256],
  ])('%s → on the server as it was, its link in the journal, not on any topic', async (_what, bytes, block) => {
    await setUp(how);
    // A thousand messages take their time; once is enough.
    const content = randomBytes(how === 'joined' ? Math.min(bytes, 5000) : bytes);
    const device = await world.boot(pump.id);
    const state = await sendFileOverMqtt(device, await file('out', content), { name: 'läufe.csv', block });
    expect(state).toMatchObject({ state: 'stored' });
    const [link, ...more] = await links('hall');
    expect(more).toEqual([]);
    expect(link).toMatchObject({ id: state.id, filename: 'läufe.csv' });
    expect(sha256(await read(link?.url ?? ''))).toBe(sha256(content));
    const token = new URL(link?.url ?? '').pathname.split('/')[2] as string;
    expect(JSON.stringify([device.heard, world.carried])).not.toContain(token);
    const seen = await world.kit.call('GET', `/v1/transfers/${state.id}`, { apiKey: world.account.apiKey });
    expect(seen.json).toMatchObject({ device_id: pump.id, filename: 'läufe.csv' });
    // The gateway keeps nothing of it but that it has been sent.
    expect(
      (await readdir(join(world.folder, 'hall/data/files', pump.id))).every((name) => name.endsWith('.done')),
    ).toBe(true);
  });

  test('the device loses power, the gateway restarts, the lines cut → what was there is not sent again, stored once', async () => {
    await setUp(how);
    const random = seeded(SEED);
    const content = randomBytes(64 * 1024);
    const path = await file('out', content);
    let calm = false;
    world.lanPlan = () => (calm || random() > 0.3 ? {} : { cutAfterUpBytes: 4000 + Math.ceil(random() * 20_000) });
    world.wanPlan = () => (calm || random() > 0.4 ? {} : { cutAfterUpBytes: Math.ceil(random() * 30_000) });
    let parts = 0;
    for (const cutAt of [20, 13, 25]) {
      const device = await world.boot(pump.id);
      const before = (part: number) => {
        if (part >= cutAt) throw new Error('the power goes');
        parts += 1;
      };
      await sendFileOverMqtt(device, path, { name: 'log.bin', block: 1024, windowBytes: 8192, before }).catch(() => {});
      device.cut();
      await hall.restart();
    }
    calm = true;
    parts += await sendWithCuts(path, []);
    const found = await links('hall');
    expect(found).toHaveLength(1);
    expect(sha256(await read(found[0]?.url ?? ''))).toBe(sha256(content));
    // A table and 64 blocks; a part whose acknowledgement was cut off may come once more.
    expect(parts).toBeGreaterThanOrEqual(65);
    expect(parts).toBeLessThan(65 + 40);
  });

  test('another gateway takes over half way, and again when all was sent → one transfer, whole', async () => {
    await setUp(how);
    const annex = how === 'joined' ? null : await world.gateway('annex', [pump.id]);
    const content = randomBytes(40_000);
    const path = await file('out', content);
    const device = await world.boot(pump.id);
    await sendFileOverMqtt(device, path, {
      name: 'log.bin',
      block: 1024,
      before: (part) => {
        if (part === 20) throw new Error('the power goes');
      },
    }).catch(() => {});
    device.cut();
    if (how === 'joined') {
      // The first gateway is gone; the broker stays.
      await hall.bridge.stop();
      await world.gateway('annex', [pump.id]);
    }
    const at = () => annex ?? hall;
    await sendWithCuts(path, [], at);
    if (annex !== null) await sendWithCuts(path, [], () => hall);
    const found = await links('hall', 'annex');
    expect(found).toHaveLength(1);
    expect(sha256(await read(found[0]?.url ?? ''))).toBe(sha256(content));
    const listed = await world.kit.call('GET', '/v1/transfers', { apiKey: world.account.apiKey });
    expect(listed.json.transfers).toHaveLength(1);
  });
});

test('bytes that are not what their hash says, a block of no such file, a wrong id, a bad manifest → nothing is taken', async () => {
  await setUp('own');
  const device = await world.boot(pump.id);
  const line = JSON.stringify({
    v: 1,
    name: 'a',
    type: 'b/c',
    size: 300,
    sha256: sha256(Buffer.alloc(300, 2)),
    block: 300,
    tables: [sha256(createHash('sha256').update(Buffer.alloc(300, 1)).digest())],
  });
  const id = fileIdOf(line);
  const told = async (what: string, payload: string | Buffer, of = id) => {
    await device.publish(`up/file/${of}/${what}`, payload);
    return device.fileState(of, 2000);
  };
  expect(await told(sha256(Buffer.from('x')), 'x')).toEqual({ state: 'unknown' });
  expect(await told('manifest', line, '0'.repeat(32))).toMatchObject({
    state: 'refused',
    reason: expect.stringContaining('id'),
  });
  const bad = JSON.stringify({ v: 1, name: 'a' });
  expect(await told('manifest', bad, fileIdOf(bad))).toMatchObject({
    state: 'refused',
    reason: expect.stringContaining('type'),
  });
  expect(await told('manifest', line)).toMatchObject({ state: 'receiving', tables: [0], missing: 1 });
  const block = Buffer.alloc(300, 1);
  const table = createHash('sha256').update(block).digest();
  await device.publish(`up/file/${id}/${sha256(table)}`, Buffer.alloc(32));
  await device.publish(`up/file/${id}/${sha256(block)}`, block);
  expect(await told('ask', '')).toMatchObject({ state: 'receiving', tables: [0], missing: 1 });
  await device.publish(`up/file/${id}/${sha256(table)}`, table);
  expect(await told('ask', '')).toMatchObject({ state: 'receiving', tables: [], missing: 1, from: 0, bits: 'gA==' });
  // Each block is what the table says, and the whole is not what the manifest says.
  expect(await told(sha256(block), block)).toMatchObject({
    state: 'refused',
    reason: expect.stringContaining('digest'),
  });
  expect(await told('ask', '')).toEqual({ state: 'unknown' });
  expect(await links('hall')).toEqual([]);
});

test('quota: bytes and files of one device → refused with what was expected; another device is not concerned', async () => {
  await setUp('own', { bytes_per_device_max: 5000, files_per_device_max: 2 });
  const [valve = { id: '', key: '' }] = await world.enrol('valve');
  await hall.bridge.stop();
  const other = await world.gateway('annex', [pump.id, valve.id]);
  const device = await world.boot(pump.id, () => other);
  const announce = async (size: number, n: string, by = device) => {
    const path = await file(`q-${n}`, Buffer.alloc(size, n));
    const stop = () => {
      throw new Error('announced is enough');
    };
    return sendFileOverMqtt(by, path, { name: n, block: 1024, n, before: stop }).catch(() => 'receiving');
  };
  expect(await announce(5001, 'a')).toMatchObject({ state: 'refused', reason: 'quota: expected at most 5000 bytes' });
  expect(await announce(3000, 'b')).toBe('receiving');
  expect(await announce(3000, 'c')).toMatchObject({ state: 'refused', reason: 'quota: expected at most 5000 bytes' });
  expect(await announce(1000, 'd')).toBe('receiving');
  expect(await announce(10, 'e')).toMatchObject({ state: 'refused', reason: 'quota: expected at most 2 files' });
  expect(await announce(3000, 'f', await world.boot(valve.id, () => other))).toBe('receiving');
});

describe.each(['own', 'joined'] as const)('a file for a device, %s broker', (how) => {
  async function deliver(content: Uint8Array): Promise<string> {
    const sent = await world.kit.call('POST', '/v1/upload', {
      apiKey: world.account.apiKey,
      body: content,
      headers: { 'x-filename': 'recipe.bin' },
    });
    const link = sent.json.url as string;
    const made = await world.kit.call('POST', `/v1/devices/${pump.id}/deliveries`, {
      apiKey: world.account.apiKey,
      json: { link },
    });
    expect(made.status).toBe(201);
    return sent.json.id as string;
  }

  const stateOf = async (id: string) =>
    (await world.kit.call('GET', `/v1/transfers/${id}`, { apiKey: world.account.apiKey })).json.state as string;

  async function listening(
    at?: () => Gateway,
    accepts: DeviceInbox['accepts'] = () => null,
  ): Promise<{ device: MqttDevice; inbox: DeviceInbox }> {
    const device = await world.boot(pump.id, at);
    const inbox = new DeviceInbox(device, join(world.folder, 'inbox'));
    inbox.accepts = accepts;
    await device.listen();
    return { device, inbox };
  }

  test('handed over by its link → the device has it, and only then it is burned', async () => {
    await setUp(how);
    const content = randomBytes(100_000);
    const id = await deliver(content);
    const { device, inbox } = await listening();
    await until('the device has it', () => inbox.whole.length === 1);
    expect(inbox.whole[0]?.manifest).toMatchObject({ name: 'recipe.bin', size: 100_000 });
    expect(sha256(await readFile(inbox.whole[0]?.path ?? ''))).toBe(sha256(content));
    await until('burned', async () => (await stateOf(id)) === 'burned');
    expect(inbox.strays).toBe(0);
    const kept = await readdir(join(world.folder, 'hall/data/outbox')).catch(() => []);
    await until(
      'forgotten',
      async () => (await readdir(join(world.folder, 'hall/data/outbox'))).length === 0 || kept.length === 0,
    );
    expect(JSON.stringify([device.heard, world.carried])).not.toContain('/get/');
  });

  test('the device loses power again and again, the gateway restarts → it goes on where it was, delivered once', async () => {
    await setUp(how);
    const content = randomBytes(200_000);
    const id = await deliver(content);
    let parts = 0;
    for (const cutAt of [3, 5, 2]) {
      const { device, inbox } = await listening();
      const gone = new Promise<void>((resolve) => {
        inbox.before = (part) => {
          if (part >= cutAt) {
            device.cut();
            resolve();
            throw new Error('the power goes');
          }
          parts += 1;
        };
      });
      await gone;
      await inbox.idle;
      expect(await stateOf(id)).toBe('claimed');
      await hall.restart();
    }
    const { inbox } = await listening();
    inbox.before = () => {
      parts += 1;
    };
    await until('the device has it', () => inbox.whole.length === 1);
    expect(sha256(await readFile(inbox.whole[0]?.path ?? ''))).toBe(sha256(content));
    await until('burned', async () => (await stateOf(id)) === 'burned');
    // A table and 13 blocks, each taken once.
    expect(parts).toBe(14);
  });

  test('another gateway takes over half way → it claims the file when the lease has run out, and the device goes on', async () => {
    await setUp(how);
    const content = randomBytes(150_000);
    const id = await deliver(content);
    const first = await listening();
    await new Promise<void>((resolve) => {
      first.inbox.before = (part) => {
        if (part < 4) return;
        first.device.cut();
        resolve();
        throw new Error('the power goes');
      };
    });
    await first.inbox.idle;
    await hall.bridge.stop();
    world.kit.advance(120_000);
    const annex = await world.gateway('annex', [pump.id]);
    const { inbox } = await listening(() => annex);
    let parts = 0;
    inbox.before = () => {
      parts += 1;
    };
    await until('the device has it', () => inbox.whole.length === 1, 20_000);
    expect(sha256(await readFile(inbox.whole[0]?.path ?? ''))).toBe(sha256(content));
    await until('burned', async () => (await stateOf(id)) === 'burned');
    expect(parts).toBe(11 - 4);
  });

  test('the device refuses → offered no more, the file stays what it is', async () => {
    await setUp(how);
    const id = await deliver(randomBytes(10));
    let offers = 0;
    const { device } = await listening(undefined, () => {
      offers += 1;
      return 'no room';
    });
    await until('counted', async () => (await world.metrics(hall)).includes('files_refused_total 1'));
    const before = offers;
    await hall.restart();
    await until('asked for work again', async () => (await world.metrics(hall)).includes('devices'));
    expect(offers).toBe(before);
    expect(await stateOf(id)).toBe('claimed');
    await device.look();
  });
});

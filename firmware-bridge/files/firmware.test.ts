import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createCampaign, lookAtCampaign, orderCampaign } from '../../server/usecases/campaign/manage.ts';
import { addFirmware, removeFirmware } from '../../server/usecases/firmware/firmware-images.ts';
import { distrustFirmwareKey, trustFirmwareKey } from '../../server/usecases/firmware/firmware-keys.ts';
import { sweepOnce } from '../../server/usecases/sweep.ts';
import { until } from '../../test/support/until.ts';
import { Pump, pair } from '../testing/firmware-pump.ts';
import { type Gateway, MqttWorld } from '../testing/mqtt-world.ts';
import { makeManifest } from './make-manifest.ts';

const RULES = { canary: 1, growth: 2, soakMs: 60_000, sampleMin: 1, errorsPercentMax: 40 };

let world: MqttWorld;
let devices: { id: string; key: string }[];
let hall: Gateway;
let vendor: ReturnType<typeof pair>;
let image: Buffer;

beforeEach(() => {
  vendor = pair();
  image = randomBytes(70_000);
});
afterEach(() => world.stop());

async function setUp(more: MqttWorld['more'] = {}, how: 'own' | 'joined' = 'own'): Promise<void> {
  world = await MqttWorld.start(how, more);
  devices = await world.enrol('a', 'b', 'c');
  hall = await world.gateway(
    'hall',
    devices.map(({ id }) => id),
  );
  await trustFirmwareKey(world.kit.server.deps, world.operator, { publicKey: vendor.publicKey, name: 'vendor' });
}

async function manifestLine(bytes: Buffer, release = '1.2.0', block = 4096): Promise<string> {
  const path = join(world.folder, 'image.bin');
  await writeFile(path, bytes);
  return (await makeManifest(path, { name: 'pump.bin', type: 'application/octet-stream', block, firmware: release }))
    .line;
}

async function* inPieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000);
}

async function add(release = '1.2.0', bytes = image) {
  const line = await manifestLine(bytes, release);
  const what = { line, signature: vendor.signed(line), bytes: inPieces(bytes) };
  return addFirmware(world.kit.server.deps, world.operator, what);
}

async function pumps(trusted = vendor.publicKey): Promise<Pump[]> {
  const made: Pump[] = [];
  for (const { id } of devices) {
    const pump = new Pump(await world.boot(id), join(world.folder, `inbox-${id}`), trusted);
    await pump.device.listen();
    made.push(pump);
  }
  return made;
}

async function rollOut(firmware: string, rules: object = RULES) {
  const { deps } = world.kit.server;
  const { id } = await createCampaign(deps, world.operator, { name: 'pumps', selection: {}, rules, firmware });
  await orderCampaign(deps, world.operator, id, { verb: 'start' });
  return id;
}

async function tick(ms = 60_000): Promise<void> {
  world.kit.advance(ms);
  await sweepOnce(world.kit.server.deps, { atStart: false });
}

const look = (id: string) => lookAtCampaign(world.kit.server.deps, world.operator, id);

async function firmwareOf(id: string) {
  return (await world.kit.call('GET', `/v1/devices/${id}/firmware`, { apiKey: world.account.apiKey })).json;
}

describe('at the server', () => {
  test('an image over HTTP: signed by a trusted key → taken, listed; not signed, altered, longer, again → refused, nothing left', async () => {
    await setUp();
    const { token } = await world.account.signIn();
    const line = await manifestLine(image);
    const post = (body: Uint8Array, said = line, signature = vendor.signed(line), auth = `Bearer ${token}`) =>
      world.kit.call('POST', '/v1/firmware', {
        auth,
        body,
        headers: {
          'content-type': 'application/octet-stream',
          'x-firmware-manifest': Buffer.from(said).toString('base64url'),
          'x-firmware-signature': signature,
        },
      });
    const code = async (answer: Promise<{ status: number; json: { code: string } }>) => (await answer).json.code;
    expect(await code(post(image, line, vendor.signed(line), world.account.apiKey))).toBe('management_required');
    expect(await code(post(image, line, pair().signed(line)))).toBe('invalid_field');
    expect(await code(post(image, line.replace('1.2.0', '9.9.9')))).toBe('invalid_field');
    expect(await code(post(image, '{}'))).toBe('invalid_field');
    const altered = Buffer.from(image);
    altered[5000] = (altered[5000] as number) ^ 1;
    expect(await code(post(altered))).toBe('digest_mismatch');
    expect(await code(post(image.subarray(1)))).toBe('digest_mismatch');
    expect(await code(post(Buffer.concat([image, Buffer.alloc(1)])))).toBe('payload_too_large');
    expect((await world.kit.call('GET', '/v1/firmware', { apiKey: world.account.apiKey })).json.images).toEqual([]);
    const { store } = world.kit.server.deps;
    expect((await store.count('firmware_blocks', { where: [] })).rows).toBe(0);
    expect(await post(image)).toMatchObject({
      status: 201,
      json: { release: '1.2.0', size: 70_000, signer: vendor.publicKey },
    });
    expect(await code(post(image))).toBe('conflict');
    const blocks = await store.list('firmware_blocks', { where: [], orderBy: [['id', 'asc']], limit: 100 });
    // 18 blocks, and none of them readable where it lies.
    expect(blocks).toHaveLength(18);
    expect(blocks.some(({ bytes }) => Buffer.from(bytes).includes(image.subarray(0, 16)))).toBe(false);
  });
});

describe.each(['own', 'joined'] as const)('a roll-out over MQTT, %s broker', (how) => {
  test('canary, soak, waves → each device staged, then running; audited; the image goes only over the wire it was signed for', async () => {
    await setUp({}, how);
    const fleet = await pumps();
    const added = await add();
    const campaign = await rollOut('1.2.0');
    await tick();
    await until('the canary runs it', () => fleet.filter(({ running }) => running === '1.2.0').length === 1);
    await until('and is heard', async () => {
      await tick(1_000);
      return (await look(campaign)).progress.done === 1;
    });
    expect(fleet.filter(({ inbox }) => inbox.whole.length > 0)).toHaveLength(1);
    await until(
      'all run it',
      async () => {
        // A second at a time: a busy machine's devices would count as silent in minutes that pass in no time.
        await tick(1_000);
        return (await look(campaign)).state === 'COMPLETED';
      },
      40_000,
    );
    for (const [i, pump] of fleet.entries()) {
      expect(pump.inbox.strays).toBe(0);
      expect(await readFile(pump.inbox.whole[0]?.path ?? '')).toEqual(image);
      expect(await firmwareOf(devices[i]?.id ?? '')).toMatchObject({
        release: '1.2.0',
        state: 'running',
        image_id: added.id,
      });
    }
    const actions = (await world.audit()).filter(({ action }) => action.startsWith('firmware.'));
    expect(actions.filter(({ action }) => action === 'firmware.running')).toHaveLength(3);
    const word = how === 'own' ? 'attested' : 'carried';
    expect(actions.find(({ action }) => action === 'firmware.staged')?.actor).toContain(`${word} by gateway:`);
    await until(
      'the gateway lets go of it',
      async () => (await readdir(join(world.folder, 'hall/data/images'))).length === 0,
    );
    await removeFirmware(world.kit.server.deps, world.operator, added.id);
  });
});

test('devices that fail → errors over the threshold pause the roll-out, and nobody else is sent the image', async () => {
  await setUp();
  const fleet = await pumps();
  for (const pump of fleet) pump.boots = 'failed';
  await add();
  const campaign = await rollOut('1.2.0');
  await until('it pauses itself', async () => {
    await tick();
    return (await look(campaign)).state === 'PAUSED';
  });
  expect((await look(campaign)).progress).toMatchObject({ errors: 1, waiting: 2 });
  const failed = fleet.findIndex(({ inbox }) => inbox.whole.length > 0);
  expect(await firmwareOf(devices[failed]?.id ?? '')).toMatchObject({ state: 'failed', reason: 'watchdog' });
  expect(fleet.filter(({ inbox }) => inbox.whole.length > 0)).toHaveLength(1);
});

test('a device that says staged and then nothing → an error once it has been silent for as long as the rules allow, not before', async () => {
  await setUp();
  const fleet = await pumps();
  for (const pump of fleet) pump.boots = 'silent';
  await add();
  const campaign = await rollOut('1.2.0', { ...RULES, silenceMs: 3_600_000 });
  await tick();
  await until('the canary is staged', async () => {
    const states = await Promise.all(devices.map(({ id }) => firmwareOf(id)));
    return states.some(({ state }) => state === 'staged');
  });
  await tick(1_800_000);
  expect(await look(campaign)).toMatchObject({ state: 'CANARY', progress: { contacted: 1, errors: 0 } });
  await tick(1_800_000);
  await tick();
  expect(await look(campaign)).toMatchObject({ state: 'PAUSED', progress: { errors: 1, waiting: 2 } });
  const members = await world.kit.server.deps.store.list('campaign_members', { where: [], limit: 10 });
  expect(members.map(({ reason }) => reason)).toContain('silent after it was staged');
});

test('a roll-out rolled back → who has the image is brought the one before; who was not asked keeps it; who never had one keeps what there is', async () => {
  await setUp();
  const fleet = await pumps();
  await add('1.0.0');
  const [first, second] = devices;
  const { deps } = world.kit.server;
  const all = { ...RULES, canary: 3 };
  const selection = { devices: [first?.id ?? '', second?.id ?? ''] };
  const earlier = await createCampaign(deps, world.operator, { name: '1', selection, rules: all, firmware: '1.0.0' });
  await orderCampaign(deps, world.operator, earlier.id, { verb: 'start' });
  const completed = async () => {
    await tick();
    return (await look(earlier.id)).state === 'COMPLETED';
  };
  await until('two run the first', completed);

  image = randomBytes(50_000);
  await add('1.1.0');
  const [pump, waiting, fresh] = fleet as [Pump, Pump, Pump];
  const targets = { devices: [first?.id ?? '', devices[2]?.id ?? ''] };
  const next = await createCampaign(deps, world.operator, {
    name: '2',
    selection: targets,
    rules: all,
    firmware: '1.1.0',
  });
  await orderCampaign(deps, world.operator, next.id, { verb: 'start' });
  await tick();
  await until('two run the second', () => pump.running === '1.1.0' && fresh.running === '1.1.0');
  await until('and are heard', async () => (await firmwareOf(devices[2]?.id ?? '')).state === 'running');

  // A device does not keep images it has left behind.
  pump.inbox.whole.length = 0;
  await orderCampaign(deps, world.operator, next.id, { verb: 'roll-back' });
  await until('rolled back', async () => {
    await tick(1000);
    return (await look(next.id)).state === 'ROLLED_BACK';
  });
  // Not before the device has booted what it had, and said so.
  expect(pump.running).toBe('1.0.0');
  expect(await firmwareOf(first?.id ?? '')).toMatchObject({ release: '1.0.0', state: 'running' });
  expect([waiting.running, waiting.inbox.whole.length, fresh.running]).toEqual(['1.0.0', 1, '1.1.0']);
  const members = await deps.store.list('campaign_members', { where: [['campaign_id', '=', next.id]], limit: 10 });
  expect(members.map(({ outcome, reason }) => [outcome, reason]).sort()).toEqual([
    ['done', null],
    ['skipped', 'rolled back'],
  ]);
});

test('a device that is away when its image is rolled back → waited for until it counts as silent; it gets the one before when it comes', async () => {
  await setUp();
  const [{ id } = { id: '' }] = devices;
  const { deps } = world.kit.server;
  const boot = async () => {
    const pump = new Pump(await world.boot(id), join(world.folder, 'inbox-away'), vendor.publicKey);
    await pump.device.listen();
    return pump;
  };
  const away = await boot();
  const campaigns: string[] = [];
  for (const release of ['1.0.0', '1.1.0']) {
    image = randomBytes(20_000);
    await add(release);
    const rules = { ...RULES, canary: 3, silenceMs: 3_600_000 };
    const what = { name: release, selection: { devices: [id] }, rules, firmware: release };
    const made = await createCampaign(deps, world.operator, what);
    await orderCampaign(deps, world.operator, made.id, { verb: 'start' });
    campaigns.push(made.id);
    await tick(1);
    await until(
      `it runs ${release}`,
      async () => away.running === release && (await firmwareOf(id)).state === 'running',
    );
    if (release === '1.1.0') break;
    await until('over', async () => {
      await tick();
      return (await look(made.id)).state === 'COMPLETED';
    });
  }
  away.device.cut();
  const campaign = campaigns[1] ?? '';
  await orderCampaign(deps, world.operator, campaign, { verb: 'roll-back' });
  await tick();
  await tick(3_500_000);
  expect(await look(campaign)).toMatchObject({ state: 'ROLLING_BACK', progress: { open: 1 } });
  await tick(100_000);
  await tick();
  expect((await look(campaign)).state).toBe('ROLLED_BACK');
  const members = await deps.store.list('campaign_members', { where: [['campaign_id', '=', campaign]], limit: 10 });
  expect(members.map(({ outcome, reason }) => [outcome, reason])).toEqual([
    ['skipped', 'rolled back, and silent since'],
  ]);
  const back = await boot();
  await until('it runs what it had', () => back.running === '1.0.0');
  await until('and says so', async () => (await firmwareOf(id)).state === 'running');
});

test('a paused roll-out → what was asked for and not delivered yet waits; resumed → it comes', async () => {
  await setUp();
  await add();
  const { deps } = world.kit.server;
  const campaign = await rollOut('1.2.0');
  await tick();
  await orderCampaign(deps, world.operator, campaign, { verb: 'pause' });
  await hall.restart();
  const fleet = await pumps();
  await until('the gateway asked', async () => (await world.metrics(hall)).includes('fuselink_bridge_devices'));
  expect(fleet.every(({ inbox }) => inbox.whole.length === 0)).toBe(true);
  await orderCampaign(deps, world.operator, campaign, { verb: 'resume' });
  await until('it comes', () => fleet.some(({ running }) => running === '1.2.0'));
});

test('a device that trusts another key → refuses before a block of it is sent', async () => {
  await setUp();
  const fleet = await pumps(pair().publicKey);
  await add();
  await rollOut('1.2.0');
  await tick();
  await until('refused', () => fleet.some(({ refusals }) => refusals > 0));
  await until('counted', async () => (await world.metrics(hall)).includes('files_refused_total 1'));
  expect(await world.metrics(hall)).toContain('file_parts_sent_total 0');
  for (const { id } of devices) expect(await readdir(join(world.folder, `inbox-${id}`)).catch(() => [])).toEqual([]);
});

test('a gateway that trusts another key → nothing is fetched or offered', async () => {
  await setUp({ firmware_keys: [pair().publicKey] });
  const fleet = await pumps();
  await add();
  await rollOut('1.2.0');
  await tick();
  await until(
    'it looked',
    async () => (await readdir(join(world.folder, 'hall/data/images')).catch(() => [])).length > 0,
  );
  expect(
    await readdir(
      join(world.folder, 'hall/data/images', (await readdir(join(world.folder, 'hall/data/images')))[0] as string),
    ),
  ).toEqual([]);
  expect(fleet.every(({ inbox }) => inbox.strays === 0 && inbox.whole.length === 0)).toBe(true);
});

test('a key that is not trusted any more → images it signed are not given out; a gateway asks for others in vain', async () => {
  await setUp();
  const added = await add();
  await rollOut('1.2.0');
  await tick();
  await distrustFirmwareKey(world.kit.server.deps, world.operator, vendor.publicKey);
  const apiKey = (await readFile(join(world.folder, 'hall/gateway.key'), 'utf8')).trim();
  const ask = (path: string, key = apiKey) => world.kit.call('GET', path, { apiKey: key });
  for (const path of [
    `/v1/gateway/firmware?image=${added.id}`,
    `/v1/gateway/firmware/content?image=${added.id}`,
    '/v1/gateway/firmware?image=fw_none',
  ]) {
    expect((await ask(path)).status).toBe(404);
    expect((await ask(path, world.account.apiKey)).status).toBe(403);
  }
});

test('power cuts of device and gateway in the middle of an image → it goes on, and boots what was signed', async () => {
  await setUp();
  await add();
  await rollOut('1.2.0', { ...RULES, canary: 3 });
  await tick();
  const [first] = devices;
  const boot = async () => {
    const pump = new Pump(await world.boot(first?.id ?? ''), join(world.folder, 'inbox-first'), vendor.publicKey);
    return pump;
  };
  let parts = 0;
  for (const cutAt of [5, 4]) {
    const pump = await boot();
    const gone = new Promise<void>((resolve) => {
      pump.inbox.before = (part) => {
        if (part >= cutAt) {
          pump.device.cut();
          resolve();
          throw new Error('the power goes');
        }
        parts += 1;
      };
    });
    await pump.device.listen();
    await gone;
    await pump.inbox.idle;
    await hall.restart();
  }
  const pump = await boot();
  pump.inbox.before = () => {
    parts += 1;
  };
  await pump.device.listen();
  await until('it runs', () => pump.running === '1.2.0');
  expect(await readFile(pump.inbox.whole[0]?.path ?? '')).toEqual(image);
  // A table and 18 blocks, each taken once.
  expect(parts).toBe(19);
});

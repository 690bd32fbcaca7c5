import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CutFlash, cutFlash, decodeSlot, SLOT_BYTES, steadyPower } from '#sdk/core';
import type { DeviceId } from '../../server/domain/ids.ts';
import { orderRotation } from '../../server/usecases/rotation/operate.ts';
import { startTestServer, type TestKey, type TestServer } from '../support/test-server.ts';
import { espruinoBundle } from './bundle.ts';
import { type Fate, Realm } from './realm.ts';

const PAGE_BYTES = 128;
let bundle: string;
let server: TestServer;
/** The server's clock goes with the device's. */
let aheadMs = 0;

beforeAll(async () => {
  bundle = await espruinoBundle();
  server = await startTestServer({ FUSELINK_METADATA: 'memory:', FUSELINK_BLOBS: 'memory:' });
  const { clock } = server.deps;
  server.deps.clock = {
    nowMs: () => clock.nowMs() + Math.floor(aheadMs),
    monotonicMs: () => clock.monotonicMs() + aheadMs,
  };
});
afterAll(() => server.close());

class Device {
  readonly flash: CutFlash = cutFlash(steadyPower(), 2, PAGE_BYTES);
  readonly key: TestKey;
  readonly fate: ((request: { method: string; path: string }) => Fate) | undefined;
  readonly port: number;
  realm!: Realm;

  constructor(
    key: TestKey,
    options: { fate?: (request: { method: string; path: string }) => Fate; port?: number } = {},
  ) {
    this.key = key;
    this.fate = options.fate;
    this.port = options.port ?? server.port;
  }

  boot(): this {
    this.realm = new Realm({ bundle, flash: this.flash, ...(this.fate === undefined ? {} : { fate: this.fate }) });
    this.realm.connect({ host: '127.0.0.1', port: this.port, device: this.key.deviceId, key: this.key.key });
    return this;
  }

  /** Lets time pass for device and server alike. */
  async until(done: () => boolean | Promise<boolean>, msMax?: number): Promise<boolean> {
    const begun = this.realm.nowMs;
    const before = aheadMs;
    const reached = await this.realm.until(() => {
      aheadMs = before + this.realm.nowMs - begun;
      return done();
    }, msMax);
    aheadMs = before + this.realm.nowMs - begun;
    return reached;
  }

  async send(
    data: unknown,
    said: Record<string, string> = {},
  ): Promise<{ error: string | null; told: Record<string, string> } | null> {
    let ended: { error: string | null; told: Record<string, string> } | null = null;
    this.realm.client?.send(data, said, (error, told) => {
      ended = { error, told };
    });
    await this.until(() => ended !== null);
    return ended;
  }

  get slots() {
    return [0, 1].map((slot) => decodeSlot(this.flash.read(slot * PAGE_BYTES, SLOT_BYTES)));
  }
}

const newDevice = async (options?: ConstructorParameters<typeof Device>[1]) =>
  new Device(await server.device(), options).boot();
const row = (id: unknown) => server.deps.store.get('transfers', { id: id as never });
const rotation = async (device: Device) =>
  (await server.deps.store.get('rotations', { device_id: device.key.deviceId as DeviceId }))?.rotation;
const rotate = (device: Device) =>
  orderRotation(server.deps, server.operator, device.key.deviceId as DeviceId, {
    verb: 'rotate',
    plan: { source: 'self', soakMs: 0 },
  });

describe('the module in a realm with what Espruino has', () => {
  test('a text, bytes and a source of 1,234 bytes → on the server as they were, and the link nowhere', async () => {
    const device = await newDevice();
    const text = await device.send('21.5', { 'x-filename': 'a.txt', 'x-ttl': '3600' });
    expect(text?.error).toBeNull();
    expect(await row(text?.told['fuselink-id'])).toMatchObject({
      state: 'ready',
      size: 4,
      device_id: device.key.deviceId,
    });
    const bytes = await device.send(Uint8Array.from([0, 255, 10, 13, 200]));
    expect(await row(bytes?.told['fuselink-id'])).toMatchObject({ state: 'ready', size: 5 });
    const reads: [number, number][] = [];
    const source = {
      size: 1234,
      read: (offset: number, length: number) => {
        reads.push([offset, length]);
        return 'x'.repeat(length);
      },
    };
    const stream = await device.send(source);
    expect(await row(stream?.told['fuselink-id'])).toMatchObject({ state: 'ready', size: 1234 });
    expect(reads).toEqual([
      [0, 500],
      [500, 500],
      [1000, 234],
    ]);
    expect(JSON.stringify(stream)).not.toContain('/get/');
    expect(device.realm.faults).toEqual([]);
  });

  test('twenty at once → eight are taken, each arrives once, and the budget is kept', async () => {
    const device = await newDevice();
    const ended: string[] = [];
    let taken = 0;
    for (let i = 0; i < 20; i++) {
      const kept = device.realm.client?.send(`n${i}`, {}, (_error, told) => ended.push(told['fuselink-id'] ?? ''));
      if (kept) taken++;
    }
    expect(taken).toBe(8);
    await device.until(() => ended.length === taken);
    expect(new Set(ended).size).toBe(8);
    // Seven at once, the next when the first place has come back.
    expect(device.realm.nowMs).toBeGreaterThanOrEqual(10_000);
  });

  test('requests lost, answers lost, connections refused, more than half in all → all arrive, each once', async () => {
    const fates: Fate[] = [
      'lost',
      'answer-lost',
      'arrives',
      'answer-lost',
      'arrives',
      'refused',
      'arrives',
      'arrives',
      'lost',
    ];
    let seed = 7;
    const device = await newDevice({
      fate: () => {
        seed = (seed * 16807) % 2147483647;
        return fates[seed % fates.length] ?? 'arrives';
      },
    });
    const before = await server.deps.store.count('transfers', { where: [] });
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) {
      const ended = await device.send(
        i === 3 ? { size: 900, read: (_o: number, l: number) => 'y'.repeat(l) } : `reading ${i}`,
      );
      expect(ended?.error).toBeNull();
      ids.push(ended?.told['fuselink-id'] ?? '');
    }
    expect(new Set(ids).size).toBe(6);
    const { rows } = await server.deps.store.count('transfers', { where: [] });
    expect(rows - before.rows).toBe(6);
    expect(device.realm.faults).toEqual([]);
  });

  test('a key the server does not know, and one it revoked → the data is kept and the slots as they are', async () => {
    const unknown = new Device({ ...(await server.device()), key: '00'.repeat(32) }).boot();
    expect(await unknown.send('kept')).toBeNull();
    expect(unknown.slots.map((slot) => slot?.generation)).toEqual([1, 1]);
    expect(unknown.realm.client?.rotation()).toBe('SETTLED');

    const device = await newDevice();
    expect((await device.send('first'))?.error).toBeNull();
    await server.revoke(device.key.id);
    expect(await device.send('kept')).toBeNull();
    expect(device.realm.client?.rotation()).toBe('LIMBO');
    expect(device.slots.map((slot) => slot?.generation)).toEqual([1, 1]);
  });

  test('what can never be accepted → told at once, and the next one goes', async () => {
    const device = await newDevice();
    expect((await device.send('x', { 'x-ttl': 'tomorrow' }))?.error).toBe('invalid_field');
    expect((await device.send('y'))?.error).toBeNull();
  });

  test.each([
    ['throws', 'source.read = () => { throw new Error("the card is out"); };'],
    ['is shorter than it said', 'source.read = (offset) => (offset < 500 ? "x".repeat(500) : "");'],
    ['gives nothing', 'source.read = () => undefined;'],
  ])('a source that %s → given up and told, without asking on and on, and the next one goes', async (_what, own) => {
    const device = await newDevice();
    await device.send('first');
    const before = device.realm.requests;
    const source: { size: number; read: unknown } = { size: 1234, read: null };
    new Function('source', own)(source);
    expect((await device.send(source))?.error).toBe('source_failed');
    expect(device.realm.requests - before).toBeLessThan(4);
    expect((await device.send('next'))?.error).toBeNull();
    expect(device.realm.faults).toEqual([]);
  });

  test('what the program does when it is told throws → it is the program’s own, and the next one goes', async () => {
    const device = await newDevice();
    device.realm.client?.send('first', {}, () => {
      throw new Error('the program');
    });
    expect((await device.send('next'))?.error).toBeNull();
    expect(device.realm.faults.map((fault) => (fault as Error).message)).toEqual(['the program']);
  });

  test('over the limit → waits and arrives', async () => {
    const { settings } = server.deps;
    const before = settings.uploadsPerWindow;
    settings.uploadsPerWindow = 2;
    try {
      const device = await newDevice();
      for (let i = 0; i < 3; i++) expect((await device.send(`n${i}`))?.error).toBeNull();
      expect(device.realm.nowMs).toBeGreaterThan(40_000);
    } finally {
      settings.uploadsPerWindow = before;
    }
  });
});

/** Drives a device through two whole rotations, rebooting it whenever its power is cut. A lost offer costs a generation. */
async function twoRotations(device: Device): Promise<void> {
  let settledBefore = 0;
  for (let i = 0; i < 2; i++) {
    await rotate(device);
    const settled = async () => {
      const now = await rotation(device);
      const [first, second] = device.slots;
      const mirrored = first?.generation === second?.generation && first?.fingerprint === now?.active;
      return now?.state === 'IDLE' && (now.settledGeneration ?? 0) > settledBefore && mirrored;
    };
    for (let boots = 0; !(await device.until(settled)); boots++) {
      expect(boots, 'a device that was cut once comes back').toBeLessThan(3);
      await rebooted(device);
    }
    settledBefore = (await rotation(device))?.settledGeneration ?? 0;
  }
}

async function rebooted(device: Device): Promise<void> {
  expect(device.realm.dark).toBe(true);
  device.flash.reboot(cutVariant);
  const active = (await rotation(device))?.active;
  const held = device.slots.map((slot) => slot?.fingerprint);
  const living = await server.deps.store.list('api_keys', {
    where: [['device_id', '=', device.key.deviceId as DeviceId]],
    limit: 20,
  });
  const accepted = living.filter(({ state }) => state !== 'revoked').map(({ fingerprint }) => fingerprint);
  // Before anything was ever written there is the key it is given.
  if (held.some((one) => one !== undefined))
    expect(
      held.some((one) => one !== undefined && accepted.includes(one)),
      `slots ${held}, active ${active}`,
    ).toBe(true);
  device.boot();
}
let cutVariant = 0;

describe('two whole rotations', () => {
  const WRITES = 6 * 16;

  test('nothing cut: asked for, staged, proven, settled, twice; the old keys are revoked', async () => {
    const device = await newDevice();
    await twoRotations(device);
    expect(device.slots.map((slot) => slot?.generation)).toEqual([3, 3]);
    expect(device.flash.power.operations).toBe(WRITES);
    expect((await device.send('after'))?.error).toBeNull();
    expect(device.realm.faults).toEqual([]);
  });

  test.each(Array.from({ length: WRITES }, (_, i) => i))(
    'power cut at operation %i → comes back with a key that works, and ends them',
    async (cut) => {
      cutVariant = cut % 3;
      const device = new Device(await server.device());
      device.flash.power.left = cut;
      device.boot();
      if (device.realm.dark) await rebooted(device);
      await twoRotations(device);
      expect((await device.send('after'))?.error).toBeNull();
      expect(device.realm.faults).toEqual([]);
    },
  );

  test('canary: a module that writes over the slot it depends on → found', async () => {
    const harmful = bundle.replace(/\.(\w+)\(1-(\w)/, '.$1(0+$2');
    expect(harmful).not.toBe(bundle);
    const good = bundle;
    bundle = harmful;
    try {
      const device = new Device(await server.device());
      device.flash.power.left = 32 + 8;
      device.boot();
      await expect(twoRotations(device)).rejects.toThrow();
    } finally {
      bundle = good;
    }
  });
});

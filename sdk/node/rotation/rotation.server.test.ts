import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type CredentialSlots,
  fingerprintToSend,
  parseApiKey,
  type RotationState,
  slotsOver,
  viewOfSlots,
} from '#sdk/core';
import type { DeviceId } from '../../../server/domain/ids.ts';
import { StorageUnavailableError } from '../../../server/ports/faults.ts';
import { type Kit, startKit, type TestAccount } from '../../../server/testing/server-kit.ts';
import { operatorOf } from '../../../server/usecases/account/create-account.ts';
import type { Caller } from '../../../server/usecases/caller.ts';
import { enrolDevice } from '../../../server/usecases/device/enrol-device.ts';
import { lookAtRotation, type OperatorOrder, orderRotation } from '../../../server/usecases/rotation/operate.ts';
import { tellStory } from '../../../server/usecases/rotation/story.ts';
import { sweepOnce } from '../../../server/usecases/sweep.ts';
import { createClient } from '../client.ts';
import { openCredentialSlots, sha256 } from '../credentials/index.ts';
import type { HttpAnswer, Transport } from '../http/transport.ts';
import { createTransport } from '../http/transport.ts';
import { ROTATING, Rotator, rotatingTransport, saveIdentity } from './index.ts';

let kit: Kit;
let account: TestAccount;
let operator: Caller;
let devices = 0;

beforeAll(async () => {
  // Faults are what these tests are about: what the server says of them is no news.
  kit = await startKit({ FUSELINK_UPLOADS_PER_MINUTE: '100000' });
  account = await kit.account();
  operator = operatorOf(account.accountId, account.row);
});
afterAll(() => kit.stop());

async function enrol() {
  const name = `driven ${++devices}`;
  const made = await enrolDevice(kit.server.deps, operator, { name });
  const { deps } = kit.server;
  const id = made.device.id as DeviceId;
  return {
    id,
    key: made.key,
    recoverySecret: made.recoverySecret,
    order: (order: OperatorOrder) => orderRotation(deps, operator, id, order),
    look: () => lookAtRotation(deps, operator, id),
    alarms: async () => (await tellStory(deps, operator, id)).events.filter(({ action }) => action.includes('alarm')),
  };
}
type Enrolled = Awaited<ReturnType<typeof enrol>>;

async function storeFor(device: Enrolled): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-store-'));
  const key = parseApiKey(device.key);
  if (key === null) throw new Error('expected a key in a known form');
  openCredentialSlots(folder).provision(key, 1);
  await saveIdentity(folder, { deviceId: device.id, recoverySecret: device.recoverySecret });
  return folder;
}

/** A generator of chances that repeats for a seed. */
function chances(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

class PowerCut extends Error {}

/** Two slots in memory; with `cuts`, a write may lose the power before, inside or after it. */
function slotsInMemory(cut: () => 'whole' | 'before' | 'torn' | 'after'): { slots: CredentialSlots; heal(): void } {
  const blobs: (Uint8Array | null)[] = [null, null];
  let healed = false;
  const over = slotsOver(
    {
      read: (slot) => blobs[slot] ?? null,
      write(slot, blob) {
        const how = healed ? 'whole' : cut();
        if (how === 'before') throw new PowerCut();
        blobs[slot] = how === 'torn' ? blob.subarray(0, 30) : blob.slice();
        if (how !== 'whole') throw new PowerCut();
      },
    },
    sha256,
  );
  return {
    slots: { ...over, look: () => viewOfSlots(over.pair()) },
    heal() {
      healed = true;
    },
  };
}

/** A device whose power, network, clock and server are all bad, until they are not. */
class HarshWorld {
  readonly device: Enrolled;
  readonly chance: () => number;
  readonly slots: CredentialSlots;
  rotator!: Rotator;
  transport!: Transport;
  boot = 0;
  faulty = false;
  /** Requests the network holds back: they arrive later, or never. */
  readonly held: (() => Promise<unknown>)[] = [];
  readonly #inner = createTransport({ env: {} });
  readonly #heal: () => void;
  #timer: (() => void) | null = null;
  #cut = false;

  constructor(device: Enrolled, chance: () => number) {
    this.device = device;
    this.chance = chance;
    const { slots, heal } = slotsInMemory(() => {
      const roll = this.faulty ? chance() : 1;
      if (roll >= 0.25) return 'whole';
      this.#cut = true;
      return roll < 0.1 ? 'before' : roll < 0.18 ? 'torn' : 'after';
    });
    this.slots = slots;
    this.#heal = heal;
    const key = parseApiKey(device.key);
    if (key === null) throw new Error('expected a key in a known form');
    slots.provision(key, 1);
    this.start();
  }

  start(): void {
    this.rotator?.close();
    this.boot += 1;
    this.#cut = false;
    this.#timer = null;
    const boot = this.boot;
    const bootTag = boot.toString(16).padStart(8, '0');
    let sequence = 0;
    const network: Transport = {
      exchange: (request) => this.#exchange(request),
      open: (request) => this.#inner.open(request),
      close: () => {},
    };
    this.rotator = new Rotator({
      slots: this.slots,
      transport: network,
      base: new URL(kit.url),
      identity: { deviceId: this.device.id, recoverySecret: this.device.recoverySecret },
      boots: { next: (phase) => ({ boot, sequence: ++sequence, bootTag, phase }) },
      drives: true,
      authentic: true,
      changed: () => {},
      warn: () => {},
      random: this.chance,
      after: (_ms, action) => {
        this.#timer = action;
        return () => {};
      },
    });
    this.transport = rotatingTransport(network, this.rotator);
  }

  async #exchange(request: Parameters<Transport['exchange']>[0]): Promise<HttpAnswer> {
    const { signal: _closed, ...plain } = request;
    const roll = this.faulty ? this.chance() : 1;
    if (roll < 0.12) throw new Error('the request was lost');
    if (roll < 0.24) {
      this.held.push(() => this.#inner.exchange(plain));
      throw new Error('the request is held back');
    }
    const answer = await this.#inner.exchange(plain);
    if (roll < 0.36) throw new Error('the answer was lost');
    return roll < 0.44 ? this.#inner.exchange(plain) : answer;
  }

  /** What is due is done; a power cut in it restarts the device. */
  async due(): Promise<void> {
    const timer = this.#timer;
    this.#timer = null;
    timer?.();
    await this.rotator.idle();
    if (this.#cut) this.start();
  }

  async upload(): Promise<number> {
    const body = Buffer.from('reading');
    const headers = { Authorization: ROTATING, 'X-Filename': 'r', 'Content-Length': String(body.byteLength) };
    let status = 0;
    try {
      const request = { method: 'POST', url: new URL('/v1/upload', kit.url), headers, body };
      ({ status } = await this.transport.exchange(request));
    } catch {
      // Kept, and sent later: that is the spool's business.
    }
    await this.rotator.idle();
    if (this.#cut) this.start();
    return status;
  }

  heal(): void {
    this.faulty = false;
    this.#heal();
    this.held.length = 0;
    this.start();
  }

  close(): void {
    this.rotator.close();
    this.#inner.close();
  }
}

/** Every commit may fail: not done, or done and the answer to it lost, as when a server crashes between two transactions. */
function crashingStore(chance: () => number): () => void {
  const { deps } = kit.server;
  const { store } = deps;
  const real = store.commit.bind(store);
  store.commit = async (writes) => {
    const roll = chance();
    if (roll < 0.04) throw new StorageUnavailableError('crashed before the commit');
    const outcome = await real(writes);
    if (roll < 0.08) throw new StorageUnavailableError('crashed after the commit');
    return outcome;
  };
  return () => {
    store.commit = real;
  };
}

async function converge(world: HarshWorld): Promise<RotationState> {
  for (let rounds = 0; rounds < 200; rounds++) {
    kit.advance(3_600_000);
    await sweepOnce(kit.server.deps, { atStart: false });
    await world.due();
    const stored = await world.upload();
    const { state } = await world.device.look();
    const { phase, base, mirrored } = world.rotator.state;
    if (state === 'IDLE' && phase === 'SETTLED' && mirrored && base !== null && stored === 201)
      return world.rotator.state;
  }
  const server = JSON.stringify(await world.device.look());
  throw new Error(`did not settle: device ${JSON.stringify(world.rotator.state)}, server ${server}`);
}

describe('rotation of a real device at a real server', () => {
  test.each(Array.from({ length: 12 }, (_, i) => i + 1))(
    'seed %i: loss, repeats, late requests, power cuts, server crashes, aborts → a key that works, no false alarm',
    async (seed) => {
      const warn = kit.server.deps.warn;
      kit.server.deps.warn = () => {};
      const chance = chances(seed);
      const device = await enrol();
      const world = new HarshWorld(device, chance);
      const restore = crashingStore(() => (world.faulty ? chance() : 1));
      try {
        world.faulty = true;
        for (let step = 0; step < 70; step++) {
          const roll = chance();
          if (roll < 0.3) await world.upload();
          else if (roll < 0.55) await world.due();
          else if (roll < 0.65) world.start();
          else if (roll < 0.75)
            await world.held
              .splice(Math.floor(chance() * world.held.length), 1)[0]?.()
              .catch(() => {});
          else if (roll < 0.85) kit.advance(Math.floor(chance() * 700_000));
          else {
            const verb =
              (['rotate', 'rotate', 'rotate', 'abort', 'roll-back'] as const)[Math.floor(chance() * 5)] ?? 'abort';
            const order: OperatorOrder = verb === 'rotate' ? { verb, plan: { pendingTtlMs: 3_600_000 } } : { verb };
            await device.order(order).catch(() => {});
          }
          // I1: at no moment is there a device without a slot whose key the server knows.
          expect(world.slots.pair().some((slot) => slot !== null)).toBe(true);
        }
        world.heal();
        const state = await converge(world);
        expect((await device.look()).active).toBe(fingerprintToSend(state));
        expect(await device.alarms()).toEqual([]);
      } finally {
        restore();
        kit.server.deps.warn = warn;
        world.close();
      }
    },
    20_000,
  );

  test('offer: the server draws the key → staged, proven and settled as one of its own', async () => {
    const device = await enrol();
    const world = new HarshWorld(device, chances(99));
    await device.order({ verb: 'rotate', plan: { source: 'offer' } });
    const state = await converge(world);
    expect(state.base?.generation).toBe(2);
    expect((await device.look()).active).toBe(fingerprintToSend(state));
    world.close();
  });

  test('quarantine: the device proves itself with its recovery secret → a new key, without an operator', async () => {
    const device = await enrol();
    const world = new HarshWorld(device, chances(7));
    await device.order({ verb: 'quarantine', reason: 'test' });
    const state = await converge(world);
    expect(state.base?.fingerprint).toBe((await device.look()).active);
    expect(await device.alarms()).toEqual([]);
    world.close();
  });

  test('database restored to before the proof: the key it does not know → healed by recovery, and counted', async () => {
    const device = await enrol();
    const world = new HarshWorld(device, chances(8));
    const { store } = kit.server.deps;
    const before = await store.get('rotations', { device_id: device.id });
    const [keyBefore] = await store.list('api_keys', { where: [['device_id', '=', device.id]], limit: 1 });
    await device.order({ verb: 'rotate', plan: {} });
    await converge(world);
    if (before === null || keyBefore === undefined) throw new Error('expected the device to be on record');
    const now = await store.get('rotations', { device_id: device.id });
    const keys = await store.list('api_keys', { where: [['device_id', '=', device.id]], limit: 10 });
    await store.commit([
      ...keys.map((key) => ({ kind: 'delete', table: 'api_keys', key: key.id }) as const),
      { kind: 'insert', table: 'api_keys', row: keyBefore },
      { kind: 'put', table: 'rotations', row: { ...before, version: (now?.version ?? 0) + 1 } },
    ]);
    const state = await converge(world);
    expect((await device.look()).active).toBe(fingerprintToSend(state));
    const story = await tellStory(kit.server.deps, operator, device.id);
    expect(story.events.map(({ action }) => action)).toContain('rotation.recovered');
    world.close();
  });

  test('ten weeks offline through three rotations → the newest wish alone is taken', async () => {
    const device = await enrol();
    const world = new HarshWorld(device, chances(3));
    for (let i = 0; i < 3; i++) {
      await device.order({ verb: 'rotate', plan: { deadlineMs: 86_400_000 } });
      kit.advance(23 * 86_400_000);
      await sweepOnce(kit.server.deps, { atStart: false });
      if (i < 2) await device.order({ verb: 'abort' });
    }
    expect((await device.look()).state).toBe('OVERDUE');
    const state = await converge(world);
    expect(state.base?.generation).toBe(4);
    world.close();
  });
});

describe('client with a store', () => {
  test('client: uploads, wanted, uploads → the key in the store is another one, and the old one is refused', async () => {
    const device = await enrol();
    const store = await storeFor(device);
    await device.order({ verb: 'rotate', plan: { soakMs: 0 } });
    const client = createClient({ url: kit.url, store, stateFolder: null });
    try {
      const phases: string[] = [];
      const settled = new Promise<void>((resolve) => {
        client.on('rotation', ({ phase }) => {
          phases.push(phase);
          if (phase === 'SETTLED' && phases.includes('PROVEN')) resolve();
        });
      });
      await client.send(Buffer.from('one'), { filename: 'a' });
      await settled;
      expect(phases).toEqual(expect.arrayContaining(['STAGED', 'PROVING', 'PROVEN', 'SETTLED']));
      await client.send(Buffer.from('two'), { filename: 'b' });
      const { active, state } = await device.look();
      expect(state).toBe('IDLE');
      expect(openCredentialSlots(store).look()).toMatchObject({
        state: 'settled',
        mirrored: true,
        base: { fingerprint: active },
      });
      expect((await kit.call('GET', '/v1/device', { apiKey: device.key })).json.code).toBe('key_revoked');
    } finally {
      await client.close();
      await rm(store, { recursive: true, force: true });
    }
  });

  test('client: a second one on the same store → follows, and never writes a slot', async () => {
    const device = await enrol();
    const store = await storeFor(device);
    const first = createClient({ url: kit.url, store, stateFolder: null });
    await first.send(Buffer.from('x'), { filename: 'x' });
    const second = createClient({ url: kit.url, store, stateFolder: null });
    try {
      await device.order({ verb: 'rotate', plan: {} });
      await second.send(Buffer.from('y'), { filename: 'y' });
      expect(openCredentialSlots(store).look().state).toBe('settled');
      expect((await device.look()).state).toBe('WANTED');
      expect(await device.alarms()).toEqual([]);
    } finally {
      await second.close();
      await first.close();
      await rm(store, { recursive: true, force: true });
    }
  });

  test('process: killed again and again while its key rotates → every restart goes on, and the key works', async () => {
    const device = await enrol();
    const store = await storeFor(device);
    const chance = chances(11);
    const child = new URL('./rotation-child.ts', import.meta.url).pathname;
    try {
      await device.order({ verb: 'rotate', plan: { soakMs: 0 } });
      for (let round = 0; round < 6; round++) {
        const running = spawn(process.execPath, ['--import', 'tsx', child, kit.url, store], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        const lines = 1 + Math.floor(chance() * 3);
        await new Promise<void>((resolve) => {
          let seen = 0;
          running.stdout.on('data', (data: Buffer) => {
            seen += data.toString().split('\n').length - 1;
            if (seen >= lines) running.kill('SIGKILL');
          });
          running.once('exit', () => resolve());
        });
        if ((await device.look()).state === 'IDLE') await device.order({ verb: 'rotate', plan: { soakMs: 0 } });
        expect(
          openCredentialSlots(store)
            .pair()
            .some((slot) => slot !== null),
        ).toBe(true);
      }
      const client = createClient({ url: kit.url, store, stateFolder: null });
      await client.send(Buffer.from('last'), { filename: 'last', giveUpAfterMs: 10_000 });
      await client.close();
      expect(await device.alarms()).toEqual([]);
    } finally {
      await rm(store, { recursive: true, force: true });
    }
  }, 60_000);
});

import type { CredentialSlots } from '#sdk/core';
import { apiKey, fingerprintToSend, KEY_FORM_HEX, parseApiKey, slotsOver, viewOfSlots } from '#sdk/core';
import { sha256 } from '../../sdk/node/credentials/index.ts';
import type { Transport } from '../../sdk/node/http/transport.ts';
import { ROTATING, Rotator, rotatingTransport } from '../../sdk/node/rotation/index.ts';
import type { DeviceId } from '../../server/domain/ids.ts';
import { enrolDevice } from '../../server/usecases/device/enrol-device.ts';
import { lookAtRotation } from '../../server/usecases/rotation/operate.ts';
import { tellStory } from '../../server/usecases/rotation/story.ts';
import { directTransport } from './direct-transport.ts';
import type { VirtualServer } from './node.ts';

/** What can go wrong around a device; each is asked at its moment. */
export interface Harm {
  /** Of a slot write: nothing, or the power goes before, inside or behind it. */
  write(): 'whole' | 'before' | 'torn' | 'after';
  /** Of a request. `late`: it arrives when somebody lets it, and the device hears nothing of it. */
  request(): 'fine' | 'lost' | 'answer-lost' | 'twice' | 'late';
}

const HARMLESS: Harm = { write: () => 'whole', request: () => 'fine' };

class PowerCut extends Error {}

/** A real agent over two slots in memory, in virtual time: timers fire when they are told to. */
export class VirtualDevice {
  readonly id: DeviceId;
  readonly name: string;
  readonly slots: CredentialSlots;
  readonly late: (() => Promise<unknown>)[] = [];
  /** Bytes of the keys it was given: none may turn up in the store. */
  readonly secrets: Uint8Array[] = [];
  harm: Harm = HARMLESS;
  rotator!: Rotator;
  readonly #server: VirtualServer;
  readonly #recoverySecret: string;
  readonly #chance: () => number;
  #transport!: Transport;
  #boot = 0;
  #timer: (() => void) | null = null;
  #cut = false;

  private constructor(
    server: VirtualServer,
    made: { id: DeviceId; name: string; key: string; recoverySecret: string },
    chance: () => number,
  ) {
    this.#server = server;
    this.id = made.id;
    this.name = made.name;
    this.#recoverySecret = made.recoverySecret;
    this.#chance = chance;
    this.slots = this.#slotsInMemory();
    const key = parseApiKey(made.key);
    if (key === null) throw new Error('expected a key in a known form');
    this.slots.provision(key, 1);
    this.start();
  }

  static async enrol(
    server: VirtualServer,
    name: string,
    chance: () => number = () => 0.5,
    about: { profile?: string } = {},
  ): Promise<VirtualDevice> {
    const made = await enrolDevice(server.deps(), server.operator, { name, ...about });
    const { key, recoverySecret } = made;
    return new VirtualDevice(server, { id: made.device.id as DeviceId, name, key, recoverySecret }, chance);
  }

  #slotsInMemory(): CredentialSlots {
    const blobs: (Uint8Array | null)[] = [null, null];
    const over = slotsOver(
      {
        read: (slot) => blobs[slot] ?? null,
        write: (slot, blob) => {
          const how = this.harm.write();
          this.#cut ||= how !== 'whole';
          if (how === 'before') throw new PowerCut();
          blobs[slot] = how === 'torn' ? blob.subarray(0, 30) : blob.slice();
          if (how !== 'whole') throw new PowerCut();
        },
      },
      sha256,
    );
    return { ...over, look: () => viewOfSlots(over.pair()) };
  }

  /** Power on: whatever it was doing is forgotten, but for the slots. */
  start(): void {
    this.rotator?.close();
    this.#boot += 1;
    this.#cut = false;
    this.#timer = null;
    const boot = this.#boot;
    const bootTag = boot.toString(16).padStart(8, '0');
    let sequence = 0;
    const direct = directTransport(this.#server);
    const network: Transport = { ...direct, exchange: (request) => this.#exchange(direct, request) };
    this.rotator = new Rotator({
      slots: this.slots,
      transport: network,
      base: new URL('http://127.0.0.1'),
      identity: { deviceId: this.id, recoverySecret: this.#recoverySecret },
      boots: { next: (phase) => ({ boot, sequence: ++sequence, bootTag, phase }) },
      drives: true,
      authentic: true,
      changed: () => {},
      warn: () => {},
      random: this.#chance,
      after: (_ms, action) => {
        this.#timer = action;
        return () => {};
      },
    });
    this.#transport = rotatingTransport(network, this.rotator);
  }

  async #exchange(direct: Transport, request: Parameters<Transport['exchange']>[0]) {
    const { signal: _closed, ...plain } = request;
    const how = this.harm.request();
    if (how === 'lost') throw new Error('the request was lost');
    if (how === 'late') {
      this.late.push(() => direct.exchange(plain));
      throw new Error('the request is held back');
    }
    const answer = await direct.exchange(plain);
    if (how === 'answer-lost') throw new Error('the answer was lost');
    return how === 'twice' ? direct.exchange(plain) : answer;
  }

  /** What its timer asks for is done; a power cut in it starts it again. */
  async due(): Promise<void> {
    const timer = this.#timer;
    this.#timer = null;
    timer?.();
    await this.#rest();
  }

  /** One reading goes out; true where it was stored. */
  async upload(): Promise<boolean> {
    const body = Buffer.from('reading');
    const headers = { Authorization: ROTATING, 'Content-Length': String(body.byteLength) };
    const request = { method: 'POST', url: new URL('http://127.0.0.1/v1/upload'), headers, body };
    const status = await this.#transport.exchange(request).then(
      (answer) => answer.status,
      () => 0,
    );
    await this.#rest();
    return status === 201;
  }

  async #rest(): Promise<void> {
    await this.rotator.idle();
    if (this.#cut) this.start();
  }

  /** An operator carries a key to it by hand, into the slot that does not hold the present one. */
  async carry(key: string, generation: number): Promise<void> {
    const carried = parseApiKey(key);
    const base = fingerprintToSend(this.rotator.state);
    if (carried === null || base === null) throw new Error('expected a key to carry, and one to stand beside');
    this.slots.stage(apiKey(KEY_FORM_HEX, carried.bytes()), generation, base);
    this.start();
    await this.#rest();
  }

  /** It is where a rotation ends: one key in both slots, and the server has no other. */
  async isSettled(): Promise<boolean> {
    const { phase, mirrored, base } = this.rotator.state;
    const { state, active } = await this.look();
    return state === 'IDLE' && phase === 'SETTLED' && mirrored && base?.fingerprint === active;
  }

  look() {
    return lookAtRotation(this.#server.deps(), this.#server.operator, this.id);
  }

  story() {
    return tellStory(this.#server.deps(), this.#server.operator, this.id);
  }

  heal(): void {
    this.harm = HARMLESS;
    this.late.length = 0;
    this.start();
  }
}

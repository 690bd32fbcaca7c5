import {
  apiKey,
  cutStorage,
  fromHex,
  isPowerCut,
  KEY_FORM_HEX,
  type SlotStore,
  type SlotWriter,
  type SpoolOptions,
  type SpoolStorage,
  slotsOver,
  toHex,
} from '#sdk/core';
import type { DevicePosition } from '#sdk/protocol';
import type { RelayAnswer, RelayRequest } from '#server';
import { KEYS_FILE, Medium, type MediumKind } from './medium.ts';
import { DeviceQueue } from './queue.ts';
import { type Identity, sha256 } from './requests.ts';
import { DeviceRotation } from './rotation.ts';
import { DeviceSender } from './sender.ts';
import type { CallOff, Surroundings, Watcher } from './surroundings.ts';

export interface DeviceTraits {
  number: number;
  name: string;
  /** Null: nobody kept its recovery secret. */
  identity: Identity | null;
  medium: MediumKind;
  readingEveryMs: number;
  batchCount: number;
  batchAgeMs: number;
  ttlSeconds: number;
  receiptTtlSeconds: number;
}

/** A bug to be planted in a device, for the simulator to find. Absent: the device as it is. */
export interface DevicePlant {
  /** How it understands an answer. */
  reads?(answer: RelayAnswer | null, request: RelayRequest): RelayAnswer | null;
  slots?(writer: SlotWriter): SlotWriter;
  slotStore?(medium: Medium): SlotStore;
  delay?(delayMs: number, wallMs: number): number;
  /** Refused requests are logged whole. */
  logsHeaders?: boolean;
}

const BOOTS_FILE = 'boots';
const BATCH_AGE_SPOOL = { bytesMax: 65_536, segmentBytesMax: 4_096, bytesPerDayMax: 1e9 };

/** What runs between a boot and the next time the power goes. */
interface Life {
  rotation: DeviceRotation;
  sender: DeviceSender;
  queue: DeviceQueue;
  boot: number;
  bootTag: string;
  sequence: number;
  bootedAtMs: number;
  alive: boolean;
}

/** A whole device: the real core on emulated media, driven by timers and answers, killed by every cut. */
export class Device {
  readonly traits: DeviceTraits;
  readonly medium: Medium;
  readonly #around: Surroundings;
  readonly #watcher: Watcher;
  readonly #plant: DevicePlant;
  #life: Life | null = null;
  #readings = 0;
  /** How far its wall clock is off. */
  clockOffsetMs = 0;
  /** Switched off, or at the bottom of the sea: it neither boots nor records. */
  away = false;
  /** The power goes so many operations into the next write of a slot; −1: it does not. */
  cutInSlotWrite = -1;
  /** It takes readings: off once a run is to come to rest and nobody waits for a request of it. */
  recording = true;

  constructor(
    traits: DeviceTraits,
    outside: { around: Surroundings; watcher: Watcher; plant?: DevicePlant },
    medium = new Medium(traits.medium),
  ) {
    this.traits = traits;
    this.medium = medium;
    this.#around = outside.around;
    this.#watcher = outside.watcher;
    this.#plant = outside.plant ?? {};
  }

  /** The raw blobs of both slots as the medium has them: for whoever watches. */
  slotBlobs(): (Uint8Array | null)[] {
    const store = this.#slotStore();
    return [store.read(0), store.read(1)];
  }

  get phase(): string {
    return this.#life?.rotation.state.phase ?? 'OFF';
  }

  get isOn(): boolean {
    return this.#life !== null;
  }

  get backlog(): number {
    return this.#life?.queue.backlog ?? 0;
  }

  get readingsTaken(): number {
    return this.#readings;
  }

  /** Somebody with the device in hand puts a key on it. False where the power went meanwhile, or the medium is full. */
  provision(keyHex: string, generation: number, identity?: Identity): boolean {
    if (identity !== undefined && this.traits.identity !== null) this.traits.identity = identity;
    return this.#guard(() => {
      const bytes = fromHex(keyHex);
      if (bytes === null) throw new RangeError('expected 64 hex characters');
      try {
        slotsOver(this.#slotStore(), sha256).provision(apiKey(KEY_FORM_HEX, bytes), generation);
      } catch (error) {
        if (isPowerCut(error)) throw error;
      }
      this.#watcher.slotsChanged(this.traits.number);
      this.#life?.rotation.provisioned();
    });
  }

  /** An operator brings the key of a manual rotation. */
  carry(keyHex: string, generation: number): void {
    this.#guard(() => {
      const bytes = fromHex(keyHex);
      const base = this.#life?.rotation.state.base?.fingerprint;
      if (bytes === null || base === undefined) return;
      this.#life?.rotation.carried(apiKey(KEY_FORM_HEX, bytes), generation, base);
    });
  }

  /** What a retained message holds, as the device's subscription hands it over: a hint to ask, whatever it says. */
  retained(text: string): void {
    if (text.endsWith('"wanted":true}')) this.#guard(() => this.#life?.rotation.look());
  }

  boot(): void {
    if (this.#life !== null || this.away) return;
    this.#guard(() => {
      const boot = this.#countBoot();
      const life: Life = { boot, sequence: 0, alive: true, bootTag: toHex(this.#around.bytes(8)) } as Life;
      life.bootedAtMs = this.#around.nowMs();
      this.#life = life;
      const nowMs = () => this.#around.nowMs() - life.bootedAtMs;
      const position = (phase: string): DevicePosition | null => {
        const { bootTag } = life;
        return boot === 0 ? null : { boot, bootTag, phase, sequence: ++life.sequence };
      };
      const after = (delayMs: number, run: () => void) => this.#after(life, delayMs, run);
      const send = (request: RelayRequest, answered: (answer: RelayAnswer | null) => void) => {
        this.#send(life, request, answered);
      };
      const { number, identity } = this.traits;
      const common = { surroundings: this.#around, position, after, send };
      life.rotation = new DeviceRotation({
        ...common,
        slots: this.#slotWriter(),
        identity,
        slotsChanged: () => this.#watcher.slotsChanged(number),
        stepped: (phase, event, next) => this.#watcher.stepped(number, phase, event, next),
        changed: () => life.sender?.credentialsChanged(),
      });
      life.rotation.boot();
      const { ttlSeconds, receiptTtlSeconds } = this.traits;
      life.sender = new DeviceSender({ ...common, rotation: life.rotation, nowMs, ttlSeconds, receiptTtlSeconds });
      this.#openQueue(life, { nowMs, after });
      this.#after(life, this.#around.random() * this.traits.readingEveryMs, () => this.#measure(life));
    });
  }

  /** Everything but the media is gone. */
  powerOff(): void {
    if (this.#life !== null) this.#life.alive = false;
    this.#life = null;
  }

  /** The connection is back after an outage. */
  reconnected(): void {
    this.#guard(() => this.#life?.sender.outageEnded());
  }

  /** Goes on sending what waits. */
  kick(): void {
    this.#guard(() => this.#life?.queue.start());
  }

  #slotStore(): SlotStore {
    return this.#plant.slotStore?.(this.medium) ?? this.medium.slotStore();
  }

  #slotWriter(): SlotWriter {
    const store = this.#slotStore();
    const armed: SlotStore = {
      read: (slot) => store.read(slot),
      write: (slot, blob) => {
        if (this.cutInSlotWrite >= 0) this.medium.power.left = this.cutInSlotWrite;
        this.cutInSlotWrite = -1;
        store.write(slot, blob);
      },
    };
    const writer = slotsOver(armed, sha256);
    return this.#plant.slots?.(writer) ?? writer;
  }

  #openQueue(life: Life, time: { nowMs(): number; after(delayMs: number, run: () => void): CallOff }): void {
    const { number, name, batchCount, batchAgeMs } = this.traits;
    const options: SpoolOptions = {
      ...BATCH_AGE_SPOOL,
      lanes: [
        {
          lane: 1,
          whenFull: 'drop-oldest',
          sync: 'interval',
          syncIntervalMs: 1000,
          bytesMax: BATCH_AGE_SPOOL.bytesMax,
        },
      ],
      spoolId: toHex(this.#around.bytes(8)),
    };
    life.queue = new DeviceQueue({
      ...time,
      storage: this.#spoolStorage(),
      device: name,
      options,
      batchCount,
      batchAgeMs,
      bytes: (count) => this.#around.bytes(count),
      recorded: (ticket, kept, durable) => this.#watcher.recorded(number, ticket, kept, durable),
      dropped: (reason, readings) => this.#watcher.dropped(number, reason, readings),
      submit: (file, again, done) => {
        this.#watcher.leased(number, file.bytes);
        life.sender.submit(file, again, done);
      },
    });
    if (life.queue.snapshotLost) this.#watcher.logged(number, 'the snapshot of the spool was lost');
    life.queue.start();
  }

  /** The spool's folder: what else is on the medium is none of its files. */
  #spoolStorage(): SpoolStorage {
    const storage = cutStorage(this.medium.files);
    const others = [BOOTS_FILE, KEYS_FILE];
    return {
      ...storage,
      list: (found) => {
        storage.list((name, bytes) => {
          if (!others.some((other) => name.startsWith(other))) found(name, bytes);
        });
      },
    };
  }

  #measure(life: Life): void {
    this.#after(life, this.traits.readingEveryMs, () => this.#measure(life));
    if (!this.recording) return;
    const reading = ++this.#readings;
    this.#watcher.lookedAtClock(this.traits.number);
    const wallMs = Math.max(0, this.#around.nowMs() + this.clockOffsetMs);
    const bytes = textBytes(`{"n":${reading}}`);
    life.queue.record(reading, bytes, { wallMs, trust: 'estimated' });
  }

  /** Boots are counted durably before anything is said under the count: the same boot twice means two devices. */
  #countBoot(): number {
    try {
      return this.#writeBoot();
    } catch (error) {
      // A medium that takes nothing: requests then say nothing of where the device is, and the rotation goes on.
      if (isPowerCut(error)) throw error;
      return 0;
    }
  }

  #writeBoot(): number {
    const { files } = this.medium;
    const kept = files.read(BOOTS_FILE);
    const boot = (kept === null ? 0 : Number(String.fromCharCode(...kept)) || 0) + 1;
    const fresh = `${BOOTS_FILE}.new`;
    files.remove(fresh);
    files.append(fresh, textBytes(String(boot)));
    files.sync(fresh);
    files.rename(fresh, BOOTS_FILE);
    files.syncFolder();
    return boot;
  }

  #after(life: Life, delayMs: number, run: () => void): CallOff {
    const planted = this.#plant.delay?.(delayMs, this.#around.nowMs() + this.clockOffsetMs) ?? delayMs;
    return this.#around.after(planted, () => {
      if (life.alive) this.#guard(run);
    });
  }

  #send(life: Life, request: RelayRequest, answered: (answer: RelayAnswer | null) => void): void {
    const { number } = this.traits;
    this.#watcher.sent(number, request);
    this.#around.send(number, request, (answer) => {
      if (!life.alive) return;
      this.#watcher.heard(number, request, answer);
      if (this.#plant.logsHeaders && answer !== null && answer.status >= 400) {
        this.#watcher.logged(number, `refused: ${JSON.stringify(request.headers)}`);
      }
      this.#guard(() => answered(this.#plant.reads?.(answer, request) ?? answer));
    });
  }

  /** Runs a step of the device; a power cut in it is its end. */
  #guard(step: () => void): boolean {
    try {
      step();
      return true;
    } catch (error) {
      if (!isPowerCut(error)) throw error;
      this.powerOff();
      this.onCut?.();
      return false;
    }
  }

  /** Told when the power went in the middle of a write. */
  onCut: (() => void) | null = null;
}

function textBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

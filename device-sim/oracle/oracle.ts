import type { Invariants } from './invariants.ts';
import { Reader, type ReadRequest, readRevoked, readTold, type SeenAnswer, type SeenRequest } from './messages.ts';
import { Orders } from './orders.ts';
import { ReadingsLedger } from './readings.ts';
import { ReadsLedger } from './reads.ts';
import { whyDropped, whyRevoked } from './reasons.ts';
import { readSlotBytes, type SeenSlot } from './slot-bytes.ts';
import { type DeviceWatch, type Excuse, holdsKey, keySeen, newWatch } from './watch.ts';

/**
 * Watches a run from outside. It sees requests, answers and the raw bytes of slots, and nothing else of device or server;
 * it shares no code with the server. What it keeps is what those messages say.
 */
export class Oracle {
  readonly reader = new Reader();
  readonly readings: ReadingsLedger;
  readonly reads: ReadsLedger;
  readonly #invariants: Invariants;
  readonly #watches: DeviceWatch[] = [];
  #order = 1;
  readonly orders = new Orders(() => this.now());

  constructor(invariants: Invariants) {
    this.#invariants = invariants;
    this.readings = new ReadingsLedger(invariants);
    this.reads = new ReadsLedger(invariants, () => this.now());
  }

  watch(device: number): DeviceWatch {
    const known = this.#watches[device];
    if (known !== undefined) return known;
    const fresh = newWatch();
    this.#watches[device] = fresh;
    return fresh;
  }

  /** A moment's place in the order of things. */
  now(): number {
    return this.#order++;
  }

  /** The device's first key, or one that was put on it by hand: valid from now on. */
  provisioned(device: number, key: string, generation: number): void {
    const watch = this.watch(device);
    const seen = keySeen(watch, this.reader.learn(key));
    seen.registeredAt = this.now();
    seen.firstCommitAt = seen.registeredAt;
    seen.generation = generation;
    watch.inHand = true;
  }

  /** An operator has made a key by hand: pending from now on. */
  issued(device: number, key: string, generation: number): void {
    const seen = keySeen(this.watch(device), this.reader.learn(key));
    seen.registeredAt = this.now();
    seen.generation = generation;
  }

  excuse(device: number, why: Excuse): void {
    this.watch(device).excuses.add(why);
  }

  /** A copy of a device: it begins where the original stands. */
  cloned(original: number, copy: number): void {
    const from = this.watch(original);
    const watch = this.watch(copy);
    watch.slots = [...from.slots];
    watch.highestGeneration = from.highestGeneration;
    for (const device of [original, copy]) this.excuse(device, 'cloned');
    for (const device of [original, copy]) this.readings.excuse(device);
  }

  /** The database is another one now: what was after the backup has not been. */
  restored(): void {
    this.reads.restored();
    this.readings.restored();
    for (const watch of this.#watches) {
      if (watch === undefined) continue;
      watch.excuses.add('restored');
      watch.generationTold = -1;
      watch.generationRegistered = -1;
      // The server counts again from where the backup stands: what was staged and dropped since then comes once more.
      watch.highestGeneration = Math.max(-1, ...watch.slots.map((slot) => slot?.generation ?? -1));
    }
  }

  /** A request leaves the device: its keys must be in its slots (I3). */
  sent(device: number, request: SeenRequest): void {
    const watch = this.watch(device);
    const { by, fingerprint, kind } = this.reader.read(request);
    const used = kind === 'register' || kind === 'recover' ? [by, fingerprint] : [by];
    for (const key of used) {
      if (key === null) continue;
      if (holdsKey(watch, key)) this.#invariants.checked('I3');
      else this.#invariants.broken('I3', device, `a ${kind} went out with ${key}, which is in no valid slot`);
    }
  }

  /** The server has begun with a request; `order` is to be given to `served`. */
  begun(device: number, request: SeenRequest): number {
    const order = this.now();
    const { by } = this.reader.read(request);
    if (by !== null) {
      const watch = this.watch(device);
      for (const [name, seen] of watch.keys) if (name !== by) seen.usesInARow = 0;
      const seen = keySeen(watch, by);
      seen.usesInARow++;
      seen.lastUseAt = order;
    }
    return order;
  }

  /** The server died over a request: it may or may not have been done. */
  unanswered(device: number, request: SeenRequest): void {
    const { by, kind, fingerprint, generation } = this.reader.read(request);
    const watch = this.watch(device);
    if (by !== null && (kind === 'upload' || kind === 'status')) keySeen(watch, by).mayHaveCommitted = true;
    if (kind === 'recover') watch.recoveredAt = this.now();
    if (fingerprint === null) return;
    const seen = keySeen(watch, fingerprint);
    seen.generation ??= generation;
    seen.registeredAt ||= this.now();
    seen.registeredBy ??= by;
  }

  /** The server has answered, whatever the network makes of it. */
  served(device: number, request: SeenRequest, answer: SeenAnswer, begunAt: number): void {
    const watch = this.watch(device);
    const read = this.reader.read(request);
    const order = this.now();
    const revoked = readRevoked(answer);
    if (revoked !== null) this.#revoked(device, revoked, order);
    if (answer.status < 300) {
      if (read.kind === 'upload' || read.kind === 'status') this.#committed(device, { read, request, answer, order });
      if (read.kind === 'register' || read.kind === 'recover') this.#registered(device, read, { answer, begunAt });
      if (read.kind === 'ask') this.#offered(device, { read, answer, begunAt });
    }
    this.#toldGeneration(device, watch, { answer, begunAt });
  }

  /** An answer reached the device. */
  heard(device: number, answer: SeenAnswer | null): void {
    if (answer === null) return;
    const watch = this.watch(device);
    const revoked = readRevoked(answer);
    if (revoked !== null) watch.authority.add(revoked);
    const { wanted, settled } = readTold(answer);
    if (settled !== null) watch.settledHeard.add(settled);
    if (wanted === null) return;
    const known = watch.wishHeard.get(wanted.base) ?? -1;
    watch.wishHeard.set(wanted.base, Math.max(known, wanted.generation));
  }

  /** Keys that this registration should have ended: they were registered on the same word, and never proven. */
  superseded(device: number, request: SeenRequest, answer: SeenAnswer): string[] {
    const { fingerprint, by, kind } = this.reader.read(request);
    if (kind !== 'register' || answer.json?.['state'] !== 'registered' || by === null) return [];
    return [...this.watch(device).keys].flatMap(([name, seen]) => {
      const ended =
        name !== fingerprint && seen.registeredBy === by && seen.firstCommitAt === 0 && seen.revokedAt === 0;
      const key = ended && !seen.mayHaveCommitted ? this.reader.keyBehind(name) : null;
      return key === null ? [] : [key];
    });
  }

  /** A key that should have ended was tried, and this is the answer. */
  tried(device: number, key: string, answer: SeenAnswer): void {
    this.#invariants.checked('I4');
    if (answer.status >= 300) return;
    this.#invariants.broken(
      'I4',
      device,
      `${this.reader.learn(key)} is still accepted beside the one registered after it`,
    );
  }

  /** Keys whose proof was answered, and which no restored database has forgotten. */
  proofs(): { device: number; fingerprint: string }[] {
    return this.#watches.flatMap((watch, device) => {
      if (watch === undefined || watch.excuses.size > 0) return [];
      return [...watch.keys].flatMap(([fingerprint, seen]) => {
        const proven = seen.registeredBy !== null && seen.firstCommitAt > 0;
        return proven ? [{ device, fingerprint }] : [];
      });
    });
  }

  /** What the slots hold now (I1, I8, I9). */
  slots(device: number, blobs: readonly (Uint8Array | null)[]): void {
    const watch = this.watch(device);
    const before = watch.slots;
    const now = [readSlotBytes(blobs[0] ?? null), readSlotBytes(blobs[1] ?? null)];
    watch.slots = now;
    if (watch.inHand) {
      // Once: a cut while the key was put on it is seen at the next boot.
      watch.inHand = false;
      for (const slot of now) watch.highestGeneration = Math.max(watch.highestGeneration, slot?.generation ?? -1);
      return;
    }
    this.#droppedFrom(device, before, now);
    this.#generationsOf(device, before, now);
    this.#holdsWorkingKey(device);
  }

  #committed(
    device: number,
    { read, request, answer, order }: { read: ReadRequest; request: SeenRequest; answer: SeenAnswer; order: number },
  ): void {
    const watch = this.watch(device);
    if (read.kind === 'upload') {
      const key = request.headers['idempotency-key'] ?? '';
      const receiptMs = Number(request.headers['x-receipt-ttl'] ?? 0) * 1000;
      this.readings.stored(device, { id: String(answer.json?.['id']), key, receiptMs }, request.body);
      if (answer.headers['idempotency-replayed'] === 'true') return;
    }
    if (read.by === null) return;
    const seen = keySeen(watch, read.by);
    const first = seen.firstCommitAt === 0;
    if (first) seen.firstCommitAt = order;
    seen.lastCommitAt = order;
    if (seen.revokedAt > 0 && !watch.excuses.has('restored')) {
      this.#invariants.broken('I8', device, `${read.by} was called revoked, and is accepted again`);
    }
    if (first) this.#onePending(device, read.by, order);
    this.#twoValid(device, watch);
  }

  /** I4: whoever proves a key must not have been overtaken by another registration on the same word. */
  #onePending(device: number, fingerprint: string, order: number): void {
    const watch = this.watch(device);
    this.#invariants.checked('I4');
    const own = watch.keys.get(fingerprint);
    if (own === undefined || watch.excuses.size > 0) return;
    for (const [name, other] of watch.keys) {
      if (name === fingerprint || other.registeredAt <= own.registeredAt || other.registeredAt >= order) continue;
      if (other.registeredBy === null || other.registeredBy !== own.registeredBy) continue;
      this.#invariants.broken('I4', device, `${fingerprint} was taken although ${name} had been registered after it`);
    }
  }

  /** I6: keys whose times of being accepted all hold the moment at which the newest of them began. */
  #twoValid(device: number, watch: DeviceWatch): void {
    this.#invariants.checked('I6');
    if (watch.keys.size < 3 || watch.excuses.size > 0) return;
    let newest = 0;
    for (const { firstCommitAt } of watch.keys.values()) newest = Math.max(newest, firstCommitAt);
    let valid = 0;
    for (const { firstCommitAt, lastCommitAt } of watch.keys.values()) {
      if (firstCommitAt > 0 && lastCommitAt >= newest) valid++;
    }
    if (valid > 2) this.#invariants.broken('I6', device, `${valid} keys were accepted at the same time`);
  }

  #registered(device: number, read: ReadRequest, at: { answer: SeenAnswer; begunAt: number }): void {
    const { fingerprint, by, generation, kind } = read;
    const watch = this.watch(device);
    if (fingerprint === null || at.answer.json?.['state'] !== 'registered') return;
    const seen = keySeen(watch, fingerprint);
    if (kind === 'recover') watch.recoveredAt = this.now();
    if (seen.registeredAt === 0) {
      this.#notPaused(device, `${fingerprint} was registered`, at.begunAt);
      seen.registeredAt = this.now();
      seen.registeredBy = by;
      this.#registeredGeneration(device, fingerprint, generation ?? -1);
    }
    seen.generation ??= generation;
  }

  /** I9 at the server: no key is taken up under a generation that is past. */
  #registeredGeneration(device: number, fingerprint: string, generation: number): void {
    const watch = this.watch(device);
    const before = watch.generationRegistered;
    this.#invariants.checked('I9');
    watch.generationRegistered = Math.max(before, generation);
    if (generation >= before) return;
    const what = `${fingerprint} was registered under generation ${generation}, after one under ${before}`;
    this.#invariants.broken('I9', device, what);
  }

  #offered(device: number, what: { read: ReadRequest; answer: SeenAnswer; begunAt: number }): void {
    const { fingerprint, generation } = what.answer.json ?? {};
    if (typeof fingerprint !== 'string') return;
    const seen = keySeen(this.watch(device), fingerprint);
    seen.registeredAt = this.now();
    seen.registeredBy = what.read.by;
    seen.generation = typeof generation === 'number' ? generation : null;
    this.#notPaused(device, `${fingerprint} was offered`, what.begunAt);
  }

  /** I13, for what was begun after the order was carried out. Incidents heal whatever is paused. */
  #notPaused(device: number, what: string, begunAt: number): void {
    this.#invariants.checked('I13');
    const watch = this.watch(device);
    const { campaign, campaignSince } = this.orders;
    const still = campaign === 'paused' || campaign === 'aborted' || campaign === 'rolling-back';
    if (!still || begunAt <= campaignSince) return;
    const own = watch.orders.some(({ verb }) => verb === 'rotate' || verb === 'quarantine');
    if (own || watch.quarantined || watch.excuses.size > 0 || watch.recoveredAt > 0) return;
    this.#invariants.broken('I13', device, `${what} while the campaign was ${campaign}`);
  }

  /** I2, I7: why a key is gone that was in use. */
  #revoked(device: number, fingerprint: string, order: number): void {
    const watch = this.watch(device);
    const seen = keySeen(watch, fingerprint);
    if (seen.revokedAt > 0) return;
    seen.revokedAt = order;
    if (this.orders.policyRevokes) watch.excuses.add('revoked-by-operator');
    this.#invariants.checked('I2');
    this.#invariants.checked('I7');
    const why = whyRevoked(watch, fingerprint, this.orders.ofCampaign);
    if (!why.ok) this.#invariants.broken(why.breaks, device, why.what);
    this.#holdsWorkingKey(device);
  }

  /** Of two requests that overlap, the later answer may still tell what was so when its request began. */
  #toldGeneration(device: number, watch: DeviceWatch, at: { answer: SeenAnswer; begunAt: number }): void {
    const { wanted } = readTold(at.answer);
    const generation = wanted?.generation ?? null;
    if (generation === null || at.answer.status === 401) return;
    this.#invariants.checked('I9');
    if (generation < watch.generationTold) {
      if (at.begunAt <= watch.generationToldAt || watch.excuses.has('restored')) return;
      this.#invariants.broken('I9', device, `generation ${generation} is wanted after ${watch.generationTold} was`);
    } else if (generation > watch.generationTold) {
      watch.generationTold = generation;
      watch.generationToldAt = this.now();
    }
  }

  /** I8: whatever key is in no slot any more was dropped on authority. */
  #droppedFrom(device: number, before: readonly (SeenSlot | null)[], now: readonly (SeenSlot | null)[]): void {
    const watch = this.watch(device);
    for (const slot of before) {
      if (slot === null || holdsKey(watch, slot.fingerprint)) continue;
      this.#invariants.checked('I8');
      const why = whyDropped(watch, slot, now);
      if (why !== null) this.#invariants.broken('I8', device, why);
    }
  }

  /** I9 on the device: a key that is new in a slot is newer than every one before it. */
  #generationsOf(device: number, before: readonly (SeenSlot | null)[], now: readonly (SeenSlot | null)[]): void {
    const watch = this.watch(device);
    for (const slot of now) {
      if (slot === null || before.some((one) => one?.fingerprint === slot.fingerprint)) continue;
      this.#invariants.checked('I9');
      const excused = watch.excuses.has('rot') || watch.excuses.has('cloned');
      if (slot.generation <= watch.highestGeneration && !excused) {
        const what = `generation ${slot.generation} was staged after ${watch.highestGeneration}`;
        if (!watch.keys.get(slot.fingerprint)?.registeredAt) this.#invariants.broken('I9', device, what);
      }
      watch.highestGeneration = Math.max(watch.highestGeneration, slot.generation);
    }
  }

  /** I1, as far as the server has said which keys it accepts no more. */
  #holdsWorkingKey(device: number): void {
    const watch = this.watch(device);
    this.#invariants.checked('I1');
    if (watch.keys.size === 0 || watch.excuses.size > 0 || watch.inHand) return;
    const held = watch.slots.filter((slot) => slot !== null);
    if (held.length === 0) {
      this.#invariants.broken('I1', device, 'neither slot holds a valid record');
      return;
    }
    if (held.every((slot) => (watch.keys.get(slot.fingerprint)?.revokedAt ?? 0) > 0)) {
      const names = held.map(({ fingerprint }) => fingerprint).join(' and ');
      this.#invariants.broken('I1', device, `the server refuses ${names}, and the device holds nothing else`);
    }
  }
}

import { createHash } from 'node:crypto';
import type { RelayAnswer, RelayRequest } from '#server';
import type { Chance } from '../kernel/chance.ts';
import type { LiveChecks } from './checks.ts';
import { each } from './each.ts';
import { type Item, type Management, said } from './management.ts';
import type { Wire } from './wire.ts';

interface Kept {
  device: number;
  sha256: string;
  size: number;
  /** Path of the link: it opens the file, so it is nowhere but here. */
  path: string;
}

/** Links that are read back at the same time. */
const AT_ONCE = 8;
/** Clocks of server and client may differ by so much. */
const SKEW_MS = 120_000;

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Every upload that the server said it took, and whether it really has it: once, whole, and the same. */
export class UploadLedger {
  readonly #checks: LiveChecks;
  readonly #kept = new Map<string, Kept>();
  /** Digests that left each device. */
  readonly #sent = new Map<number, Set<string>>();
  /** An upload by its device and digest. */
  readonly #byDigest = new Map<string, string>();

  constructor(checks: LiveChecks) {
    this.#checks = checks;
  }

  get count(): number {
    return this.#kept.size;
  }

  sent(device: number, request: RelayRequest): void {
    const digests = this.#sent.get(device) ?? new Set();
    this.#sent.set(device, digests);
    digests.add(digestOf(request.body ?? new Uint8Array(0)));
  }

  /** A 201. */
  accepted(device: number, request: RelayRequest, answer: RelayAnswer): void {
    const body = request.body ?? new Uint8Array(0);
    const sha256 = digestOf(body);
    const { id, url, size, sha256: told } = answer.json ?? {};
    if (size !== body.byteLength || told !== sha256) {
      const what = `${body.byteLength} bytes with ${sha256} were sent, and ${size} with ${told} were answered`;
      this.#checks.broken('answered-digest', device, what);
    } else this.#checks.checked('answered-digest');
    const path = /\/get\/[\w-]+$/.exec(String(url))?.[0] ?? '';
    this.#byDigest.set(`${device} ${sha256}`, String(id));
    this.#kept.set(String(id), { device, sha256, size: body.byteLength, path });
  }

  /** Compares with the account's own list of transfers, as far back as the run began. */
  async compareWithList(management: Management, devices: ReadonlyMap<string, number>, sinceMs: number): Promise<void> {
    const tooOld = (items: Item[]) => Date.parse(String(items.at(-1)?.['created_at'])) < sinceMs - SKEW_MS;
    const listed = new Map<string, Item>();
    for (const item of await management.all('/v1/transfers', 'transfers', tooOld)) {
      if (devices.has(String(item['device_id']))) listed.set(String(item['id']), item);
    }
    for (const [id, { device, sha256, size }] of this.#kept) {
      const item = listed.get(id);
      listed.delete(id);
      if (item === undefined) this.#checks.broken('kept-once', device, `${id} was accepted, and is not there`);
      else if (item['sha256'] !== sha256 || item['size'] !== size) {
        const what = `${id} was accepted with ${size} bytes and ${sha256}, and is listed with ${String(item['size'])} and ${String(item['sha256'])}`;
        this.#checks.broken('kept-once', device, what);
      } else this.#checks.checked('kept-once');
    }
    for (const [id, item] of listed) this.#unannounced(id, item, devices.get(String(item['device_id'])) ?? -1);
  }

  /** Reads so many of the links to their end, and burns them by that. */
  async readBack(wire: Wire, what: { share: number; most: number; chance: Chance }): Promise<number> {
    const chosen = [...this.#kept].filter(() => what.chance.yes(what.share)).slice(0, what.most);
    await each(chosen, AT_ONCE, ([id, kept]) => this.#readOne(wire, id, kept));
    return chosen.length;
  }

  /** Uploads that were accepted and not read back: to be burned, or left to expire. */
  unread(): string[] {
    return [...this.#kept].flatMap(([id, { path }]) => (path === '' ? [] : [id]));
  }

  #unannounced(id: string, item: Item, device: number): void {
    const sha256 = String(item['sha256']);
    const twin = this.#byDigest.get(`${device} ${sha256}`);
    if (twin !== undefined) this.#checks.broken('kept-once', device, `${id} holds the same as ${twin}`);
    else if (item['state'] !== 'uploading' && this.#sent.get(device)?.has(sha256) !== true) {
      this.#checks.broken('kept-once', device, `${id} holds what no device has sent`);
    }
  }

  async #readOne(wire: Wire, id: string, kept: Kept): Promise<void> {
    const { device, sha256, path } = kept;
    const json = { 'content-type': 'application/json' };
    const ask = (body: object) => new Uint8Array(Buffer.from(JSON.stringify(body)));
    const claimed = await wire.ask({ method: 'POST', path: `${path}/claim`, headers: json, body: ask({}) });
    const claim = { 'fuselink-claim': String(claimed?.json?.['claim']) };
    const read = await wire.ask({ method: 'GET', path: `${path}/content`, headers: claim, body: null });
    if (read?.status !== 200) {
      const why = claimed?.status === 200 ? said(read) : said(claimed);
      this.#checks.broken('kept-once', device, `${id} cannot be read: ${why}`);
      return;
    }
    const found = digestOf(read.bytes);
    if (found !== sha256) this.#checks.broken('kept-once', device, `${id} opens to ${found} instead of ${sha256}`);
    else this.#checks.checked('kept-once');
    const burnt = await wire.ask({
      method: 'POST',
      path: `${path}/ack`,
      headers: { ...json, ...claim },
      body: ask({ sha256: found }),
    });
    if (burnt?.status === 200) kept.path = '';
  }
}

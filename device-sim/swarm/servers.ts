import {
  type Caller,
  type Crypto,
  copyRows,
  createMemoryBlobs,
  createMemoryStore,
  createRelay,
  type MetadataStore,
  openRelayAccount,
  type RelayAnswer,
  type RelayContent,
  type RelayRead,
  type RelayRequest,
  settleRestored,
} from '#server';
import type { Chance } from '../kernel/chance.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type NodeFaults, ServerNode } from './node.ts';
import { MINUTE_MS } from './options.ts';

export interface ServersOptions {
  kernel: Kernel;
  /** Draws of what goes wrong. */
  chance: Chance;
  /** What the server itself draws: apart, so that one more byte there changes nothing here. */
  random: Chance;
  crypto: Crypto | undefined;
  faults: NodeFaults;
  nodes: number;
  planted(store: MetadataStore): MetadataStore;
  warn(message: string, error: unknown): void;
  /** Something that must never be thrown was: the run is over. */
  fail(error: unknown): void;
}

type Answered = (answer: RelayAnswer | null) => void;

interface UnderWay {
  node: ServerNode;
  answered: ((answer: unknown) => void) | null;
}

const SECRET_BYTES = 32;
const BLOB_BYTES_MAX = 1_073_741_824;
const DOWN_MS_MAX = MINUTE_MS;

/** The relay: one store, one or two nodes over it, each with its lives. */
export class Servers {
  readonly #options: ServersOptions;
  readonly #secret: Uint8Array;
  readonly #underWay = new Set<UnderWay>();
  #nodes: (ServerNode | null)[] = [];
  #store: MetadataStore;
  /** The disk of all nodes: it outlives them, and no backup brings it back. */
  readonly #blobs = createMemoryBlobs({ bytesMax: BLOB_BYTES_MAX });
  #backup: MetadataStore | null = null;
  #operator: Caller | null = null;
  #turn = 0;
  #sweeping = false;
  /** Whether nodes may still die. */
  mortal = true;

  constructor(options: ServersOptions) {
    this.#options = options;
    this.#secret = options.random.bytes(SECRET_BYTES);
    this.#store = createMemoryStore();
  }

  get store(): MetadataStore {
    return this.#store;
  }

  get hasBackup(): boolean {
    return this.#backup !== null;
  }

  /** An account and its operator; nodes that are up. */
  async open(): Promise<void> {
    const { random, kernel } = this.#options;
    const clock = { nowMs: () => kernel.nowMs, monotonicMs: () => kernel.nowMs };
    const warn = this.#options.warn;
    const relay = createRelay({ clock, random, secret: this.#secret, store: this.#store, warn });
    this.#operator = await openRelayAccount(relay, 'fleet@example.com');
    this.#nodes = Array.from({ length: this.#options.nodes }, () => this.#bear());
  }

  /** A request of a device. `begun` is told when a node takes it up; `answered` exactly once. */
  call(request: RelayRequest, begun: () => void, answered: Answered): void {
    const node = this.#next();
    if (node === null) {
      answered(null);
      return;
    }
    begun();
    this.#run(node, answered, () => node.relay.call(request));
  }

  /** A reader's request for bytes. */
  read(request: RelayRead, answered: (content: RelayContent | null) => void): void {
    const node = this.#next();
    if (node === null) answered(null);
    else this.#run(node, answered, () => node.relay.read(request));
  }

  /** An operator's request, at the server itself. */
  order(request: RelayRequest, answered: Answered): void {
    const node = this.#next();
    const operator = this.#operator;
    if (node === null || operator === null) answered(null);
    else this.#run(node, answered, () => node.relay.call(request, operator));
  }

  /** What the running server does every few seconds; a node does it at a time. */
  sweep(): void {
    const node = this.#next();
    if (node === null || this.#sweeping) return;
    this.#sweeping = true;
    const done = () => {
      this.#sweeping = false;
    };
    this.#run(node, done, async () => {
      await node.relay.sweep(false);
      return null;
    });
  }

  /** The node that takes the next request will die over it. */
  crashSoon(): void {
    const { chance } = this.#options;
    const node = this.#nodes[this.#turn % this.#nodes.length];
    node?.dieAt(1 + chance.below(30), chance.yes(0.5));
  }

  backUp(): void {
    this.#options.kernel.busy = true;
    const store = createMemoryStore();
    copyRows(this.#store, store).then(() => {
      this.#backup = store;
    }, this.#options.fail);
  }

  /** Every node stops, the rows of the backup are all there is, and what may have ended since is settled. */
  restore(done: () => void): void {
    const backup = this.#backup;
    if (backup === null) return;
    const { kernel, warn } = this.#options;
    for (const [index, node] of this.#nodes.entries()) {
      node?.die();
      this.#nodes[index] = null;
    }
    this.#reportDead();
    kernel.busy = true;
    const store = createMemoryStore();
    const bring = async () => {
      await copyRows(backup, store);
      this.#store = store;
      this.#nodes = this.#nodes.map(() => this.#bear());
      const first = this.#nodes[0];
      if (first) await settleRestored(first.relay.deps, { nothingEnded: false });
      done();
    };
    // A crash while it is being settled would have the operator do it again; here it is done undisturbed.
    const { statementMsMax } = this.#options.faults;
    this.#options.faults.statementMsMax = 0;
    // Its own assertions may stop it, where something was planted: that is the server's failure and not this run's.
    bring()
      .catch((error) => warn('settling the restored database failed', error))
      .finally(() => {
        this.#options.faults.statementMsMax = statementMsMax;
      });
  }

  /** Brings up what is down, now, and keeps it up. */
  heal(): void {
    this.mortal = false;
    for (const [index, node] of this.#nodes.entries()) {
      node?.dieAt(-1, false);
      if (node === null) this.#nodes[index] = this.#bear();
    }
  }

  /** Statements are run where they stand: for questions at the end, when nothing moves the clock any more. */
  stopWaiting(): void {
    this.#options.faults.statementMsMax = 0;
    this.#options.faults.authLagMs = 0;
  }

  #next(): ServerNode | null {
    for (let i = 0; i < this.#nodes.length; i++) {
      const node = this.#nodes[this.#turn++ % this.#nodes.length];
      if (node?.alive) return node;
    }
    return null;
  }

  #run<A>(node: ServerNode, answered: (answer: A | null) => void, work: () => Promise<A | null>): void {
    // Whatever the work comes to, it is asked for and answered in this one place.
    const entry: UnderWay = { node, answered: answered as UnderWay['answered'] };
    this.#underWay.add(entry);
    this.#options.kernel.busy = true;
    work().then((answer) => this.#end(entry, answer), this.#options.fail);
  }

  #end(entry: UnderWay, answer: unknown): void {
    const { answered } = entry;
    entry.answered = null;
    this.#underWay.delete(entry);
    try {
      if (entry.node.alive) answered?.(answer);
      else answered?.(null);
    } catch (error) {
      this.#options.fail(error);
    }
  }

  #reportDead(): void {
    for (const entry of [...this.#underWay]) {
      if (!entry.node.alive) this.#options.kernel.after(1, () => this.#end(entry, null));
    }
  }

  #bear(): ServerNode {
    const { kernel, chance, random, crypto, faults, planted, warn } = this.#options;
    const clock = { nowMs: () => kernel.nowMs, monotonicMs: () => kernel.nowMs };
    const common = { kernel, chance, clock, random, crypto, faults, planted, warn };
    const alone = this.#options.nodes === 1;
    const node = new ServerNode({ ...common, store: this.#store, blobs: this.#blobs, secret: this.#secret, alone });
    node.onDeath = () => {
      const index = this.#nodes.indexOf(node);
      if (index >= 0) this.#nodes[index] = null;
      this.#reportDead();
      kernel.after(1000 + chance.below(DOWN_MS_MAX), () => {
        if (index < 0 || this.#nodes[index] !== null) return;
        const next = this.#bear();
        this.#nodes[index] = next;
        this.#run(
          next,
          () => {},
          async () => {
            await next.relay.sweep(true);
            return null;
          },
        );
      });
    };
    return node;
  }
}

import type { Acceptance } from '../broker/message.ts';

/** Packet ids of one connection that are remembered: far more than a client has unacknowledged. */
const IDS_MAX = 4096;
/** Sessions of one device that are remembered, the latest ones. */
const SESSIONS_MAX = 8;

interface Remembered {
  digest: string;
  /** Resolves when it is known whether it was kept: a repeat may come while the first is still being written. */
  outcome: Promise<Acceptance>;
}

type Ids = Map<number, Remembered>;

/** What is written down: for each session, packet ids with their digests. */
export type RepeatRecord = Record<string, [packetId: number, digest: string][]>;

const KEPT: Promise<Acceptance> = Promise.resolve({ kept: true, repeat: false });

/**
 * Tells a repeat under QoS 1 or 2 from a new reading. A client that did not see its acknowledgement sends the message
 * again with DUP, under the same packet id, at the beginning of its next connection [MQTT-4.4.0-1]. So a message is a
 * repeat when it says so, and the same id brought the same content on this connection or the one just before. Looking
 * further back would take a later reading of the same value, whose first try was lost, for an old one.
 */
export class Repeats {
  readonly #sessions = new Map<string, { current: Ids; previous: Ids }>();

  /** What an earlier run wrote down, then what it found in the spool: all of it is of the connection before. */
  restore(record: RepeatRecord): void {
    for (const [session, entries] of Object.entries(record)) {
      for (const [packetId, digest] of entries) this.#remember(session, packetId, { digest, outcome: KEPT });
    }
  }

  connected(session: string): void {
    const known = this.#sessions.get(session);
    if (known === undefined) return;
    known.previous = known.current;
    known.current = new Map();
  }

  /** The outcome of the message this one repeats, or null where it is new. */
  find(session: string, packetId: number, digest: string): Promise<Acceptance> | null {
    const known = this.#sessions.get(session);
    const found = known?.current.get(packetId) ?? known?.previous.get(packetId);
    return found?.digest === digest ? found.outcome : null;
  }

  /** A message was taken under this id. What was there under it before is thereby acknowledged. */
  note(session: string, packetId: number, digest: string, outcome: Promise<Acceptance>): void {
    const entry = { digest, outcome };
    this.#remember(session, packetId, entry);
    void outcome.then((accepted) => {
      if (accepted.kept) return;
      // It is not here, so its repeat is no repeat.
      for (const ids of Object.values(this.#sessions.get(session) ?? {})) {
        if (ids.get(packetId) === entry) ids.delete(packetId);
      }
    });
  }

  record(): RepeatRecord {
    const record: RepeatRecord = {};
    for (const [session, { current, previous }] of this.#sessions) {
      const entries = [...previous, ...current].map(([id, { digest }]): [number, string] => [id, digest]);
      if (entries.length > 0) record[session] = entries;
    }
    return record;
  }

  #remember(session: string, packetId: number, entry: Remembered): void {
    const known = this.#sessions.get(session) ?? { current: new Map(), previous: new Map() };
    this.#sessions.delete(session);
    this.#sessions.set(session, known);
    known.previous.delete(packetId);
    known.current.delete(packetId);
    known.current.set(packetId, entry);
    trim(known.current, IDS_MAX);
    trim(this.#sessions, SESSIONS_MAX);
  }
}

function trim<Key, Value>(map: Map<Key, Value>, most: number): void {
  for (const [oldest] of map) {
    if (map.size <= most) return;
    map.delete(oldest);
  }
}

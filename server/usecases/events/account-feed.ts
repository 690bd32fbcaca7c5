import type { AccountId } from '../../domain/ids.ts';
import type { MetadataStore } from '../../ports/metadata-store.ts';
import type { AuditRow } from '../../ports/tables.ts';

/** Entries read at once, by the feed for all its listeners or by one that catches up. */
export const FEED_PAGE_ROWS = 200;
/** The newest entries, kept for listeners that are a little behind; one further behind reads for itself. */
const RECENT_ROWS_MAX = 2 * FEED_PAGE_ROWS;

/**
 * The end of one account's audit chain, followed once for all who listen to it on this node. Holds a bounded number of
 * entries and nothing a listener has yet to hear: each knows its own place.
 */
export class AccountFeed {
  readonly #store: MetadataStore;
  readonly #accountId: AccountId;
  /** `seq` of the newest entry known; null until it was first read. */
  #head: number | null = null;
  #recent: AuditRow[] = [];
  #reading: Promise<void> | null = null;
  #readAgain = false;
  readonly #waiting = new Set<() => void>();

  constructor(store: MetadataStore, accountId: AccountId) {
    this.#store = store;
    this.#accountId = accountId;
  }

  /** `seq` of the newest entry, 0 where there is none. Rejects with the store's faults. */
  async head(): Promise<number> {
    if (this.#head === null) await this.look();
    return this.#head ?? 0;
  }

  /** The newest entry this feed has read so far. */
  get known(): number {
    return this.#head ?? 0;
  }

  /** Reads what is new and wakes who waits; calls that come meanwhile share one more reading. */
  look(): Promise<void> {
    this.#readAgain = true;
    this.#reading ??= this.#readOn();
    return this.#reading;
  }

  async #readOn(): Promise<void> {
    try {
      while (this.#readAgain) {
        this.#readAgain = false;
        const rows = await this.#readNew();
        this.#head = rows.at(-1)?.seq ?? this.#head ?? 0;
        if (rows.length === 0) continue;
        this.#recent = [...this.#recent, ...rows].slice(-RECENT_ROWS_MAX);
        if (rows.length === FEED_PAGE_ROWS) this.#readAgain = true;
        this.wake();
      }
    } finally {
      // In the same step as the loop's last look at `#readAgain`: whoever asks from here on starts a reading of their own.
      this.#reading = null;
    }
  }

  #readNew(): Promise<AuditRow[]> {
    const where = [['chain', '=', this.#accountId]] as const;
    if (this.#head === null) return this.#store.list('audit', { where, orderBy: [['seq', 'desc']], limit: 1 });
    return this.#store.list('audit', {
      where,
      orderBy: [['seq', 'asc']],
      after: [this.#head],
      limit: FEED_PAGE_ROWS,
    });
  }

  /** The next entries behind `seq` in the chain, at most a page; with `subject` only those, read from the store. */
  async pageAfter(seq: number, subject: string | null): Promise<AuditRow[]> {
    const oldest = this.#recent[0];
    if (oldest !== undefined && oldest.seq <= seq + 1)
      return this.#recent.filter((row) => row.seq > seq).slice(0, FEED_PAGE_ROWS);
    if (seq >= this.known) return [];
    return this.#store.list('audit', {
      where: [['chain', '=', this.#accountId], ...(subject === null ? [] : ([['subject', '=', subject]] as const))],
      orderBy: [['seq', 'asc']],
      after: [seq],
      limit: FEED_PAGE_ROWS,
    });
  }

  /** Calls back once, with the next news (or when everybody is woken for another reason). Returns how to call it off. */
  onNews(listener: () => void): () => void {
    this.#waiting.add(listener);
    return () => void this.#waiting.delete(listener);
  }

  wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const listener of waiting) listener();
  }
}

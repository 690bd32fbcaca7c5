import type { TableName } from '../../ports/tables.ts';

/** A touch is written out within this. */
const DELAY_MS = 500;
/** Rows of one statement. */
const ROWS_MAX = 1_000;

interface Touch {
  table: TableName;
  key: string;
  column: string;
  value: number;
}

type Raise = (table: TableName, column: string, values: { keys: string[]; values: number[] }) => Promise<void>;

/** Gathers touches, the highest of each row, and writes them out together, apart from commits: they would hold hot rows' locks. */
export class Touches {
  readonly #raise: Raise;
  #waiting = new Map<string, Touch>();
  #timer: NodeJS.Timeout | null = null;
  #flushing: Promise<void> = Promise.resolve();

  constructor(raise: Raise) {
    this.#raise = raise;
  }

  add(touch: Touch): void {
    const name = `${touch.table} ${touch.column} ${touch.key}`;
    const before = this.#waiting.get(name);
    if (before !== undefined && before.value >= touch.value) return;
    this.#waiting.set(name, touch);
    this.#timer ??= setTimeout(() => void this.flush(), DELAY_MS).unref();
  }

  /** Resolves when all that was added is written, or lost to a fault: a touch is no promise. */
  flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const touches = [...this.#waiting.values()];
    this.#waiting.clear();
    // One behind the other, each in the order of the keys: two nodes then hardly ever wait for each other in a circle.
    this.#flushing = this.#flushing.then(() => this.#write(touches)).catch(() => undefined);
    return this.#flushing;
  }

  async #write(touches: readonly Touch[]): Promise<void> {
    const groups = new Map<string, Touch[]>();
    for (const touch of touches) {
      const name = `${touch.table} ${touch.column}`;
      const group = groups.get(name);
      if (group === undefined) groups.set(name, [touch]);
      else group.push(touch);
    }
    for (const group of groups.values()) {
      group.sort((a, b) => (a.key < b.key ? -1 : 1));
      for (let at = 0; at < group.length; at += ROWS_MAX) {
        const rows = group.slice(at, at + ROWS_MAX);
        const { table, column } = rows[0] as Touch;
        await this.#raise(table, column, { keys: rows.map(({ key }) => key), values: rows.map(({ value }) => value) });
      }
    }
  }
}

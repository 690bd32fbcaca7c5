/** Something that will happen. `order` breaks ties, so that equal times keep the order in which they were asked for. */
export interface Happening {
  atMs: number;
  order: number;
  /** Null once it was called off: it is passed over and does not count. */
  run: (() => void) | null;
}

/** A binary heap of happenings, the earliest first. */
export class HappeningHeap {
  readonly #items: Happening[] = [];

  get size(): number {
    return this.#items.length;
  }

  push(item: Happening): void {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const above = items[up] as Happening;
      if (!isBefore(item, above)) break;
      items[at] = above;
      at = up;
    }
    items[at] = item;
  }

  peek(): Happening | undefined {
    return this.#items[0];
  }

  pop(): Happening | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (first === undefined || last === undefined || items.length === 0) return first;
    let at = 0;
    const half = items.length >> 1;
    while (at < half) {
      let down = 2 * at + 1;
      const right = items[down + 1];
      if (right !== undefined && isBefore(right, items[down] as Happening)) down++;
      const below = items[down] as Happening;
      if (!isBefore(below, last)) break;
      items[at] = below;
      at = down;
    }
    items[at] = last;
    return first;
  }
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

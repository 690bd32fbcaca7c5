import { signal } from '@preact/signals';

/** A list that the server gives page by page, filled as far as somebody looks. */
export interface PagedState<T> {
  rows: readonly T[];
  /** Where the next page begins; null behind the last, undefined before the first. */
  next: string | null | undefined;
  /** How many rows there will be at least, for the scroll bar. */
  expected: number;
  loading: boolean;
  error: unknown;
}

export interface Page<T> {
  rows: readonly T[];
  next: string | null;
  /** How many there are in all, where the server says so. */
  total?: number;
}

const EMPTY = { rows: [], next: undefined, expected: 0, loading: false, error: null };
/** Rows asked for at once. */
export const PAGE_ROWS = 200;

export function createPagedList<T>(load: (cursor: string | undefined) => Promise<Page<T>>) {
  const state = signal<PagedState<T>>(EMPTY);
  let wanted = 0;
  let turn = 0;

  async function fill(): Promise<void> {
    const mine = turn;
    while (mine === turn && state.value.rows.length <= wanted && state.value.next !== null) {
      state.value = { ...state.value, loading: true, error: null };
      try {
        const page = await load(state.value.next ?? undefined);
        if (mine !== turn) return;
        const rows = [...state.value.rows, ...page.rows];
        const more = page.next === null ? 0 : 1;
        const expected = page.next === null ? rows.length : Math.max(page.total ?? 0, rows.length + more);
        state.value = { rows, next: page.next, expected, loading: false, error: null };
      } catch (error) {
        if (mine === turn) state.value = { ...state.value, loading: false, error };
        return;
      }
    }
  }

  return {
    state,
    /** Somebody looks at this row: pages up to it are fetched, one after the other. */
    want(index: number): void {
      if (index <= wanted && state.value.next !== undefined) return;
      wanted = Math.max(wanted, index);
      if (!state.value.loading) void fill();
    },
    /** Asks for what failed again. */
    retry(): void {
      if (!state.value.loading) void fill();
    },
    /** Begins anew; what is shown goes away. */
    restart(): void {
      turn++;
      wanted = 0;
      state.value = EMPTY;
      void fill();
    },
    /**
     * Reads the first page again while somebody looks: rows that changed are shown as they are now, new ones come on
     * top. What lies behind the first page stays as it was read.
     */
    async refresh(idOf: (row: T) => string): Promise<void> {
      const mine = turn;
      if (state.value.loading || state.value.next === undefined) return;
      // What fails here is asked for again by the next event, or by the reader's own look.
      const page = await load(undefined).catch(() => null);
      if (page === null || mine !== turn) return;
      const before = state.value;
      if (page.next === null) {
        state.value = { rows: page.rows, next: null, expected: page.rows.length, loading: false, error: null };
        return;
      }
      const fresh = new Map(page.rows.map((row) => [idOf(row), row]));
      const known = new Set(before.rows.map(idOf));
      const added = page.rows.filter((row) => !known.has(idOf(row)));
      const rows = [...added, ...before.rows.map((row) => fresh.get(idOf(row)) ?? row)];
      state.value = { ...before, rows, expected: Math.max(page.total ?? 0, rows.length, before.expected) };
    },
  };
}

export type PagedList<T> = ReturnType<typeof createPagedList<T>>;

import { signal } from '@preact/signals';

/** Where in the dashboard one is: `<base>/<page>/<id>?filters`. The base ends with `/dashboard`. */
export interface Place {
  /** Empty for the page one begins with. */
  page: string;
  id: string | null;
  query: URLSearchParams;
}

let base = '/dashboard';

export const place = signal<Place>({ page: '', id: null, query: new URLSearchParams() });

/** The place an address stands for. */
export function readPlace(path: string, search: string, under: string): Place {
  const [page = '', id] = path.slice(under.length).split('/').filter(Boolean).map(decodeURIComponent);
  return { page, id: id ?? null, query: new URLSearchParams(search) };
}

/** The address of a page; empty filters are left out. */
export function href(page: string, id?: string | null, query: Record<string, string | undefined> = {}): string {
  const path = [base, page, id ?? '']
    .filter((part) => part !== '')
    .map((part, at) => (at < 2 ? part : encodeURIComponent(part)));
  const said = Object.entries(query).filter((entry): entry is [string, string] => (entry[1] ?? '') !== '');
  const text = new URLSearchParams(said).toString();
  return `${path.join('/')}${text === '' ? '' : `?${text}`}`;
}

function read(): void {
  place.value = readPlace(location.pathname, location.search, base);
}

/** Goes to an address of the dashboard; `replace` leaves no trace in the history. */
export function go(address: string, options: { replace?: boolean } = {}): void {
  if (options.replace === true) history.replaceState(null, '', address);
  else history.pushState(null, '', address);
  const before = place.value;
  read();
  if (before.page !== place.value.page || before.id !== place.value.id) scrollTo(0, 0);
}

/**
 * Changes filters of the page one is on, and keeps the others as they are at this very moment: two that change one
 * right after the other both count. Empty ones are left out.
 */
export function setFilters(changed: Record<string, string>): void {
  const { page, id, query } = place.value;
  go(href(page, id, { ...Object.fromEntries(query), ...changed }), { replace: true });
}

/** Takes links within the dashboard over from the browser, and follows its back and forward. */
export function startRouting(basePath: string): void {
  base = basePath;
  read();
  addEventListener('popstate', read);
  document.addEventListener('click', (event) => {
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!plain || event.defaultPrevented || link === null || link.target !== '' || link.hasAttribute('download'))
      return;
    if (link.origin !== location.origin || !isUnder(link.pathname)) return;
    if (link.getAttribute('href')?.startsWith('#') === true) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}

function isUnder(path: string): boolean {
  return path === base || path.startsWith(`${base}/`);
}

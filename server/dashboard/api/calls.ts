/** One way to ask the server: JSON in, JSON out, and every refusal as a Refusal in the server's own words. */

export interface FieldError {
  field: string;
  detail: string;
}

/** Why the server did not do it, or why it was not heard. `code` is of the registry, or `unreachable`. */
export class Refusal extends Error {
  readonly code: string;
  readonly status: number;
  readonly fields: readonly FieldError[];
  readonly retrySeconds: number | null;

  constructor(what: {
    code: string;
    status: number;
    detail: string;
    fields?: readonly FieldError[];
    retrySeconds?: number | null;
  }) {
    super(what.detail);
    this.code = what.code;
    this.status = what.status;
    this.fields = what.fields ?? [];
    this.retrySeconds = what.retrySeconds ?? null;
  }
}

const SESSION_OVER = new Set(['token_expired', 'token_invalid', 'credentials_missing']);

let tellSessionOver: (code: string) => void = () => {};
let tellTime: (date: string | null) => void = () => {};

/** Who is told when a call finds that nobody is signed in any more. */
export function onSessionOver(tell: (code: string) => void): void {
  tellSessionOver = tell;
}

/** Who is told what the server's clock says, with every answer. */
export function onServerTime(tell: (date: string | null) => void): void {
  tellTime = tell;
}

/** Folder of the server's addresses: every path is below it, whatever stands before. */
let top = '/';

export function setTop(path: string): void {
  top = path;
}

/** The address of a path of the API, e.g. `v1/devices`. */
export function address(path: string, query: Record<string, string | number | undefined> = {}): string {
  const said = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const text = new URLSearchParams(said.map(([name, value]) => [name, String(value)])).toString();
  return `${top}${path}${text === '' ? '' : `?${text}`}`;
}

export interface CallOptions {
  query?: Record<string, string | number | undefined>;
  body?: object;
  signal?: AbortSignal;
  /** Of a call that may find nobody signed in without that being news. */
  quiet?: boolean;
}

/** Throws Refusal; an aborted call throws what the browser throws. */
export async function call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
  const { body, signal } = options;
  let response: Response;
  try {
    response = await fetch(address(path, options.query), {
      method,
      cache: 'no-store',
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new Refusal({ code: 'unreachable', status: 0, detail: 'The server cannot be reached. Nothing was changed.' });
  }
  tellTime(response.headers.get('date'));
  if (response.ok) return (response.status === 204 ? undefined : await response.json()) as T;
  const refusal = await refusalOf(response);
  if (options.quiet !== true && response.status === 401 && SESSION_OVER.has(refusal.code))
    tellSessionOver(refusal.code);
  throw refusal;
}

async function refusalOf(response: Response): Promise<Refusal> {
  const problem = (await response.json().catch(() => ({}))) as Partial<{
    code: string;
    detail: string;
    errors: FieldError[];
  }>;
  return new Refusal({
    code: problem.code ?? 'unknown',
    status: response.status,
    detail: problem.detail ?? `The server answered ${response.status}.`,
    fields: problem.errors ?? [],
    retrySeconds: Number(response.headers.get('retry-after')) || null,
  });
}

/** What to show of anything that was thrown. */
export function wordsOf(error: unknown): string {
  if (error instanceof Refusal && error.retrySeconds !== null) {
    return `${error.message} Try again in ${error.retrySeconds} s.`;
  }
  return error instanceof Error ? error.message : String(error);
}

/** What a refusal says of one field of a form; undefined where it says nothing of it. */
export function fieldError(error: unknown, field: string): string | undefined {
  if (!(error instanceof Refusal)) return undefined;
  return error.fields.find((one) => one.field === field)?.detail;
}

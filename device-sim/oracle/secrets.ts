import type { Invariants } from './invariants.ts';

/** As much of a store as is read here: its rows, whatever they hold. */
interface Rows {
  list(table: never, query: never): Promise<unknown[]>;
}

const TABLES = ['accounts', 'api_keys', 'devices', 'rotations', 'transfers', 'audit', 'campaigns', 'windows', 'facts'];
const ROWS_MAX = 20_000;

/** I11: no key in plain form, as hex, as base64 or as bytes, in any row or text. */
export async function findKeys(
  store: Rows,
  what: { keys: readonly string[]; texts: readonly string[]; invariants: Invariants },
): Promise<void> {
  const { invariants } = what;
  const hex = new Set(what.keys);
  const encoded = new Map(
    what.keys.flatMap((key) => {
      const bytes = Buffer.from(key, 'hex');
      return [bytes.toString('base64').slice(0, 43), bytes.toString('base64url')].map((text) => [text, key] as const);
    }),
  );
  const look = (where: string, text: string) => {
    invariants.checked('I11');
    for (const [run] of text.matchAll(/[0-9a-f]{64,}/g)) {
      for (let at = 0; at + 64 <= run.length; at++) {
        if (hex.has(run.slice(at, at + 64))) invariants.broken('I11', -1, `a key stands in ${where}`);
      }
    }
    for (const [run] of text.matchAll(/[A-Za-z0-9+/_-]{43,}/g)) {
      for (let at = 0; at + 43 <= run.length; at++) {
        if (encoded.has(run.slice(at, at + 43))) invariants.broken('I11', -1, `a key stands in ${where}, encoded`);
      }
    }
  };
  for (const text of what.texts) look('a log, a trace or a retained message', text);
  for (const table of TABLES) {
    const query = { where: [], orderBy: [[keyColumn(table), 'asc']], limit: ROWS_MAX };
    for (const row of await store.list(table as never, query as never)) {
      look(`the table ${table}`, JSON.stringify(row, asHex));
    }
  }
}

function keyColumn(table: string): string {
  return table === 'rotations' ? 'device_id' : 'id';
}

/** Bytes as hex, so that a key that lies in them as it is turns up. */
function asHex(_name: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}

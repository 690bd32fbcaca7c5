/**
 * The audit chain's canonical text: hash = base64url(SHA-256(canonical(entry, seq, prevHash))). The first entry's
 * `prev_hash` is ''. The store computes the hash inside the transaction that appends, so the chain has no forks.
 */
export interface ChainedEntry {
  chain: string;
  seq: number;
  at_ms: number;
  actor: string;
  action: string;
  subject: string;
  outcome: string;
  detail: Record<string, unknown>;
  from: string;
  prev_hash: string;
}

/** What is hashed: a JSON array of the fields in fixed order, `detail` with its keys sorted at every depth. */
export function canonicalAuditText(entry: ChainedEntry): string {
  return JSON.stringify([
    'fuselink audit v1',
    entry.chain,
    entry.seq,
    entry.at_ms,
    entry.actor,
    entry.action,
    entry.subject,
    entry.outcome,
    sorted(entry.detail),
    entry.from,
    entry.prev_hash,
  ]);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  // Without a prototype: a key called __proto__ must be covered by the hash like any other.
  const out: Record<string, unknown> = Object.create(null);
  for (const key of Object.keys(value).sort()) out[key] = sorted((value as Record<string, unknown>)[key]);
  return out;
}

import { createHash } from 'node:crypto';
import type { Invariants } from './invariants.ts';

/** An entry as the API gives it. */
type Entry = Record<string, unknown>;

export interface ProofSeen {
  device: number;
  fingerprint: string;
}

export interface Arrow {
  from: string;
  action: string;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, sorted((value as Record<string, unknown>)[name])]));
}

/** The hash an entry should have, computed here from what the API said. */
function hashOf(entry: Entry, chain: string): string {
  const { seq, at, actor, action, subject, outcome, detail, from, prev_hash: before } = entry;
  const atMs = Date.parse(String(at));
  const parts = ['fuselink audit v1', chain, seq, atMs, actor, action, subject, outcome, sorted(detail), from, before];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}

/** Where a reading of the audit begins that does not begin with the account: the entry before it. */
export interface AuditStart {
  chain: string;
  hash: string;
  /** Whether a device came later, and so begins in IDLE; where any other was nobody here knows. */
  isNew(subject: string): boolean;
}

/**
 * I14 over the audit, oldest entry first, whole or from `after` on: the chain holds, each device's arrows join end to end
 * (an arrow without its entry leaves a gap), and no key was proven twice. The arrows, for the coverage.
 */
export function readAudit(
  entries: readonly Entry[],
  known: { invariants: Invariants; proofs: readonly ProofSeen[]; after?: AuditStart },
): Arrow[] {
  const { invariants } = known;
  const chain = known.after?.chain ?? String(entries[0]?.['subject'] ?? '');
  const arrows: Arrow[] = [];
  const states = new Map<string, string>();
  const proven = new Map<string, number>();
  let before = known.after?.hash ?? '';
  for (const entry of entries) {
    invariants.checked('I14');
    const seq = Number(entry['seq']);
    if (entry['prev_hash'] !== before || entry['hash'] !== hashOf(entry, chain)) {
      invariants.broken('I14', -1, `entry ${seq} of the audit does not hold`);
    }
    before = String(entry['hash']);
    const action = String(entry['action']);
    if (!action.startsWith('rotation.') || action.startsWith('rotation.alarm.')) continue;
    const detail = entry['detail'] as Record<string, unknown>;
    const subject = String(entry['subject']);
    const from = String(detail['from']);
    const first = known.after === undefined || known.after.isNew(subject) ? 'IDLE' : from;
    const was = states.get(subject) ?? first;
    if (was !== from) {
      const what = `${subject}: entry ${seq} (${action}) begins in ${from}, and the one before ended in ${was}`;
      invariants.broken('I14', -1, what);
    }
    states.set(subject, String(detail['to']));
    arrows.push({ from, action });
    if (action === 'rotation.proven') {
      const by = String(detail['by']);
      proven.set(by, (proven.get(by) ?? 0) + 1);
    }
  }
  for (const { device, fingerprint } of known.proofs) {
    invariants.checked('I14');
    const times = proven.get(fingerprint) ?? 0;
    if (times !== 1) invariants.broken('I14', device, `the proof of ${fingerprint} has ${times} entries`);
  }
  return arrows;
}

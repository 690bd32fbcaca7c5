/** DESIGN §6.3, in words for a report. */
export const INVARIANTS = {
  I1: 'a device always holds a valid slot whose key the server accepts',
  I2: 'an old key is revoked only after something was committed under the new one',
  I3: 'a key is in its slot before its first byte is on the wire',
  I4: 'a device has at most one pending key',
  I5: 'every minted key ends active or revoked',
  I6: 'a device has at most two valid keys',
  I7: 'abort, expiry and proof never undo each other',
  I8: 'a device drops a key only on a refusal that names it',
  I9: 'generations never fall',
  I10: 'no decision uses the wall clock of the device',
  I11: 'no key stands in plain form in logs, retained messages, traces or the database',
  I12: 'a reading is delivered once, or counted as dropped with a reason',
  I13: 'a paused or aborted campaign mints nothing',
  I14: 'the audit chain has one entry an arrow',
} as const;

export type InvariantName = keyof typeof INVARIANTS;
export const INVARIANT_NAMES = Object.keys(INVARIANTS) as InvariantName[];

export interface Broken {
  invariant: InvariantName;
  /** −1: not one device's. */
  device: number;
  atMs: number;
  what: string;
}

/** Breaks that are kept: the first says what happened, the others are its echo. */
const BROKEN_MAX = 20;

/** How often each invariant was looked at, and what was found. */
export class Invariants {
  /** Virtual time. */
  readonly nowMs: () => number;
  readonly checks: Record<InvariantName, number>;
  readonly found: Broken[] = [];

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
    this.checks = Object.fromEntries(INVARIANT_NAMES.map((name) => [name, 0])) as Record<InvariantName, number>;
  }

  checked(invariant: InvariantName): void {
    this.checks[invariant]++;
  }

  broken(invariant: InvariantName, device: number, what: string): void {
    this.checks[invariant]++;
    const known = this.found.some((one) => one.invariant === invariant && one.device === device);
    if (known || this.found.length >= BROKEN_MAX) return;
    this.found.push({ invariant, device, atMs: this.nowMs(), what });
  }
}

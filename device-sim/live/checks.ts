/** What `live` looks at beside the invariants of DESIGN §6.3: only a real server can get these wrong. */
export const LIVE_CHECKS = {
  'answered-digest': 'an accepted upload is answered with the size and the digest of what was sent',
  'kept-once': 'an accepted upload is listed once, with its size and digest, and opens to the same bytes',
  'upload-limit': 'a device gets exactly its uploads a minute: none above the limit, none refused below it',
  'no-fault': 'the server never answers 500',
  'at-rest': 'after the faults every device and the campaign come to rest',
} as const;

export type LiveCheck = keyof typeof LIVE_CHECKS;
export const LIVE_CHECK_NAMES = Object.keys(LIVE_CHECKS) as LiveCheck[];

export interface LiveBroken {
  check: LiveCheck;
  /** −1: not one device's. */
  device: number;
  what: string;
}

/** Breaks that are kept of each check: the first says what happened, the others are its echo. */
const BROKEN_MAX = 10;

/** How often each check was made, what was found, and which could not be made, with the reason. */
export class LiveChecks {
  readonly checks = Object.fromEntries(LIVE_CHECK_NAMES.map((name) => [name, 0])) as Record<LiveCheck, number>;
  readonly found: LiveBroken[] = [];
  readonly skipped = new Map<LiveCheck, string>();

  checked(check: LiveCheck): void {
    this.checks[check]++;
  }

  broken(check: LiveCheck, device: number, what: string): void {
    this.checks[check]++;
    if (this.found.filter((one) => one.check === check).length >= BROKEN_MAX) return;
    this.found.push({ check, device, what });
  }

  /** It could not be looked at, and why. */
  skip(check: LiveCheck, why: string): void {
    this.skipped.set(check, why);
  }
}

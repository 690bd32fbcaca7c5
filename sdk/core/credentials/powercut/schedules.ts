import type { Power } from './power.ts';
import { isPowerCut } from './power.ts';

/**
 * Something that must survive power cuts: a store on an emulated medium, and the world that watches it. Bring your own
 * store by writing one of these around it (`credentialSubject` is the example).
 */
export interface CutSubject {
  power: Power;
  /** How many ways a cut can leave what was not yet durable; each is explored. */
  variants: number;
  /** Boots, and goes on from whatever state it finds until the work is done. Lets a PowerCut pass. */
  drive(): void;
  /** The power is back, the cut has ended as `variant` says. */
  reboot(variant: number): void;
  /** After a reboot: what is broken, in words, or an empty text. May not change the subject. */
  check(): string;
  /** An independent copy, with a supply of its own. */
  copy(): CutSubject;
  /** A text that is equal only for subjects that will behave alike: what was seen once is not explored again. */
  fingerprint(): string;
}

/** One cut: before operation `at` (counted from the boot before it), ending as `variant`. */
export interface Cut {
  at: number;
  variant: number;
}

export interface CutFailure {
  /** Hand these to `replayCuts` to see it again. */
  cuts: Cut[];
  reason: string;
}

export interface CutReport {
  /** Operations of the whole work without a cut. */
  operations: number;
  /** Schedules of 1 to `depth` cuts that were covered, whether run or known from an equal state. */
  schedules: number;
  /** Boots that were really run. */
  boots: number;
  failures: CutFailure[];
}

/** After so many failures the search ends: one is enough to mend, ten show the pattern. */
const FAILURES_MAX = 10;

/**
 * Every schedule of up to `depth` power cuts: the first at any operation, each next at any operation after the reboot,
 * each in every variant. After each cut `check` must find nothing; after the last the work must also complete.
 */
export function exploreCuts(subject: CutSubject, depth: number): CutReport {
  const report: CutReport = { operations: 0, schedules: 0, boots: 0, failures: [] };
  const checked: { [state: string]: string } = {};
  const explored: { [depthAndState: string]: number } = {};

  const fail = function (cuts: Cut[], reason: string): void {
    if (report.failures.length < FAILURES_MAX) report.failures.push({ cuts: cuts, reason: reason });
  };

  /** Boots from this state, cuts at every operation, and gives the number of schedules below it. */
  const explore = function (from: CutSubject, depthLeft: number, cuts: Cut[]): number {
    let schedules = 0;
    let at = 0;
    const run = from.copy();
    const cutHere = function (): void {
      for (let variant = 0; variant < run.variants && report.failures.length < FAILURES_MAX; variant++) {
        const rebooted = run.copy();
        rebooted.reboot(variant);
        const path = cuts.concat([{ at: at, variant: variant }]);
        const state = rebooted.fingerprint();
        let broken = checked[state];
        if (broken === undefined) {
          broken = rebooted.check();
          checked[state] = broken;
          if (broken) fail(path, broken);
        }
        schedules++;
        if (broken) continue;
        const key = depthLeft - 1 + ':' + state;
        let below = explored[key];
        if (below === undefined) {
          below = explore(rebooted, depthLeft - 1, path);
          explored[key] = below;
        }
        schedules += below;
      }
      at++;
    };
    // With no cut left the work is still run to its end: a store that opens but is stuck is broken too.
    if (depthLeft > 0) run.power.watch = cutHere;
    report.boots++;
    try {
      run.drive();
      run.power.watch = null;
      const broken = run.check();
      if (broken) fail(cuts, 'after the work was done: ' + broken);
    } catch (error) {
      fail(cuts, 'the work threw: ' + String((error as Error).message));
    }
    if (cuts.length === 0) report.operations = at;
    return schedules;
  };

  report.schedules = explore(subject.copy(), depth, []);
  return report;
}

/** Runs one schedule and gives what `check` said after each cut, and last after the work was done. */
export function replayCuts(subject: CutSubject, cuts: Cut[]): string[] {
  const run = subject.copy();
  const said: string[] = [];
  for (let i = 0; i < cuts.length; i++) {
    const cut = cuts[i] as Cut;
    run.power.left = cut.at;
    try {
      run.drive();
    } catch (error) {
      if (!isPowerCut(error)) throw error;
    }
    run.reboot(cut.variant);
    said.push(run.check());
  }
  run.drive();
  said.push(run.check());
  return said;
}

import type { Operator } from '../swarm/operator.ts';
import type { SwarmOptions } from '../swarm/options.ts';
import type { Stage } from '../swarm/stage.ts';

/** A story that a fleet operator knows, told to the simulator. */
export interface Scenario {
  name: string;
  /** One sentence, for `--help` and reports. */
  summary: string;
  /** What of a run it sets, beside what the caller sets. */
  options: Partial<SwarmOptions>;
  /** Puts its events on the clock. What is not on it does not happen: no faults but these. */
  begin(world: Stage, operator: Operator): void;
  /** What must be so when the story ends, by itself and before anybody helps; null: it is. */
  expectsByThen?(world: Stage, operator: Operator): string | null;
  /** What must be so at the end, beside the invariants; null: it is. */
  expects(world: Stage, operator: Operator): string | null;
}

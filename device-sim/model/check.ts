import type { RotationSource } from './device-tables.ts';
import { type ModelOptions, productOptions } from './options.ts';
import { type SearchResult, search } from './search.ts';
import { variants } from './variants.ts';

/** The report of `fuselink-sim model --json`. */
export interface ModelReport {
  /** Every search of the product held every invariant and can settle, and every bad design was found to brick. */
  safe: boolean;
  /** Summed over the searches of the product. */
  states: number;
  edges: number;
  /** States from which the product could not settle by itself. */
  stuck: number;
  searches: { name: string; states: number; edges: number; stuck: number; broken: string | null; story: string[] }[];
  variants: { name: string; patch: string; bricks: boolean; steps: number; story: string[] }[];
}

export interface NamedSearch {
  name: string;
  options: ModelOptions;
}

const SOURCES: readonly RotationSource[] = ['self', 'offer', 'manual'];

/**
 * The searches that together are the claim "safe". A candidate that the device mints itself has the most to go wrong on
 * the wire, so there one rotation more is searched; the long tests search four rotations from every source. Four
 * rotations include every history of three.
 */
export function productSearches(): NamedSearch[] {
  return SOURCES.flatMap((source): NamedSearch[] => {
    const options = productOptions(source);
    const [many, exact] = source === 'self' ? [4, 2] : [3, 1];
    return [
      {
        name: `${source}: ${many} rotations`,
        options: { ...options, network: 'generous', generationMax: many + 1 },
      },
      {
        name: `${source}: 2 rotations, an incident, and a slot that rots`,
        options: { ...options, network: 'generous', incidents: true, rot: true },
      },
      {
        name: `${source}: what was really sent, ${exact} rotation(s)`,
        options: { ...options, generationMax: exact + 1 },
      },
    ];
  });
}

/** The same, deeper: for the long tests. */
export function deepSearches(): NamedSearch[] {
  return SOURCES.flatMap((source): NamedSearch[] => {
    const options = productOptions(source);
    return [
      { name: `${source}: 4 rotations`, options: { ...options, network: 'generous', generationMax: 5 } },
      {
        name: `${source}: 3 rotations and an incident`,
        options: { ...options, network: 'generous', generationMax: 4, incidents: true },
      },
      { name: `${source}: what was really sent, 2 rotations and rot`, options: { ...options, rot: true } },
    ];
  });
}

/** Whether a search of sound tables would have ended so. */
export function isSound(result: SearchResult): boolean {
  return result.broken === null && result.stuck === 0 && !result.truncated;
}

/** Runs everything. `tell` is called before each search with what is searched and how far the whole is, from 0 to 1. */
export function checkModel(tell: (name: string, done: number) => void = () => {}): ModelReport {
  const product = productSearches();
  const designs = variants();
  const total = product.length + designs.length;
  const searches = product.map(({ name, options }, index) => {
    tell(name, index / total);
    const result = search(options, 'all');
    const broken = result.truncated ? 'the search ran away' : (result.broken?.what ?? null);
    const story = result.broken?.story ?? result.stuckStory;
    return { name, states: result.states, edges: result.edges, stuck: result.stuck, broken, story };
  });
  const tried = designs.map(({ name, patch, options }, index) => {
    tell(name, (product.length + index) / total);
    const { broken } = search(options, 'bricks');
    return { name, patch, bricks: broken !== null, steps: broken?.steps ?? 0, story: broken?.story ?? [] };
  });
  const sum = (of: 'states' | 'edges' | 'stuck') => searches.reduce((all, one) => all + one[of], 0);
  const holds = searches.every((one) => one.broken === null && one.stuck === 0);
  return {
    safe: holds && tried.every((one) => one.bricks),
    states: sum('states'),
    edges: sum('edges'),
    stuck: sum('stuck'),
    searches,
    variants: tried,
  };
}

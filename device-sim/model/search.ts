import { type Move, modelOf } from './moves.ts';
import type { ModelOptions } from './options.ts';
import { isBricked, isSettled, type World } from './world.ts';

/** What an exhaustive search found. */
export interface SearchResult {
  states: number;
  edges: number;
  /** Why the search ended early: an invariant and the shortest way to break it. Null where all hold. */
  broken: { what: string; steps: number; story: string[] } | null;
  /** States from which the system cannot settle by itself; 0 unless the search was cut short. */
  stuck: number;
  /** The shortest way into a stuck state. */
  stuckStory: string[];
  /** There were more states than STATES_MAX: nothing is proven. */
  truncated: boolean;
}

/** `bricks`: only a locked-out device counts. `all`: every invariant, and that every state can settle. */
export type Question = 'bricks' | 'all';

/** More states than any sound question needs: a table that runs away is reported, not waited for. */
const STATES_MAX = 40_000;

/** Breadth first, so the first break found is a shortest one. Deterministic: no clock, no randomness. */
export function search(options: ModelOptions, question: Question): SearchResult {
  const model = modelOf(options);
  const worlds: World[] = [model.initial];
  const numbers = new Map<string, number>([[model.nameOf(model.initial), 0]]);
  const parents: number[] = [-1];
  const progressFrom: number[] = [];
  const progressTo: number[] = [];
  let edges = 0;

  function storyTo(index: number): string[] {
    const path: number[] = [];
    for (let at = index; at !== -1; at = parents[at]!) path.unshift(at);
    return path.slice(1).map((to, step) => {
      const name = model.nameOf(worlds[to]!);
      return model
        .moves(worlds[path[step]!]!)
        .find((move) => model.nameOf(move.to) === name)!
        .tell();
    });
  }

  function brokenAt(index: number, what: string, last: Move | null): SearchResult {
    const story = storyTo(index);
    if (last !== null) story.push(last.tell());
    const broken = { what, steps: story.length, story };
    return { states: worlds.length, edges, broken, stuck: 0, stuckStory: [], truncated: false };
  }

  for (let from = 0; from < worlds.length; from++) {
    for (const move of model.moves(worlds[from]!)) {
      if (question === 'all' && move.broken !== null) return brokenAt(from, move.broken, move);
      const name = model.nameOf(move.to);
      let to = numbers.get(name);
      if (to === undefined) {
        to = worlds.length;
        numbers.set(name, to);
        worlds.push(move.to);
        parents.push(from);
        if (isBricked(move.to)) return brokenAt(to, 'I1: no slot holds a key that the server takes', null);
      }
      if (to === from) continue;
      edges++;
      if (move.progress) {
        progressFrom.push(from);
        progressTo.push(to);
      }
    }
    if (worlds.length > STATES_MAX) {
      return { states: worlds.length, edges, broken: null, stuck: 0, stuckStory: [], truncated: true };
    }
  }
  const base = { states: worlds.length, edges, broken: null, truncated: false };
  if (question === 'bricks') return { ...base, stuck: 0, stuckStory: [] };
  const stuck = unsettling(worlds, progressFrom, progressTo);
  return { ...base, stuck: stuck.length, stuckStory: stuck.length > 0 ? storyTo(stuck[0]!) : [] };
}

/** Indexes of the worlds from which no way of progress leads to a settled one, nearest to the start first. */
function unsettling(worlds: readonly World[], from: readonly number[], to: readonly number[]): number[] {
  const heads = new Int32Array(worlds.length).fill(-1);
  const next = new Int32Array(from.length);
  for (let edge = 0; edge < from.length; edge++) {
    next[edge] = heads[to[edge]!]!;
    heads[to[edge]!] = edge;
  }
  const reached = new Uint8Array(worlds.length);
  const queue: number[] = [];
  worlds.forEach((world, index) => {
    if (isSettled(world)) {
      reached[index] = 1;
      queue.push(index);
    }
  });
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    for (let edge = heads[at]!; edge !== -1; edge = next[edge]!) {
      const source = from[edge]!;
      if (reached[source] === 1) continue;
      reached[source] = 1;
      queue.push(source);
    }
  }
  return worlds.map((_, index) => index).filter((index) => reached[index] === 0);
}

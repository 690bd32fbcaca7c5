import type { RotationEvent, SlotKey } from './device-tables.ts';
import type { ModelOptions } from './options.ts';
import { textOf } from './pool.ts';
import type { DeviceSide, Network, Request, ServerSide } from './world.ts';

/** Fingerprints a request names. */
function namedBy(request: Request): (string | null)[] {
  return request.kind === 'register' ? [request.by, request.record.fingerprint] : [request.by];
}

/** The fingerprint an answer is about, or null. A wish names its base; the base is in a slot or the wish is dead. */
function aboutKey(answer: RotationEvent): string | null {
  return 'fingerprint' in answer ? answer.fingerprint : null;
}

function distinctSorted<Value extends object>(values: readonly Value[]): Value[] {
  const byText = new Map(values.map((value) => [textOf(value), value]));
  return [...byText.keys()].sort().map((text) => byText.get(text)!);
}

/** Whether the device's table refuses what is not newer; only then may the checker forget stale wishes. */
export function refusesStale(options: ModelOptions): boolean {
  const { rows } = options.device;
  const all = Array.from({ length: rows.count }, (_, index) => rows.at(index));
  const refuses = all.some((row) => row.events.join() === 'candidate' && row.guards.join() === 'stale');
  const taking = all.filter((row) => row.actions.includes('mint') || row.actions.includes('ask'));
  return refuses && taking.every((row) => row.guards.includes('fresh'));
}

/** A wish that can bring about nothing: older than every slot, or to be answered by a request that is past itself. */
function isStale(answer: RotationEvent, floor: number, server: ServerSide): boolean {
  if (!('generation' in answer)) return false;
  const past = answer.kind === 'wanted' && answer.source !== 'self' && answer.generation < server.row.generation;
  return past || answer.generation <= floor;
}

/** Whether a request can matter no more. `reachable`: keys that are in a slot, or may yet be put there. */
function requestIsDead(request: Request, server: ServerSide, reachable: ReadonlySet<string>): boolean {
  if (namedBy(request).some((fingerprint) => fingerprint !== null && server.keys[fingerprint] === 'revoked'))
    return true;
  if (request.kind === 'ask') return request.generation < server.row.generation;
  if (request.kind === 'commit') return server.keys[request.by] === undefined && !reachable.has(request.by);
  const { fingerprint, generation } = request.record;
  // Refused for good, and recorded as revoked: which matters to nobody who does not have that key.
  return generation < server.row.generation && !reachable.has(fingerprint);
}

/**
 * The network after more was sent, without what can never matter again: requests under or about a revoked key
 * (revocation is for ever), requests of a past generation about keys that are nowhere, answers about keys the device no longer has and cannot be given, and wishes older than
 * every slot (the newest slot can be lost to a cut, the oldest cannot).
 */
export function networkWith(
  network: Network,
  added: { requests: readonly Request[]; answers: readonly RotationEvent[] },
  around: { device: DeviceSide; server: ServerSide; forgetStale: boolean },
): Network {
  const { slots, agent } = around.device;
  const valid = slots.filter((slot): slot is SlotKey => slot !== null);
  const floor = around.forgetStale && valid.length > 0 ? Math.min(...valid.map((slot) => slot.generation)) : -1;
  const all = [...network.answers, ...added.answers].filter((answer) => !isStale(answer, floor, around.server));
  const inHand = [...valid, agent.base, agent.candidate].filter((key) => key !== null);
  const reachable = new Set(inHand.map((key) => key.fingerprint));
  for (const answer of all) if (answer.kind === 'candidate') reachable.add(answer.fingerprint);
  const answers = all.filter((answer) => {
    const key = aboutKey(answer);
    return key === null || reachable.has(key);
  });
  const sent = [...network.requests, ...added.requests];
  const registering = new Set(reachable);
  const alive = sent.filter((one) => one.kind !== 'commit' && !requestIsDead(one, around.server, reachable));
  for (const one of alive) if (one.kind === 'register') registering.add(one.record.fingerprint);
  const requests = sent.filter(
    (one) => !requestIsDead(one, around.server, one.kind === 'commit' ? registering : reachable),
  );
  return { requests: distinctSorted(requests), answers: distinctSorted(answers) };
}

/** The server without revoked keys that nobody holds and nothing on the wire names: they are as good as unknown. */
export function withoutForgotten(server: ServerSide, network: Network, slots: DeviceSide['slots']): ServerSide {
  const named = new Set<string | null>(slots.map((slot) => slot?.fingerprint ?? null));
  for (const request of network.requests) for (const key of namedBy(request)) named.add(key);
  for (const answer of network.answers) named.add(aboutKey(answer));
  const all = Object.keys(server.keys);
  const kept = all.filter((key) => server.keys[key] !== 'revoked' || named.has(key));
  if (kept.length === all.length) return server;
  return { row: server.row, keys: Object.fromEntries(kept.map((key) => [key, server.keys[key]!])) };
}

/** A name for a key drawn now: not one that anybody has heard of. */
export function freshKey(
  generation: number,
  world: { slots: DeviceSide['slots']; keys: ServerSide['keys']; network: Network },
): string {
  const used = (name: string) =>
    world.keys[name] !== undefined ||
    world.slots.some((slot) => slot?.fingerprint === name) ||
    world.network.requests.some((request) => namedBy(request).includes(name)) ||
    world.network.answers.some((answer) => aboutKey(answer) === name);
  const names = ['', 'b', 'c', 'd'].map((suffix) => `K${generation}${suffix}`);
  return names.find((name) => !used(name)) ?? names.at(-1)!;
}

import { enrolled, type RotationCommand, type RotationOutcome } from '#server';
import { type DeviceEnd, deviceEnds } from './device-moves.ts';
import { type RotationEvent, type SlotKey, unbootedRotation } from './device-tables.ts';
import { exceptImplied, impliedAnswers, impliedRequests } from './generous.ts';
import { freshKey, networkWith, refusesStale, withoutForgotten } from './network.ts';
import { initiatives } from './operator-moves.ts';
import type { ModelOptions } from './options.ts';
import { Memo, Pool } from './pool.ts';
import { AFTER, BEFORE, brokenByArrow, commandOf, type ServerEnd, serverEnd, stored, told } from './server-moves.ts';
import { tellDecision, tellDeviceMove, tellServerMove, tellStored } from './story.ts';
import type { DeviceSide, Network, Request, ServerSide, Surroundings, World } from './world.ts';

/** One thing that can happen next. */
export interface Move {
  to: World;
  /** The system goes on by itself, or the operator ends what an operator began: no fault, no wish, nothing taken back. */
  progress: boolean;
  tell: () => string;
  /** The invariant this move broke. */
  broken: string | null;
}

export interface Model {
  initial: World;
  moves(world: World): Move[];
  /** A text that is equal for equal worlds. */
  nameOf(world: World): string;
}

interface Sent {
  requests: readonly Request[];
  answers: readonly RotationEvent[];
}

const NOTHING: Sent = { requests: [], answers: [] };

function standsOn(server: ServerSide, outcome: RotationOutcome): boolean {
  return server.row.state === outcome.expect.state && server.row.generation === outcome.expect.generation;
}

/** By compare-and-set a decision on a row that has moved on can never be stored: neither MINTED nor PROVEN comes twice. */
function withoutDeadDecision(around: Surroundings, server: ServerSide): Surroundings {
  if (around.decision === null || standsOn(server, around.decision.outcome)) return around;
  return { ...around, decision: null };
}

function eventText(event: RotationEvent): string {
  const { kind, fingerprint, generation, base, recovery } = event as Record<string, unknown>;
  return `${kind} ${fingerprint} ${generation} ${base} ${recovery}`;
}

function commandText(command: RotationCommand): string {
  const { kind, by, fingerprint, generation, base, known, paused } = command as Record<string, unknown>;
  return `${kind} ${by} ${fingerprint} ${generation} ${base} ${known} ${paused}`;
}

/** The model of one device, one server and the network between them. */
export function modelOf(options: ModelOptions): Model {
  const pool = new Pool();
  const forgetStale = refusesStale(options);
  const deviceMemo = new Memo<{ end: DeviceEnd; sent: Sent }[]>();
  const serverMemo = new Memo<{ end: ServerEnd; sent: Sent }>();
  const relevanceMemo = new Memo<number>();
  const networkMemo = new Memo<Network>();
  const serverPartMemo = new Memo<ServerSide>();

  /** A number for all that decides what of the network still matters. */
  function relevance(device: DeviceSide, server: ServerSide): number {
    const { base, candidate } = device.agent;
    return pool.numberOf(
      pool.intern({
        slots: device.slots,
        inHand: [base?.fingerprint ?? null, candidate?.fingerprint ?? null],
        keys: server.keys,
        generation: server.row.generation,
      }),
    );
  }

  function settleParts(world: World, sent: Sent): World {
    const device = pool.intern(world.device);
    const server = pool.intern(world.server);
    const added = pool.intern(sent);
    const pair = `${pool.numberOf(device)} ${pool.numberOf(server)}`;
    const relevant = relevanceMemo.get(pair, () => relevance(device, server));
    const text = `${relevant} ${pool.numberOf(pool.intern(world.network))} ${pool.numberOf(added)}`;
    const network = networkMemo.get(text, () => {
      const given = options.network === 'exact' ? added : exceptImplied(added, device.slots);
      return pool.intern(networkWith(world.network, given, { device, server, forgetStale }));
    });
    const kept = serverPartMemo.get(`${pair} ${pool.numberOf(network)}`, () =>
      pool.intern(withoutForgotten(server, network, device.slots)),
    );
    const around = options.store === 'blind' ? world.around : withoutDeadDecision(world.around, kept);
    return { device, server: kept, network, around: pool.intern(around) };
  }

  function newKey(world: World, generation: number): string {
    return freshKey(generation, { slots: world.device.slots, keys: world.server.keys, network: world.network });
  }

  function endsOf(world: World, event: RotationEvent): { end: DeviceEnd; sent: Sent }[] {
    const name = 'generation' in event ? newKey(world, event.generation) : '';
    const text = `${pool.numberOf(world.device)} ${name} ${eventText(event)}`;
    return deviceMemo.get(text, () =>
      deviceEnds(options, world.device, event, () => name).map((end) => ({
        end: { ...end, device: pool.intern(end.device) },
        sent: pool.intern({ requests: end.sent, answers: [] }),
      })),
    );
  }

  function lostKey(world: World, end: DeviceEnd): string | null {
    const held = end.device.slots.map((slot) => slot?.fingerprint);
    const dropped = world.device.slots.find((slot) => {
      if (slot === null || held.includes(slot.fingerprint)) return false;
      const state = world.server.keys[slot.fingerprint] ?? 'revoked';
      // One of two quarantined keys may go: neither will be trusted again, and the other still reports.
      return state !== 'revoked' && state !== 'quarantined';
    });
    return dropped ? `I8: the device dropped ${dropped.fingerprint}, which is not revoked` : null;
  }

  function deviceMoves(world: World, event: RotationEvent, progress: boolean): Move[] {
    return endsOf(world, event).map(({ end, sent }) => ({
      to: settleParts({ ...world, device: end.device }, sent),
      progress: progress && end.cut === 'whole',
      tell: () => tellDeviceMove(event, end),
      broken: end.broken ?? lostKey(world, end),
    }));
  }

  /** Everything that can reach the device now. What nobody sent can be a spurious 401, a timeout, or a power cut. */
  function atDevice(world: World): Move[] {
    const { device, server, network } = world;
    const moves: Move[] = [];
    const hear = (event: RotationEvent, progress: boolean) => moves.push(...deviceMoves(world, event, progress));
    hear({ kind: 'booted', slots: [...device.slots] }, false);
    hear({ kind: 'due' }, true);
    hear({ kind: 'failed' }, true);
    for (const key of [device.agent.base, device.agent.candidate]) {
      if (key === null) continue;
      hear({ kind: 'unknown', fingerprint: key.fingerprint }, server.keys[key.fingerprint] === undefined);
      if (server.keys[key.fingerprint] !== 'revoked') continue;
      hear({ kind: 'revoked', fingerprint: key.fingerprint }, true);
      if (server.row.active === null) continue;
      hear({ kind: 'recoverable', generation: server.row.generation + 1, base: key.fingerprint }, true);
    }
    for (const answer of network.answers) hear(answer, true);
    if (options.network === 'generous') for (const answer of impliedAnswers(world)) hear(answer, true);
    return moves;
  }

  function decide(world: World, command: RotationCommand, nowMs: number): { end: ServerEnd; sent: Sent } {
    const paused = 'paused' in command && command.paused;
    const at = { nowMs, paused, mayAlarm: world.around.rotted };
    const text = `${pool.numberOf(world.server)} ${commandText(command)} ${nowMs} ${at.mayAlarm}`;
    return serverMemo.get(text, () => {
      const end = serverEnd(options, world.server, command, at);
      const sent = pool.intern({ requests: [], answers: answersTo(command, end) });
      return { end: { ...end, server: pool.intern(end.server) }, sent };
    });
  }

  function withinBounds(end: ServerEnd): boolean {
    return end.server.row.generation <= options.generationMax;
  }

  function keysHanded(command: RotationCommand, end: ServerEnd): RotationEvent[] {
    const handed = command.kind === 'ask' || command.kind === 'issue';
    if (!handed || end.outcome.row.state !== 'MINTED' || end.outcome.kind !== 'moved') return [];
    const { generation, active, pending } = end.server.row;
    return [{ kind: 'candidate', generation, base: active!, fingerprint: pending! }];
  }

  function answersTo(command: RotationCommand, end: ServerEnd): RotationEvent[] {
    const answers = [...end.answers, ...keysHanded(command, end)];
    const { reply } = end.outcome;
    if (command.kind === 'commit') answers.push({ kind: 'accepted', fingerprint: command.by });
    const registers = command.kind === 'register' || command.kind === 'recover';
    if (registers && (reply === 'done' || reply === 'repeat')) {
      answers.push({ kind: 'registered', fingerprint: command.fingerprint });
    }
    return answers;
  }

  function serverMove(world: World, command: RotationCommand, nowMs: number): Move[] {
    const { end, sent } = decide(world, command, nowMs);
    if (!withinBounds(end)) return [];
    return [
      {
        to: settleParts({ ...world, server: end.server }, sent),
        progress: true,
        tell: () => tellServerMove(command, end),
        broken: end.broken,
      },
    ];
  }

  /** Every request that was ever sent may arrive now, before or after whatever can run out at the server. */
  function atServer(world: World): Move[] {
    const { network, server, device } = world;
    const key = newKey(world, server.row.generation);
    const implied = options.network === 'generous' ? impliedRequests(device.slots) : [];
    return [...network.requests, ...implied].flatMap((request) => {
      const command = commandOf(server, request, { paused: false, newKey: key });
      if (command === null) return [];
      if ('paused' in command) {
        const paused = serverMove(world, { ...command, paused: true }, BEFORE);
        return [...paused, ...serverMove(world, command, BEFORE)];
      }
      const times = server.row.soakUntilMs === null ? [BEFORE] : [BEFORE, AFTER];
      return times.flatMap((nowMs) => serverMove(world, command, nowMs));
    });
  }

  function byInitiative(world: World): Move[] {
    const { row } = world.server;
    const key = newKey(world, row.state === 'LOST' ? row.generation + 1 : row.generation);
    return initiatives(options, world, key).flatMap((initiative): Move[] => {
      const { command, nowMs, progress, incident } = initiative;
      const around: Surroundings = incident ? { ...world.around, incident } : world.around;
      const provisions = command.kind === 'reprovision';
      return serverMove({ ...world, around }, command, nowMs).map((move) => ({
        ...move,
        progress,
        to: provisions ? provisioned(move.to, key) : move.to,
      }));
    });
  }

  /** Whoever provisions a device has it in hand: server and slots are done together, and nothing older matters. */
  function provisioned(world: World, fingerprint: string): World {
    const record: SlotKey = { generation: world.server.row.generation, base: '-', fingerprint };
    const slots = [record, record];
    const device = { ...world.device, slots };
    const end = deviceEnds(options, device, { kind: 'provisioned', slots }, () => '')[0]!;
    return settleParts({ ...world, device: end.device }, { requests: end.sent, answers: [] });
  }

  /** Decisions on what was read: taken, stored later, or lost when the server crashes in between. */
  function decisions(world: World): Move[] {
    const { server, around } = world;
    if (around.decision === null) {
      const { state } = server.row;
      const name = state === 'MINTED' ? ('abort' as const) : state === 'PROVEN' ? ('rollBack' as const) : null;
      if (name === null) return [];
      const { outcome, server: after } = decide(world, { kind: name }, BEFORE).end;
      if (outcome.kind === 'stayed' || after.row.generation > options.generationMax) return [];
      const decision: Surroundings['decision'] = pool.intern({ name, outcome });
      const to = settleParts({ ...world, around: { ...around, decision } }, NOTHING);
      return [{ to, progress: false, tell: () => tellDecision(name, { outcome }), broken: null }];
    }
    const { name, outcome } = around.decision;
    const crash = settleParts({ ...world, around: { ...around, decision: null } }, NOTHING);
    const moves: Move[] = [
      { to: crash, progress: true, tell: () => 'The server crashes before it stores the decision.', broken: null },
    ];
    if (options.store === 'blind' || standsOn(server, outcome)) moves.push(storeDecision(world, name, outcome));
    return moves;
  }

  function storeDecision(world: World, name: 'abort' | 'rollBack', outcome: RotationOutcome): Move {
    const server = stored(world.server, outcome);
    const around = { ...world.around, decision: null };
    const broken = brokenByArrow(world.server, server, {
      command: { kind: name },
      outcome,
      paused: false,
      mayAlarm: true,
    });
    return {
      to: settleParts({ ...world, server, around }, { requests: [], answers: told(server) }),
      progress: false,
      tell: () => tellStored(name, { outcome }),
      broken,
    };
  }

  /** The newer slot rots while the device is away for longer than any request lives, its old key still being good. */
  function rots(world: World): Move[] {
    const { device, server, network, around } = world;
    const { base, candidate } = device.agent;
    if (!options.rot || around.rotted || base === null || candidate === null) return [];
    if (server.row.incident || server.row.generation >= options.generationMax) return [];
    const state = server.keys[base.fingerprint];
    if (state !== 'active' && state !== 'retiring') return [];
    const slots = device.slots.map((slot) => (slot?.fingerprint === candidate.fingerprint ? null : slot));
    const requests = network.requests.filter((one) => one.by !== candidate.fingerprint);
    const end = deviceEnds(options, { ...device, slots }, { kind: 'booted', slots }, () => '')[0]!;
    const to = settleParts(
      { ...world, device: end.device, network: { ...network, requests }, around: { ...around, rotted: true } },
      { requests: end.sent, answers: [] },
    );
    const tell = () => `The device is away for long, and the slot with ${candidate.fingerprint} rots.`;
    return [{ to, progress: false, tell, broken: null }];
  }

  const key: SlotKey = { generation: 1, base: '-', fingerprint: 'K1' };
  const slots = options.storage === 'one-slot' ? [key, null] : [key, key];
  const unborn: DeviceSide = { slots, agent: unbootedRotation() };
  const born = deviceEnds(options, unborn, { kind: 'booted', slots }, () => '')[0]!;
  const initial = settleParts(
    {
      device: born.device,
      server: { row: enrolled('K1', 1), keys: { K1: 'active' } },
      network: { requests: [], answers: [] },
      around: { decision: null, rotted: false, incident: false },
    },
    { requests: born.sent, answers: [] },
  );

  return {
    initial,
    moves: (world) => [
      ...atDevice(world),
      ...atServer(world),
      ...byInitiative(world),
      ...decisions(world),
      ...rots(world),
      ...compaction(options, world, settleParts),
    ],
    nameOf: (world) =>
      `${pool.numberOf(world.device)},${pool.numberOf(world.server)},${pool.numberOf(world.network)},${pool.numberOf(world.around)}`,
  };
}

/** A file system that keeps both slots in one erase page moves them when it likes, and a cut then loses both. */
function compaction(options: ModelOptions, world: World, settleParts: (world: World, sent: Sent) => World): Move[] {
  if (options.storage !== 'shared') return [];
  const slots = [null, null];
  const end = deviceEnds(options, { ...world.device, slots }, { kind: 'booted', slots }, () => '')[0]!;
  const to = settleParts({ ...world, device: end.device }, NOTHING);
  const tell = () => 'The file system compacts the page that holds both slots, and the power is cut inside.';
  return [{ to, progress: false, tell, broken: null }];
}

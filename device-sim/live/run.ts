import { setTimeout as delay } from 'node:timers/promises';
import { storm } from '../swarm/fleet.ts';
import type { Member } from '../swarm/member.ts';
import { Operator } from '../swarm/operator.ts';
import { each } from './each.ts';
import { type AuditHead, calm, lastQuestions, rest } from './ending.ts';
import { enrol, enrolAll, type Removed, removeRuns } from './enrolment.ts';
import { Management, NotServed, said } from './management.ts';
import { MARK, marksOf, type RunMarks } from './marks.ts';
import { Meter } from './meter.ts';
import type { LiveOptions } from './options.ts';
import { livePage } from './page.ts';
import { type LiveResult, type Numbers, resultOf } from './result.ts';
import { probeLimit } from './upload-limit.ts';
import { Wire } from './wire.ts';
import { LiveWorld } from './world.ts';

const TIMEOUT_MS = 30_000;
const TURN_MS = 100;
/** After the faults: what a campaign's last waves and a device's longest usual back-off take. */
const REST_MS_MAX = 180_000;
const REST_MS_A_DEVICE = 30;
/** Each wave is over when its devices have been heard a few times. */
const REST_UPLOADS = 20;
const READ_BACK_MAX = 500;
const BURN_MAX = 2_000;
const AT_ONCE = 24;
/** Before so much of the scenario has passed, all are on. */
const SWITCH_ON_SHARE = 8;

export type Phase = 'signing in' | 'enrolling' | 'running' | 'coming to rest' | 'last questions' | 'removing';

/** How far a run is. */
export interface Progress {
  phase: Phase;
  /** Share of the phase, 0 to 1, where that is known. */
  share: number | null;
  seconds: number;
  numbers: Numbers;
  campaign: string;
}

export interface LiveHooks {
  progress(progress: Progress): void;
  /** Ends the run early; what it made is removed all the same. */
  signal: AbortSignal;
}

/**
 * One run: enrols its devices, plays the scenario, waits for rest, asks the last questions, and removes its devices,
 * whatever happened. Throws NotServed where the server cannot be reached or does not let it, and what is a bug of the
 * simulator.
 */
export async function runLive(options: LiveOptions, hooks: LiveHooks): Promise<{ result: LiveResult; page(): string }> {
  const meter = new Meter();
  const { url, ca, connectionsMax } = options;
  const wire = new Wire({ url, ...(ca === undefined ? {} : { ca }), connectionsMax, timeoutMs: TIMEOUT_MS, meter });
  const marks = marksOf(newRunId());
  const began = performance.now();
  const startedAtMs = Date.now();
  let phase: Phase = 'signing in';
  let share: number | null = null;
  let world: LiveWorld | null = null;
  let operator: Operator | null = null;
  const tell = () => {
    const seconds = (performance.now() - began) / 1000;
    hooks.progress({
      phase,
      share,
      seconds,
      numbers: numbersOf(meter, world),
      campaign: operator?.campaign?.state ?? '-',
    });
  };
  const ticking = setInterval(tell, 1_000);
  const go = (next: Phase) => {
    phase = next;
    share = null;
    tell();
  };
  let management: Management | null = null;
  let removed: Removed = { devices: 0, campaigns: 0, left: [] };
  let readBack = 0;
  let atRest: ReadonlySet<Member> = new Set();
  let missed: string | null = null;
  try {
    go('signing in');
    management = await Management.open(wire, options.credentials);
    const audit = await auditHead(management);
    world = new LiveWorld(options, { management, wire, marks });
    const { signal } = hooks;
    const over = () => signal.aborted || world?.error !== null;
    go('enrolling');
    const { members } = world;
    const joined = world;
    await enrolAll(management, {
      marks,
      count: options.devices,
      signal,
      done: (number, device) => {
        joined.join(number, device);
        share = members.length / options.devices;
      },
    });
    if (!over()) {
      go('running');
      world.clock.begin();
      operator = new Operator(world);
      const probe = probing(world, { management, wire, marks, number: options.devices }).catch(world.fail.bind(world));
      switchOn(world, options);
      options.scenario.begin(world, operator);
      storm(world);
      while (!over() && world.clock.elapsedMs < options.durationMs) {
        share = world.clock.elapsedMs / options.durationMs;
        await delay(TURN_MS);
      }
      await probe;
      calm(world, operator);
      go('coming to rest');
      atRest = await rest(world, operator, {
        management,
        withinMs:
          REST_MS_MAX + REST_MS_A_DEVICE * options.devices + (REST_UPLOADS * 1000 * options.devices) / options.rate,
        enough: over,
      });
    }
    // While its devices still run: a scenario may ask where they stand.
    if (!over() && operator !== null) missed = options.scenario.expects(world, operator);
    world.finish();
    if (!over()) {
      go('last questions');
      const how = {
        management,
        wire,
        audit,
        atRest,
        sinceMs: startedAtMs,
        readBack: { share: options.readBack, most: READ_BACK_MAX },
      };
      readBack = (await lastQuestions(world, how)).readBack;
    }
  } finally {
    world?.finish();
    go('removing');
    if (management !== null) removed = await tidyUp(management, marks, world);
    clearInterval(ticking);
    wire.close();
  }
  if (world.error !== null) throw world.error;
  const interrupted = hooks.signal.aborted;
  const seconds = (performance.now() - began) / 1000;
  const what = { options, world, operator, meter, removed, readBack, missed, interrupted, seconds, run: marks.id };
  const result = resultOf(what);
  return { result, page: () => livePage({ ...what, result }) };
}

/** A fleet is not switched on in one moment, or its load would come in waves: over as long as it takes to send once. */
function switchOn(world: LiveWorld, { devices, rate, durationMs }: LiveOptions): void {
  const overMs = Math.min((devices * 1000) / rate, durationMs / SWITCH_ON_SHARE);
  for (const { device } of world.members) {
    world.clock.after(world.chance.fleet.next() * overMs, () => world.powerUp(device.traits.number));
  }
}

/** Eight letters and digits, from the clock and chance: no two runs share it. */
function newRunId(): string {
  return Math.floor(Math.random() * 36 ** 8)
    .toString(36)
    .padStart(8, '0');
}

async function auditHead(management: Management): Promise<AuditHead> {
  const answer = await management.order('GET', '/v1/audit?limit=1', null);
  const entries = answer?.json?.['entries'];
  if (!Array.isArray(entries)) throw new NotServed(`expected the newest entry of the audit, got ${said(answer)}`);
  const { seq, hash } = (entries[0] ?? {}) as Record<string, unknown>;
  return { chain: management.accountId, hash: String(hash ?? ''), seq: Number(seq ?? 0) };
}

async function probing(
  world: LiveWorld,
  what: { management: Management; wire: Wire; marks: RunMarks; number: number },
): Promise<void> {
  const { management, wire, marks, number } = what;
  const { key } = await enrol(management, marks, 'limit');
  await probeLimit({ wire, checks: world.checks, key, device: number });
}

/** Burns what nobody will read, as far as that is few, and removes the run's campaigns and devices. */
async function tidyUp(management: Management, marks: RunMarks, world: LiveWorld | null): Promise<Removed> {
  try {
    const unread = world?.uploads.unread() ?? [];
    await each(unread.slice(0, BURN_MAX), AT_ONCE, async (id) => {
      await management.order('DELETE', `/v1/transfers/${id}`, null);
    });
    const removed = await removeRuns(management, (run) => run === marks.id);
    await management.close();
    return removed;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { devices: 0, campaigns: 0, left: [`the devices tagged ${marks.tag} (${MARK}): ${why}`] };
  }
}

function numbersOf(meter: Meter, world: LiveWorld | null): Numbers {
  const { requests, answers, inFlight } = meter;
  const devices = world?.members.length ?? 0;
  const broken = (world?.invariants.found.length ?? 0) + (world?.checks.found.length ?? 0);
  return { requests, answers, in_flight: inFlight, devices, uploads: world?.uploads.count ?? 0, broken };
}

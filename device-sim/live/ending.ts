import { setTimeout as delay } from 'node:timers/promises';
import { readAudit } from '../oracle/audit.ts';
import { tryKeys } from '../swarm/ending.ts';
import { calmMember, type Member } from '../swarm/member.ts';
import type { Operator } from '../swarm/operator.ts';
import { each } from './each.ts';
import type { Management } from './management.ts';
import type { Wire } from './wire.ts';
import type { LiveWorld } from './world.ts';

const LOOK_EVERY_MS = 500;
const AT_ONCE = 24;
/** A device that is not settled after so long is switched off and on by whoever stands beside it. */
const POWER_CYCLE_MS = 20_000;
/** A campaign that has paused itself is let go on so often, and then called off. */
const RESUMES_MAX = 3;
/** Entries of an audit that are read: what the campaign of 20,000 devices leaves. */
const AUDIT_ENTRIES_MAX = 200_000;

/** The faults are over: everything is up, nothing is lost on the way, copies are gone. */
export function calm(world: LiveWorld, operator: Operator): void {
  world.stormy = false;
  world.network.heal();
  operator.resting = true;
  for (const member of world.members) {
    if (member !== undefined) calmMember(world, member);
  }
}

/**
 * Waits until the campaign has ended and every device is settled on both sides with nothing left to send. Devices go on
 * recording until then: a server tells them things in answers alone. What did not come to rest in `withinMs` is a finding. The
 * devices that did.
 */
export async function rest(
  world: LiveWorld,
  operator: Operator,
  how: { management: Management; withinMs: number; enough(): boolean },
): Promise<ReadonlySet<Member>> {
  const own = world.members.filter((member) => member !== undefined && !member.clone);
  const settled = new Set<Member>();
  const began = performance.now();
  let resumes = 0;
  let cycledMs = began;
  const lateMs = () => performance.now() - began;
  while (!how.enough() && lateMs() < how.withinMs) {
    const { campaign } = operator;
    if (campaign?.state === 'PAUSED') {
      operator.orderCampaign(operator.resumes && resumes++ < RESUMES_MAX ? 'resume' : 'abort');
    }
    if (campaign !== null) settled.clear();
    if (performance.now() - cycledMs > POWER_CYCLE_MS) {
      cycledMs = performance.now();
      for (const member of own) if (!isQuiet(member) && campaign === null) cycle(world, member);
    }
    await each(own, AT_ONCE, async (member) => {
      if (!settled.has(member)) await settle(world, operator, { member, settled, management: how.management });
    });
    if (operator.campaign === null && settled.size === own.length) return settled;
    await delay(LOOK_EVERY_MS);
  }
  if (how.enough()) return settled;
  const open = own.filter((member) => !settled.has(member));
  const seconds = Math.round(how.withinMs / 1000);
  if (operator.campaign !== null) {
    world.checks.broken('at-rest', -1, `after ${seconds} s the campaign is still ${operator.campaign.state}`);
  }
  for (const { device } of open) {
    const what = `after ${seconds} s it is ${device.phase}, with ${device.backlog} readings waiting`;
    world.checks.broken('at-rest', device.traits.number, what);
  }
  return settled;
}

function isQuiet({ device }: Member): boolean {
  return device.phase === 'SETTLED' && device.backlog === 0;
}

function cycle(world: LiveWorld, { device }: Member): void {
  const { number } = device.traits;
  world.recorder.note('order', number, 0, () => 'switched off and on by hand');
  device.powerOff();
  world.powerUp(number, true);
}

async function settle(
  world: LiveWorld,
  operator: Operator,
  about: { member: Member; settled: Set<Member>; management: Management },
): Promise<void> {
  const { member, settled, management } = about;
  const { device } = member;
  device.recording = operator.campaign !== null || device.phase !== 'SETTLED';
  if (!device.isOn) world.powerUp(device.traits.number);
  if (operator.campaign !== null) return;
  const answer = await management.order('GET', `/v1/devices/${member.id}/rotation`, null);
  const state = answer?.json?.['state'];
  // It hears of what the server waits for with its next reading, as in life.
  device.recording = state !== 'IDLE' || device.phase !== 'SETTLED';
  if (state === 'LOST') operator.provision(member);
  if (state === 'QUARANTINED') operator.settleQuarantine(member);
  // Nobody carries a key there any more.
  const manual = answer?.json?.['source'] === 'manual' && (state === 'WANTED' || state === 'MINTED');
  if (manual) operator.orderDevice(member, 'abort', null);
  if (state === 'IDLE' && device.backlog > 0) device.kick();
  if (state === 'IDLE' && isQuiet(member)) settled.add(member);
}

/** The newest entry of the account's audit when the run began. */
export interface AuditHead {
  chain: string;
  hash: string;
  seq: number;
}

/** What can only be asked at the end: every key ever seen, the audit since the run began, every upload that was accepted. */
export async function lastQuestions(
  world: LiveWorld,
  how: {
    management: Management;
    wire: Wire;
    audit: AuditHead;
    /** Devices that came to rest: what one in the middle of a rotation holds is not yet to be judged. */
    atRest: ReadonlySet<Member>;
    /** When the run began, on the machine's clock. */
    sinceMs: number;
    readBack: { share: number; most: number };
  },
): Promise<{ readBack: number }> {
  const { oracle, invariants, checks } = world;
  const { management, wire } = how;
  const own = world.members.filter((member) => member !== undefined && !member.clone);
  await each([...how.atRest], AT_ONCE, async ({ device }) => {
    const { number } = device.traits;
    oracle.readings.finish(number);
    await tryKeys({ oracle, invariants }, number, async (request) => {
      const answer = (await wire.ask(request)) ?? (await wire.ask(request));
      // A key that is refused as revoked must have been given a reason by then (I2, I7).
      if (answer !== null) oracle.served(number, request, answer, oracle.now());
      return answer;
    });
  });
  const numbers = new Map(own.map(({ id, device }) => [id, device.traits.number]));
  await world.uploads.compareWithList(management, numbers, how.sinceMs);
  const { share, most } = how.readBack;
  const readBack = await world.uploads.readBack(wire, { share, most, chance: world.chance.fleet });
  await lookAtAudit(world, management, how.audit);
  if (own.length === 0) checks.skip('at-rest', 'there was no device');
  return { readBack };
}

async function lookAtAudit(world: LiveWorld, management: Management, start: AuditHead): Promise<void> {
  const { oracle, invariants } = world;
  const far = (items: Record<string, unknown>[]) =>
    Number(items.at(-1)?.['seq']) <= start.seq || items.length > AUDIT_ENTRIES_MAX;
  const entries = await management.all('/v1/audit', 'entries', far);
  if (entries.length > AUDIT_ENTRIES_MAX) return;
  const since = entries.filter((entry) => Number(entry['seq']) > start.seq).reverse();
  const own = new Set(world.members.map((member) => member?.id ?? ''));
  const after = { ...start, isNew: (subject: string) => own.has(subject) };
  for (const { from, action } of readAudit(since, { invariants, proofs: oracle.proofs(), after })) {
    world.recorder.arrow(from, action);
  }
}

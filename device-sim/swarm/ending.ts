import type { RelayAnswer, RelayRequest } from '#server';
import { readAudit } from '../oracle/audit.ts';
import type { Invariants } from '../oracle/invariants.ts';
import type { Oracle } from '../oracle/oracle.ts';
import { findKeys } from '../oracle/secrets.ts';
import { calmMember, type Member } from './member.ts';
import type { Operator } from './operator.ts';
import { DAY_MS, HOUR_MS } from './options.ts';
import type { World } from './world.ts';

/** What calm must bring to rest within: the longest back-off, a campaign's stragglers, a pending key's life. */
export const REST_DAYS_MAX = 45;
/** After so long somebody drives out to a device that had a reason to be lost. */
const VISIT_AFTER_MS = 4 * DAY_MS;
const LOOK_EVERY_MS = 2 * HOUR_MS;
const AUDIT_PAGE = 100;
/** The newest links of a run: one request each. */
const LINKS_TRIED_MAX = 50;
/** Where the server can only wait for the device's next request. */
const WAITS_FOR_CONTACT: unknown[] = ['WANTED', 'OVERDUE'];

/** The storm is over: everything is up, nothing is lost on the way, copies are gone, operators only help. */
export function calm(world: World, operator: Operator): void {
  world.stormy = false;
  world.network.heal();
  world.servers.heal();
  operator.resting = true;
  for (const member of world.members) {
    if (member === undefined) continue;
    member.device.recording = false;
    calmMember(world, member);
  }
}

/** Where the fleet stands on its way to rest. */
export interface Rest {
  reached: boolean;
  /** Devices that are not there yet, with what they wait for. */
  open: { device: number; why: string }[];
}

/** Looks every two hours whether everything has come to rest, and helps where an operator has to. */
export class Ending {
  readonly #world: World;
  readonly #operator: Operator;
  readonly #sinceMs: number;
  rest: Rest = { reached: false, open: [] };
  #looking = false;

  constructor(world: World, operator: Operator) {
    this.#world = world;
    this.#operator = operator;
    this.#sinceMs = world.kernel.nowMs;
    this.#look();
  }

  #look(): void {
    const { kernel } = this.#world;
    if (this.rest.reached) return;
    kernel.after(LOOK_EVERY_MS, () => this.#look());
    if (this.#looking) return;
    this.#looking = true;
    const own = this.#world.members.filter((one) => one !== undefined && !one.clone && !one.gone);
    const open: Rest['open'] = [];
    let left = own.length;
    if (left === 0) this.rest = { reached: true, open };
    for (const member of own) {
      this.#world.order('GET', `/v1/devices/${member.id}/rotation`, null, (answer) => {
        // A device is told in answers alone: one that has said everything (while the campaign was paused, say) hears of
        // its rotation with its next reading, as it would in life.
        member.device.recording = WAITS_FOR_CONTACT.includes(answer?.json?.['state']);
        const why = this.#waitsFor(member, answer);
        if (why !== null) {
          open.push({ device: member.device.traits.number, why });
          this.#help(member, answer);
        }
        if (--left > 0) return;
        this.#looking = false;
        const { campaign } = this.#operator;
        if (campaign !== null) this.#helpCampaign(campaign.state);
        this.rest = { reached: open.length === 0 && campaign === null, open };
      });
    }
  }

  #waitsFor({ device }: Member, answer: RelayAnswer | null): string | null {
    const state = answer?.json?.['state'];
    if (state !== 'IDLE') return `its rotation is ${String(state)}`;
    if (device.phase !== 'SETTLED') return `it is ${device.phase}`;
    return device.backlog > 0 ? `${device.backlog} readings wait` : null;
  }

  #helpCampaign(state: string): void {
    const lateMs = this.#world.kernel.nowMs - this.#sinceMs;
    const gaveUp = lateMs > 2 * DAY_MS || !this.#operator.resumes;
    if (state === 'PAUSED') this.#operator.orderCampaign(gaveUp ? 'abort' : 'resume');
    else if (lateMs > 6 * DAY_MS) this.#operator.orderCampaign('abort');
  }

  /** What an operator does about a device that does not come back: only where something explains it. */
  #help(member: Member, answer: RelayAnswer | null): void {
    const { device } = member;
    const { number } = device.traits;
    const state = answer?.json?.['state'];
    const excused = this.#world.oracle.watch(number).excuses.size > 0;
    if (state === 'GONE') {
      // Deleted by an order whose answer was lost: it is found on its mast and taken down.
      member.gone = true;
      this.#world.oracle.watch(number).gone = true;
      device.powerOff();
      return;
    }
    if (!device.isOn) this.#world.powerUp(number);
    if (state === 'LOST') this.#operator.provision(member);
    if (state === 'QUARANTINED') this.#operator.settleQuarantine(member);
    const manual = answer?.json?.['source'] === 'manual' && (state === 'WANTED' || state === 'MINTED');
    if (manual) this.#operator.orderDevice(member, 'abort', null);
    const lateMs = this.#world.kernel.nowMs - this.#sinceMs;
    if (lateMs > VISIT_AFTER_MS && excused && state !== 'LOST') this.#operator.replace(member, 'does not come back');
  }
}

/** What can only be asked at the end: every key seen, the whole audit, every place a key could have leaked to. */
export async function lastQuestions(world: World, rest: Rest): Promise<void> {
  const { oracle, invariants, members } = world;
  for (const { device, why } of rest.open) {
    const excused = oracle.watch(device).excuses.size > 0;
    const what = `${REST_DAYS_MAX} calm days were not enough: ${why}`;
    invariants.broken('I1', device, excused ? `${what} (though it was helped)` : what);
  }
  for (const member of members) {
    if (member === undefined || member.clone) continue;
    const { number } = member.device.traits;
    // What a device still holds that was taken down is with whoever took it down.
    if (!member.gone) oracle.readings.finish(number);
    await tryKeys(world, number, (request) => ask(world, request));
  }
  await tryLinks(world);
  const entries = await wholeAudit(world);
  for (const { from, action } of readAudit(entries, { invariants, proofs: oracle.proofs() })) {
    world.recorder.arrow(from, action);
  }
  await findKeys(world.servers.store, {
    keys: [...oracle.reader.keys.keys()],
    texts: [...world.logs, ...world.broker.texts, ...world.recorder.entries.map(({ text }) => text)],
    invariants,
  });
}

/** I1, I5, I6 by trying: of all keys a device ever had, the one it holds works, and no other. */
export async function tryKeys(
  known: { oracle: Oracle; invariants: Invariants },
  number: number,
  ask: (request: RelayRequest) => Promise<RelayAnswer | null>,
): Promise<void> {
  const { oracle, invariants } = known;
  const watch = oracle.watch(number);
  const accepted: string[] = [];
  for (const fingerprint of watch.keys.keys()) {
    const key = oracle.reader.keyBehind(fingerprint);
    if (key === null) continue;
    const headers = { authorization: `Bearer ${key}` };
    const answer = await ask({ method: 'GET', path: '/v1/device', headers, body: null });
    if (answer !== null && answer.status < 300) accepted.push(fingerprint);
  }
  for (const name of ['I1', 'I5', 'I6'] as const) invariants.checked(name);
  if (accepted.length > 2) invariants.broken('I6', number, `${accepted.join(', ')} are all accepted at the end`);
  if (accepted.length > 1) invariants.broken('I5', number, `${accepted.join(' and ')} are both accepted at the end`);
  if (watch.gone) {
    if (accepted.length > 0 && !watch.excuses.has('restored')) {
      invariants.broken('I5', number, `${accepted.join(' and ')} of a deleted device are accepted at the end`);
    }
    return;
  }
  const held = watch.slots.some((slot) => slot !== null && accepted.includes(slot.fingerprint));
  if (!held) invariants.broken('I1', number, 'at the end none of the keys it holds is accepted');
}

/** I12: what was read and acknowledged is there for nobody any more. */
async function tryLinks(world: World): Promise<void> {
  const { invariants, oracle } = world;
  for (const { token, device } of oracle.reads.ended.slice(-LINKS_TRIED_MAX)) {
    const headers = { 'content-type': 'application/json' };
    const body = new Uint8Array(Buffer.from('{}'));
    const answer = await ask(world, { method: 'POST', path: `/get/${token}/claim`, headers, body });
    invariants.checked('I12');
    if (answer?.status === 200) invariants.broken('I12', device, 'a file that was read is still there at the end');
  }
}

function ask(world: World, request: RelayRequest): Promise<RelayAnswer | null> {
  return new Promise((resolve) => world.servers.call(request, () => {}, resolve));
}

async function wholeAudit(world: World): Promise<Record<string, unknown>[]> {
  const entries: Record<string, unknown>[] = [];
  let cursor = '';
  for (;;) {
    const path = `/v1/audit?limit=${AUDIT_PAGE}${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const answer = await new Promise<RelayAnswer | null>((resolve) => world.order('GET', path, null, resolve));
    const page = (answer?.json?.['entries'] ?? []) as Record<string, unknown>[];
    entries.push(...page);
    const next = answer?.json?.['next_cursor'];
    if (typeof next !== 'string') break;
    cursor = next;
  }
  return entries.reverse();
}

import type { RelayAnswer } from '#server';
import type { OrderEnd } from '../oracle/orders.ts';
import type { Member } from './member.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from './options.ts';
import type { Stage } from './stage.ts';

const LOOK_EVERY_MS = HOUR_MS;
/** Of registrations, beside what is aborted by the day; and how soon after one. */
const RACES_SHARE = 0.5;
const RACE_MS_MAX = 800;
const ENDED = ['COMPLETED', 'COMPLETED_WITH_STRAGGLERS', 'ABORTED', 'ROLLED_BACK'];

/** How the fleet's campaigns go about it, unless a scenario says otherwise. */
export const CAMPAIGN_RULES = {
  canary: 2,
  growth: 3,
  wave_soak_seconds: 2 * 3600,
  soak_seconds: 600,
  silence_seconds: 4 * 86_400,
  errors_percent_max: 60,
  sample_min: 4,
  wave_seconds_max: 86_400,
  stragglers_seconds_max: 5 * 86_400,
  pending_ttl_seconds: 3 * 86_400,
};

/** The campaign the operator has under way. */
export interface CampaignUnderWay {
  id: string;
  state: string;
  wave: number;
}

/** Starts campaigns, watches them, and does what operators do to them and to single devices. */
export class Operator {
  readonly #world: Stage;
  campaign: CampaignUnderWay | null = null;
  /** No campaign is begun any more. */
  resting = false;
  completed = 0;
  /** The highest wave that any campaign got to. */
  wavesSeen = 0;
  /** Resumes what has paused itself. */
  resumes = true;

  constructor(world: Stage) {
    this.#world = world;
  }

  /** Begins with the campaign at the end of the first day, and looks at it every hour. */
  start(): void {
    const { kernel, options } = this.#world;
    kernel.after(DAY_MS, () => this.begin());
    const again = options.campaignEveryDays * DAY_MS;
    if (again > 0) this.#every(again, () => this.begin());
    this.watch();
  }

  /** Looks at the campaign every hour, and does what operators do to it and to single devices. */
  watch(): void {
    this.#every(LOOK_EVERY_MS, () => this.#look());
    this.#every(2 * HOUR_MS, () => this.#meddle());
  }

  /** A campaign over the whole fleet, started at once. Nothing where one is under way. */
  begin(over: Record<string, unknown> = {}, then: () => void = () => {}): void {
    if (this.resting || this.campaign !== null) return;
    const world = this.#world;
    const source = world.chance.operator.yes(0.5) ? 'self' : 'offer';
    const rules = { ...CAMPAIGN_RULES, ...this.#otherRules(), ...over };
    world.order('POST', '/v1/campaigns', { name: 'all', source, ...rules }, (made) => {
      const id = made?.json?.['id'];
      if (typeof id !== 'string') return;
      this.campaign = { id, state: 'DRAFT', wave: 0 };
      this.orderCampaign('start', then);
    });
  }

  /** What an operator may ask for beyond the usual. */
  #otherRules(): Record<string, unknown> {
    const world = this.#world;
    const { operator } = world.chance;
    const rules: Record<string, unknown> = {};
    if (world.strikes('operator-long-soak')) {
      world.recorder.fault('operator-long-soak', -1);
      rules['soak_seconds'] = operator.below(DAY_MS / 2) / 1000;
    }
    if (world.strikes('operator-deadline')) {
      world.recorder.fault('operator-deadline', -1);
      const policy = operator.pick(['keep', 'keep', 'quarantine', 'revoke']);
      rules['deadline_seconds'] = (HOUR_MS + operator.below(2 * DAY_MS)) / 1000;
      rules['policy'] = policy;
      if (policy === 'revoke') world.oracle.orders.policyRevokes = true;
    }
    return rules;
  }

  orderCampaign(verb: string, then: () => void = () => {}): void {
    const { campaign } = this;
    if (campaign === null) return;
    const json = verb === 'pause' ? { reason: 'by hand' } : null;
    const ended = this.#world.oracle.orders.giveCampaign(verb);
    this.#world.order('POST', `/v1/campaigns/${campaign.id}/${verb}`, json, (answer) => {
      ended(endOf(answer));
      if (answer === null || answer.status >= 300) {
        // A start that nobody carried out leaves a draft behind: it is forgotten, and the next one is another.
        if (verb === 'start') this.campaign = null;
        return;
      }
      this.#note(-1, `campaign: ${verb}`);
      this.#seen(answer);
      then();
    });
  }

  orderDevice(member: Member, verb: string, json: object | null, then: (answer: RelayAnswer) => void = () => {}): void {
    const { number } = member.device.traits;
    const { members, oracle } = this.#world;
    const copies = members.filter((one) => one?.id === member.id);
    const watches = copies.map((one) => oracle.watch(one.device.traits.number));
    const ended = oracle.orders.giveDevices(watches, verb);
    this.#world.order('POST', `/v1/devices/${member.id}/${verb}`, json, (answer) => {
      ended(endOf(answer));
      if (answer === null || answer.status >= 300) return;
      this.#note(number, verb);
      then(answer);
    });
  }

  /** A device has registered its key: somebody calls the rotation off just now, and the abort and the proof race. */
  registered(member: Member): void {
    const { kernel, chance, recorder } = this.#world;
    if (!this.#world.strikes('operator-abort', RACES_SHARE)) return;
    recorder.fault('operator-abort', member.device.traits.number, 'as its key is proven');
    kernel.after(chance.operator.below(RACE_MS_MAX), () => this.orderDevice(member, 'abort', null));
  }

  /** All keys revoked, and another put on it by hand. */
  replace(member: Member, why: string): void {
    this.orderDevice(member, 'lose', { reason: why }, () => {
      this.#world.kernel.after(this.#world.chance.operator.below(DAY_MS), () => this.provision(member));
    });
  }

  /** A new key for a device that was lost, carried there. */
  provision(member: Member): void {
    this.orderDevice(member, 'reprovision', null, ({ json }) => {
      const { key, generation, recovery_secret: secret } = json ?? {};
      const { device } = member;
      const { number } = device.traits;
      const { oracle } = this.#world;
      const identity = { deviceId: member.id, recoverySecret: String(secret) };
      oracle.provisioned(number, String(key), Number(generation));
      device.provision(String(key), Number(generation), identity);
    });
  }

  #every(everyMs: number, act: () => void): void {
    this.#world.kernel.after(everyMs, () => {
      this.#every(everyMs, act);
      act();
    });
  }

  #note(device: number, text: string): void {
    this.#world.recorder.note('order', device, 0, () => text, text);
  }

  #seen(answer: RelayAnswer): void {
    const state = answer.json?.['state'];
    const { campaign } = this;
    if (campaign === null || typeof state !== 'string') return;
    if (state !== campaign.state) {
      this.#world.recorder.campaignMoved(campaign.state, state);
      this.#world.recorder.note('campaign', -1, 0, () => `${campaign.state} → ${state}`, state);
    }
    campaign.state = state;
    campaign.wave = Number(answer.json?.['wave'] ?? 0);
    this.wavesSeen = Math.max(this.wavesSeen, campaign.wave);
    if (!ENDED.includes(state)) return;
    if (state.startsWith('COMPLETED')) this.completed++;
    this.campaign = null;
  }

  #look(): void {
    const { campaign } = this;
    const world = this.#world;
    const { kernel, recorder } = world;
    const phases: Record<string, number> = {};
    for (const member of world.members) {
      if (member === undefined || member.clone || member.gone) continue;
      phases[member.device.phase] = (phases[member.device.phase] ?? 0) + 1;
    }
    const sample = { atMs: kernel.nowMs, campaign: campaign?.state ?? '-', wave: campaign?.wave ?? 0, phases };
    if (campaign === null) {
      recorder.samples.push({ ...sample, progress: {} });
      return;
    }
    world.order('GET', `/v1/campaigns/${campaign.id}`, null, (answer) => {
      if (answer === null) return;
      // A database from before the campaign knows nothing of it.
      if (answer.status === 404) {
        this.campaign = null;
        return;
      }
      const progress = (answer.json?.['progress'] ?? {}) as Record<string, number>;
      recorder.samples.push({ ...sample, campaign: String(answer.json?.['state']), progress });
      this.#seen(answer);
    });
  }

  #meddle(): void {
    const world = this.#world;
    const { operator } = world.chance;
    const share = 2 / 24;
    const { campaign } = this;
    if (campaign !== null && campaign.state === 'PAUSED' && this.resumes && operator.yes(0.3))
      this.orderCampaign('resume');
    if (campaign !== null && world.strikes('operator-pause', share)) {
      world.recorder.fault('operator-pause', -1);
      this.orderCampaign('pause');
    }
    if (campaign !== null && world.strikes('operator-abort', share)) {
      world.recorder.fault('operator-abort', -1);
      this.orderCampaign('abort');
    }
    if (campaign !== null && world.strikes('operator-roll-back', share)) {
      world.recorder.fault('operator-roll-back', -1);
      this.orderCampaign('roll-back');
    }
    const own = world.members.filter((one) => one !== undefined && !one.clone && !one.gone);
    if (own.length > 0) this.#meddleWith(operator.pick(own), share);
  }

  #meddleWith(member: Member, share: number): void {
    const world = this.#world;
    const { operator } = world.chance;
    const { number } = member.device.traits;
    if (world.strikes('operator-abort', share)) {
      world.recorder.fault('operator-abort', number);
      this.orderDevice(member, 'abort', null);
    }
    if (world.strikes('operator-roll-back', share)) {
      world.recorder.fault('operator-roll-back', number);
      this.orderDevice(member, 'roll-back', null);
    }
    if (world.strikes('operator-revoke', share * 2)) {
      world.recorder.fault('operator-revoke', number);
      this.replace(member, 'stolen from its mast');
    }
    if (world.strikes('operator-quarantine', share * 2)) {
      world.recorder.fault('operator-quarantine', number);
      this.orderDevice(member, 'quarantine', { reason: 'seen in two places' }, () => {
        world.kernel.after(operator.below(2 * DAY_MS), () => this.settleQuarantine(member));
      });
    }
    if (world.strikes('operator-remove', share)) {
      world.recorder.fault('operator-remove', number);
      this.#remove(member);
    }
    if (world.strikes('operator-manual', share * 2)) {
      world.recorder.fault('operator-manual', number);
      this.orderDevice(member, 'rotate', { source: 'manual', soak_seconds: 600 }, () => {
        world.kernel.after(operator.below(HOUR_MS), () => this.#carry(member));
      });
    }
  }

  /** Deleted at the server first, and taken down from its mast some time later. */
  #remove(member: Member): void {
    const world = this.#world;
    const watch = world.oracle.watch(member.device.traits.number);
    const ended = world.oracle.orders.giveDevices([watch], 'remove');
    watch.excuses.add('revoked-by-operator');
    world.order('DELETE', `/v1/devices/${member.id}`, null, (answer) => {
      ended(endOf(answer));
      if (answer === null || answer.status >= 300) return;
      this.#note(member.device.traits.number, 'remove');
      world.kernel.after(world.chance.operator.below(2 * DAY_MS), () => {
        member.gone = true;
        member.supplied = false;
        member.device.powerOff();
      });
    });
  }

  #carry(member: Member): void {
    this.orderDevice(member, 'issue', null, ({ json }) => {
      const { key, generation } = json ?? {};
      this.#world.oracle.issued(member.device.traits.number, String(key), Number(generation));
      this.#world.kernel.after(10 * MINUTE_MS, () => member.device.carry(String(key), Number(generation)));
    });
  }

  /** Out of quarantine: by release, by approval of what the device has staged, or by its own recovery. */
  settleQuarantine(member: Member): void {
    const { operator } = this.#world.chance;
    this.#world.order('GET', `/v1/devices/${member.id}/rotation`, null, (answer) => {
      if (answer?.json?.['state'] !== 'QUARANTINED') return;
      const proposals = answer.json['proposals'] as { fingerprint: string }[];
      const newest = proposals[proposals.length - 1];
      if (newest !== undefined && operator.yes(0.6)) {
        this.orderDevice(member, 'approve', { fingerprint: newest.fingerprint });
      } else if (operator.yes(0.7)) this.orderDevice(member, 'release', null);
    });
  }
}

function endOf(answer: RelayAnswer | null): OrderEnd {
  if (answer === null) return 'unknown';
  return answer.status < 300 ? 'done' : 'refused';
}

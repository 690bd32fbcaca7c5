import { Command } from 'commander';
import type { CampaignAnswer } from '#sdk/protocol';
import type { Caller } from '../usecases/caller.ts';
import { listMembers } from '../usecases/campaign/list-members.ts';
import {
  type CampaignVerb,
  createCampaign,
  listCampaigns,
  lookAtCampaign,
  orderCampaign,
  preflight,
} from '../usecases/campaign/manage.ts';
import type { Deps } from '../usecases/deps.ts';
import { durationMs, type PlanOptions, planOfOptions, withPlan } from './device-rotation.ts';
import { operatorFor, print, withStores } from './operator.ts';

interface Options {
  account?: string;
  json?: boolean;
}

interface CreateOptions extends Options, PlanOptions {
  tag?: string[];
  group?: string[];
  profile?: string;
  device?: string[];
  keyAge?: number;
  seenBy?: string;
  gateway?: string[];
  canary?: number;
  growth?: number;
  waveSoak?: number;
  errorsMax?: number;
  sampleMin?: number;
  silence?: number;
  waveMax?: number;
  stragglersMax?: number;
  every?: number;
  firmware?: string;
}

const DAY_MS = 86_400_000;
/** Devices with an error that `show` lists. */
const FAILED_LISTED_MAX = 50;

function lineOf({ id, state, name, progress, reason }: CampaignAnswer): string {
  const { done, open, waiting, errors } = progress;
  const why = reason === null ? '' : `  (${reason})`;
  return `${id}  ${state.padEnd(10)} ${name}: ${done} done, ${open} under way, ${waiting} waiting, ${errors} errors${why}`;
}

async function asOperator<T>(options: Options, act: (deps: Deps, caller: Caller) => Promise<T>): Promise<T> {
  return withStores(async (deps) => act(deps, await operatorFor(deps, options.account)));
}

function common(command: Command): Command {
  return command.option('--account <email>', 'which account, where there are several').option('--json', 'print JSON');
}

/** `fuselink-server campaign`: rotations of a whole fleet, in waves. The server drives them. */
export function campaignCommand(): Command {
  const command = new Command('campaign').description('rotate the keys of a whole fleet, in waves');
  const create = withPlan(common(command.command('create <name>').description('a draft; nothing happens yet')))
    .option('--tag <tag...>', 'devices with all of these tags')
    .option('--group <group...>', 'devices of any of these groups')
    .option('--profile <profile>', 'devices of this kind')
    .option('--device <device...>', 'these devices, by id or name')
    .option('--key-age <time>', 'keys at least this old, e.g. 90d', durationMs)
    .option('--seen-by <email>', 'keys this person was shown')
    .option('--gateway <gateway...>', 'devices behind any of these gateways, by id or name')
    .option('--canary <count>', 'devices of the first wave', Number)
    .option('--growth <factor>', 'each wave is so many times the one before', Number)
    .option('--wave-soak <time>', 'how long a wave is watched, e.g. 15m', durationMs)
    .option('--errors-max <percent>', 'errors above which it pauses itself', Number)
    .option('--sample-min <count>', 'devices to be heard before a percentage counts', Number)
    .option('--silence <time>', 'not heard for so long after its proof is an error, e.g. 6h', durationMs)
    .option('--wave-max <time>', 'how long a wave waits for devices that are not heard, e.g. 1d', durationMs)
    .option('--stragglers-max <time>', 'how long the last ones are waited for, e.g. 30d', durationMs)
    .option('--firmware <image>', 'roll out this image instead of keys, by id or release')
    .option('--every <time>', 'again so long after its end, e.g. 90d', durationMs);
  create.action(async (name: string, options: CreateOptions) => {
    const rules = {
      canary: options.canary,
      growth: options.growth,
      soakMs: options.waveSoak,
      errorsPercentMax: options.errorsMax,
      sampleMin: options.sampleMin,
      silenceMs: options.silence,
      waveMsMax: options.waveMax,
      stragglersMsMax: options.stragglersMax,
    };
    const selection = {
      tags: options.tag,
      groups: options.group,
      profile: options.profile,
      devices: options.device,
      key_age_days: options.keyAge === undefined ? undefined : options.keyAge / DAY_MS,
      seen_by: options.seenBy,
      gateways: options.gateway,
    };
    const given = <T extends object>(fields: T) =>
      Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
    const { campaign, warnings } = await asOperator(options, async (deps, caller) => {
      const campaign = await createCampaign(deps, caller, {
        name,
        selection: given(selection),
        rules: given(rules),
        plan: planOfOptions(options),
        firmware: options.firmware,
        repeatEveryDays: options.every === undefined ? undefined : Math.round(options.every / DAY_MS),
      });
      return { campaign, warnings: await whoIsLockedOut(deps, caller, campaign) };
    });
    print(options.json === true, campaign, [
      lineOf(campaign),
      ...warnings,
      `Look first: fuselink-server campaign preflight ${campaign.id}`,
    ]);
  });
  common(command.command('preflight <id>').description('what it would do; changes nothing')).action(
    async (id: string, options: Options) => {
      const found = await asOperator(options, (deps, caller) => preflight(deps, caller, id));
      print(options.json === true, found, [
        `Devices        ${found.devices} in waves of ${found.waves.join(', ')}; at least ${found.seconds_min} s`,
        `First          ${found.canary.join(', ')}`,
        `Offline        ${found.offline_total} not heard for a day${list(found.offline)}`,
        `Busy           ${found.busy_total} left out: a rotation is under way already`,
        `No recovery    ${found.without_recovery_total} devices without a recovery secret`,
        `Locked out     ${found.locked_out_total} by the deadline's policy${list(found.locked_out)}`,
      ]);
    },
  );
  common(command.command('list').description('campaigns, newest first')).action(async (options: Options) => {
    const page = await asOperator(options, (deps, caller) => listCampaigns(deps, caller, { limit: 50 }));
    print(options.json === true, page, page.campaigns.length === 0 ? ['no campaigns'] : page.campaigns.map(lineOf));
  });
  common(command.command('show <id>').description('how far it is')).action(async (id: string, options: Options) => {
    const { campaign, failed } = await asOperator(options, async (deps, caller) => ({
      campaign: await lookAtCampaign(deps, caller, id),
      failed: await listMembers(deps, caller, id, { outcome: 'error', limit: FAILED_LISTED_MAX }),
    }));
    const lines = failed.members.map(({ device_id: id, device_name: name, reason }) => `  ${name ?? id}: ${reason}`);
    print(options.json === true, campaign, [lineOf(campaign), ...lines]);
  });
  const verbs: readonly [CampaignVerb, string][] = [
    ['start', 'start now, with the canary'],
    ['schedule', 'start at a time (--at)'],
    ['pause', 'mint no key until it goes on'],
    ['resume', 'go on where it was paused'],
    ['abort', 'call off what is not proven, and end'],
    ['roll-back', 'go back to the old keys wherever they still exist, and end'],
  ];
  for (const [verb, description] of verbs) {
    const sub = common(command.command(`${verb} <id>`).description(description));
    if (verb === 'pause') sub.option('--reason <text>', 'for the audit');
    if (verb === 'schedule') sub.requiredOption('--at <time>', 'e.g. 2027-01-31T02:00:00Z');
    sub.action(async (id: string, options: Options & { reason?: string; at?: string }) => {
      const { campaign, warnings } = await asOperator(options, async (deps, caller) => {
        const startAtMs = options.at === undefined ? undefined : Date.parse(options.at);
        const campaign = await orderCampaign(deps, caller, id, { verb, reason: options.reason, startAtMs });
        const begins = verb === 'start' || verb === 'schedule';
        return { campaign, warnings: begins ? await whoIsLockedOut(deps, caller, campaign) : [] };
      });
      print(options.json === true, campaign, [lineOf(campaign), ...warnings]);
    });
  }
  return command;
}

/** A policy that can lock devices out says whom it would, whenever it is asked for. */
async function whoIsLockedOut(deps: Deps, caller: Caller, { id, policy }: CampaignAnswer): Promise<string[]> {
  if (policy === 'keep') return [];
  const { locked_out: names, locked_out_total: total } = await preflight(deps, caller, id);
  const deed = policy === 'revoke' ? 'have every key revoked' : 'be quarantined';
  return [`Unless they are heard before the deadline, ${total} devices would ${deed}${list(names)}`];
}

function list(names: readonly string[]): string {
  return names.length === 0 ? '' : `: ${names.join(', ')}`;
}

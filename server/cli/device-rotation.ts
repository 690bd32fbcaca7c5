import { Command, InvalidArgumentError } from 'commander';
import type { RotationAnswer } from '#sdk/protocol';
import type { DeviceId } from '../domain/ids.ts';
import type { Caller } from '../usecases/caller.ts';
import type { Deps } from '../usecases/deps.ts';
import {
  issueKey,
  lookAtRotation,
  type OperatorOrder,
  orderRotation,
  type RotateDevice,
  removeDevice,
  reprovisionDevice,
} from '../usecases/rotation/operate.ts';
import { changeRotationPolicy, type RotationPolicy } from '../usecases/rotation/policy.ts';
import { tellStory } from '../usecases/rotation/story.ts';
import { operatorFor, print, withStores } from './operator.ts';

interface Options {
  account?: string;
  json?: boolean;
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `10m`, `2h` or `30d` in milliseconds. */
export function durationMs(text: string): number {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const unit = UNITS[match?.[2] ?? ''];
  if (match === null || unit === undefined)
    throw new InvalidArgumentError('expected a duration like 90s, 10m, 2h or 30d');
  return Number(match[1]) * unit;
}

export function oneOfWords<T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const word = words.find((known) => known === text);
    if (word === undefined) throw new InvalidArgumentError(`expected one of ${words.join(', ')}`);
    return word;
  };
}

/** Options of a rotation's plan, for one device and for campaigns. */
export function withPlan(command: Command): Command {
  return command
    .option('--source <source>', 'who makes the key: self, offer, manual', oneOfWords(['self', 'offer', 'manual']))
    .option('--deadline <time>', 'when the policy counts, e.g. 30d', durationMs)
    .option(
      '--policy <policy>',
      'what the deadline does: keep, quarantine, revoke',
      oneOfWords(['keep', 'quarantine', 'revoke']),
    )
    .option('--soak <time>', 'how long the old key stays after the proof, e.g. 10m', durationMs)
    .option('--pending-ttl <time>', 'how long a staged key may wait for its first use, e.g. 30d', durationMs);
}

export interface PlanOptions {
  source?: RotateDevice['source'];
  policy?: RotateDevice['policy'];
  deadline?: number;
  soak?: number;
  pendingTtl?: number;
}

export function planOfOptions(options: PlanOptions): RotateDevice {
  return {
    source: options.source,
    policy: options.policy,
    deadlineMs: options.deadline,
    soakMs: options.soak,
    pendingTtlMs: options.pendingTtl,
  };
}

function linesOf(rotation: RotationAnswer): string[] {
  const lines = [
    `State        ${rotation.state}${rotation.incident ? ' (incident)' : ''}`,
    `Generation   ${rotation.generation}`,
  ];
  const keys = { Active: rotation.active, Pending: rotation.pending, Retiring: rotation.retiring };
  for (const [name, key] of Object.entries(keys)) if (key !== null) lines.push(`${name.padEnd(12)} ${key}`);
  for (const proposal of rotation.proposals) lines.push(`Waits for approval: ${proposal.fingerprint}`);
  return lines;
}

/** A device by its id or its name. */
async function deviceOf(deps: Deps, caller: Caller, text: string): Promise<DeviceId> {
  const named = await deps.store.get('devices', { account_id: caller.accountId, name: text });
  return named?.id ?? (text as DeviceId);
}

async function onDevice<T>(
  text: string,
  options: Options,
  act: (deps: Deps, caller: Caller, id: DeviceId) => Promise<T>,
): Promise<T> {
  return withStores(async (deps) => {
    const caller = await operatorFor(deps, options.account);
    return act(deps, caller, await deviceOf(deps, caller, text));
  });
}

function verb(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--account <email>', 'which account, where there are several')
    .option('--json', 'print JSON');
}

function order<T extends Options>(command: Command, orderOf: (options: T, word: string) => OperatorOrder): Command {
  return command.action(async (device: string, ...rest: unknown[]) => {
    const word = typeof rest[0] === 'string' ? rest[0] : '';
    const options = command.opts<T>();
    const rotation = await onDevice(device, options, (deps, caller, id) =>
      orderRotation(deps, caller, id, orderOf(options, word)),
    );
    print(options.json === true, rotation, linesOf(rotation));
  });
}

/** The verbs by which an operator rotates, stops and mends one device's key. */
export function deviceRotationCommands(): Command[] {
  const rotate = withPlan(verb('rotate', 'ask a device for a new key').argument('<device>', 'id or name'));
  const issue = verb('issue', 'draw the key of a manual rotation, shown once').argument('<device>', 'id or name');
  issue.action(async (device: string, options: Options) => {
    const issued = await onDevice(device, options, issueKey);
    print(options.json === true, issued, [
      `API key      ${issued.key}`,
      `Fingerprint  ${issued.fingerprint} (generation ${issued.generation})`,
      'The key is shown only now: carry it to the device. Its first use there is the proof.',
    ]);
  });
  const reprovision = verb('reprovision', 'a new key for a device that was lost').argument('<device>', 'id or name');
  reprovision.action(async (device: string, options: Options) => {
    const issued = await onDevice(device, options, reprovisionDevice);
    print(options.json === true, { ...issued, recovery_secret: issued.recoverySecret }, [
      `API key          ${issued.key}`,
      `Recovery secret  ${issued.recoverySecret}`,
      'Both are shown only now: put them on the device.',
    ]);
  });
  const story = verb('story', 'how the key of a device came to be as it is').argument('<device>', 'id or name');
  story.action(async (device: string, options: Options) => {
    const told = await onDevice(device, options, tellStory);
    print(options.json === true, told, [...told.events.map(({ at, sentence }) => `${at}  ${sentence}`), told.now]);
  });
  const show = verb('show', 'how the key of a device stands').argument('<device>', 'id or name');
  show.action(async (device: string, options: Options) => {
    const rotation = await onDevice(device, options, lookAtRotation);
    print(options.json === true, rotation, linesOf(rotation));
  });
  const remove = verb('remove', 'remove a device: every key revoked').argument('<device>', 'id or name');
  remove.action(async (device: string, options: Options) => {
    const rotation = await onDevice(device, options, removeDevice);
    print(options.json === true, rotation, ['Removed; none of its keys is accepted any more.']);
  });
  const quarantine = verb('quarantine', 'let the key only report: it may have been copied')
    .argument('<device>', 'id or name')
    .requiredOption('--reason <text>', 'for the audit');
  const lose = verb('lose', 'revoke every key of a device')
    .argument('<device>', 'id or name')
    .requiredOption('--reason <text>', 'for the audit');
  const simple = (name: 'abort' | 'roll-back' | 'release', description: string) =>
    order(verb(name, description).argument('<device>', 'id or name'), () => ({ verb: name }));
  const onOff = (text: string) => oneOfWords(['on', 'off'])(text) === 'on';
  const policy = verb('policy', 'rules for the rotations of all devices; shows them, or changes what is given')
    .option('--alarms-quarantine <on|off>', 'a suspicion that a key was copied quarantines the device', onOff)
    .option('--paused <on|off>', 'no rotation mints a key', onOff);
  policy.action(async ({ alarmsQuarantine, paused, ...options }: Options & Partial<RotationPolicy>) => {
    const given = {
      ...(alarmsQuarantine === undefined ? {} : { alarmsQuarantine }),
      ...(paused === undefined ? {} : { paused }),
    };
    const now = await withStores(async (deps) =>
      changeRotationPolicy(deps, await operatorFor(deps, options.account), given),
    );
    print(options.json === true, { alarms_quarantine: now.alarmsQuarantine, paused: now.paused }, [
      `Alarms ${now.alarmsQuarantine ? 'quarantine the device' : 'are told in the audit'}; rotations ${now.paused ? 'are paused' : 'go on'}.`,
    ]);
  });
  return [
    policy,
    order<Options & PlanOptions>(rotate, (options) => ({ verb: 'rotate', plan: planOfOptions(options) })),
    simple('abort', 'call off a rotation that is not proven'),
    simple('roll-back', 'go back to the old key of a rotation'),
    order<Options & { reason: string }>(quarantine, ({ reason }) => ({ verb: 'quarantine', reason })),
    simple('release', 'trust a quarantined key again'),
    order(
      verb('approve', 'approve the key a quarantined device has staged')
        .argument('<device>', 'id or name')
        .argument('<fingerprint>', '16 hex characters, compared with what the device shows'),
      (_options, fingerprint) => ({ verb: 'approve', fingerprint }),
    ),
    order<Options & { reason: string }>(lose, ({ reason }) => ({ verb: 'lose', reason })),
    issue,
    reprovision,
    show,
    story,
    remove,
  ];
}

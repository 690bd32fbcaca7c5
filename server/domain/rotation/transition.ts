import { SERVER_TABLE, type ServerRow, WATCH_TABLE, type WatchRow } from './table.ts';
import type { Alarm, RotationAudit, RotationCommand, RotationOutcome, RotationRow } from './types.ts';
import { ACTIONS, type Action, GENERATION_MAX, GUARDS, type Guard, type Hand } from './words.ts';

type Matching = Pick<ServerRow, 'from' | 'on'> & { when: readonly string[] };

/** A row whose words need not be the product's. */
export type LooseServerRow = Omit<ServerRow, 'when' | 'does'> & { when: readonly string[]; does: readonly string[] };

/** A table and the words its rows use. The product has one; the model checker patches copies of it. */
export interface ServerMachine {
  table: readonly LooseServerRow[];
  guards: Record<string, Guard>;
  actions: Record<string, Action>;
}

export const SERVER_MACHINE: ServerMachine = { table: SERVER_TABLE, guards: GUARDS, actions: ACTIONS };

function fits(
  guards: ServerMachine['guards'],
  one: Matching,
  row: RotationRow,
  command: RotationCommand,
  nowMs: number,
): boolean {
  if (one.from !== '*' && !one.from.includes(row.state)) return false;
  return one.on.includes(command.kind) && one.when.every((name) => guards[name]!(row, command, nowMs));
}

/** What the audit keeps of a command: the keys by fingerprint, where the device was, and why. Never a secret. */
function evidenceOf(before: RotationRow, command: RotationCommand): RotationAudit['evidence'] {
  const evidence: RotationAudit['evidence'] = { cause: command.kind };
  evidence['active'] = before.active;
  if (before.pending !== null) evidence['pending'] = before.pending;
  if (before.retiring !== null) evidence['retiring'] = before.retiring;
  if ('by' in command) evidence['by'] = command.by;
  if ('fingerprint' in command) evidence['fingerprint'] = command.fingerprint;
  if ('reason' in command) evidence['reason'] = command.reason;
  if ('plan' in command) {
    evidence['source'] = command.plan.source;
    evidence['campaign'] = command.plan.campaignId;
  }
  if ('position' in command && command.position !== null) {
    evidence['boot'] = command.position.boot;
    evidence['sequence'] = command.position.sequence;
  }
  return evidence;
}

/** `transition` over any machine of the same form. */
export function transitionWith(
  machine: ServerMachine,
  before: RotationRow,
  command: RotationCommand,
  nowMs: number,
): RotationOutcome {
  const alarms = WATCH_TABLE.filter((one: WatchRow) => fits(machine.guards, one, before, command, nowMs)).map(
    (one) => one.alarm,
  );
  const taken = machine.table.find((one) => fits(machine.guards, one, before, command, nowMs));
  const contact = command.kind === 'commit' || command.kind === 'contact' || command.kind === 'tick';
  const hand: Hand = { row: { ...before }, keys: [], nowMs };
  for (const name of taken?.does ?? []) machine.actions[name]!(hand, command);
  if (taken?.to) hand.row.state = taken.to;
  if (hand.row.generation > GENERATION_MAX) return exhausted(before);
  const entry = (action: string): RotationAudit => ({
    action,
    from: before.state,
    to: hand.row.state,
    generation: hand.row.generation,
    evidence: evidenceOf(before, command),
  });
  const audit = taken?.audit ? [entry(`rotation.${taken.audit}`)] : [];
  return {
    kind: taken?.to ? 'moved' : 'stayed',
    expect: { state: before.state, generation: before.generation },
    row: hand.row,
    keys: hand.keys,
    reply: taken?.reply ?? (contact ? 'done' : 'refused'),
    alarms,
    audit: [...audit, ...alarms.map((alarm: Alarm) => entry(`rotation.alarm.${alarm}`))],
  };
}

/** After 2^32 generations a device has to be provisioned afresh: generations never fall, and a slot holds 32 bits. */
function exhausted(before: RotationRow): RotationOutcome {
  const expect = { state: before.state, generation: before.generation };
  return { kind: 'stayed', expect, row: before, keys: [], reply: 'refused', alarms: [], audit: [] };
}

/**
 * One command to one device's row at server time `nowMs`. Pure and total: what fits no row of the table changes
 * nothing. The caller stores the outcome whole, in one transaction, by compare-and-set on `expect`.
 */
export function transition(before: RotationRow, command: RotationCommand, nowMs: number): RotationOutcome {
  return transitionWith(SERVER_MACHINE, before, command, nowMs);
}

/** The row of a freshly enrolled device, whose key `active` (a fingerprint) has this generation. */
export function enrolled(active: string, generation: number): RotationRow {
  return {
    state: 'IDLE',
    generation,
    source: 'self',
    active,
    pending: null,
    retiring: null,
    incident: false,
    campaignId: null,
    policy: 'keep',
    deadlineAtMs: null,
    pendingExpiresAtMs: null,
    soakUntilMs: null,
    soakMs: 0,
    pendingTtlMs: 0,
    oldContactsMax: 0,
    oldContacts: 0,
    provenGeneration: null,
    settledGeneration: null,
    provenAt: null,
    lastBoot: null,
    proposals: [],
  };
}

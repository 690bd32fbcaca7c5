import type { DeviceKeyState, KeyChange, Position, RotationCommand, RotationRow } from './types.ts';

export type Guard = (row: RotationRow, command: RotationCommand, nowMs: number) => boolean;

/** Most staged keys a quarantined device may have waiting for approval; older ones make room. */
export const PROPOSALS_MAX = 8;
/** Generations are u32 in the device's slot record. */
export const GENERATION_MAX = 0xffffffff;

type Field<Name extends string> = Extract<RotationCommand, Record<Name, unknown>>;

function by(command: RotationCommand): string | null {
  return 'by' in command ? command.by : null;
}
function fingerprintOf(command: RotationCommand): string {
  return (command as Field<'fingerprint'>).fingerprint;
}
function generationOf(command: RotationCommand): number {
  return (command as Field<'generation'>).generation;
}
function knownOf(command: RotationCommand): DeviceKeyState | null {
  return (command as Field<'known'>).known;
}
function positionOf(command: RotationCommand): Position | null {
  return 'position' in command ? command.position : null;
}
function passed(timeMs: number | null, nowMs: number): boolean {
  return timeMs !== null && timeMs <= nowMs;
}

/** The guards of the table, by name. Pure. */
export const GUARDS = {
  byActive: (row, command) => by(command) === row.active,
  byPending: (row, command) => row.pending !== null && by(command) === row.pending,
  byRetiring: (row, command) => row.retiring !== null && by(command) === row.retiring,
  byOwn: (row, command) => [row.active, row.pending, row.retiring].includes(by(command)),
  byFormer: (row, command) => by(command) !== row.active && by(command) !== row.pending,
  fromSelf: (row) => row.source === 'self',
  /** A device that can mint no key asks for one though it was to mint it; one that an operator carries is not for it. */
  askable: (row) => row.source !== 'manual',
  fromManual: (row) => row.source === 'manual',
  paused: (_row, command) => (command as Field<'paused'>).paused,
  incident: (row) => row.incident,
  calm: (row) => !row.incident,
  halfway: (row) => row.retiring !== null,
  currentGeneration: (row, command) => generationOf(command) === row.generation,
  notNewer: (row, command) => generationOf(command) <= row.generation,
  notOlder: (row, command) => generationOf(command) >= row.generation,
  keyKnown: (_row, command) => knownOf(command) !== null && knownOf(command) !== 'revoked',
  keyRevoked: (_row, command) => knownOf(command) === 'revoked',
  keyNew: (_row, command) => knownOf(command) === null,
  onRetiring: (row, command) => row.retiring !== null && (command as Field<'base'>).base === row.retiring,
  proposed: (row, command) => row.proposals.some((one) => one.fingerprint === fingerprintOf(command)),
  soakOver: (row, _command, nowMs) => passed(row.soakUntilMs, nowMs),
  pendingExpired: (row, _command, nowMs) => passed(row.pendingExpiresAtMs, nowMs),
  deadlinePassed: (row, _command, nowMs) => passed(row.deadlineAtMs, nowMs),
  policyQuarantine: (row) => row.policy === 'quarantine',
  policyRevoke: (row) => row.policy === 'revoke',
  oldContactsReached: (row) => row.oldContacts + 1 >= row.oldContactsMax,
  /**
   * Sent after the device itself reported PROVEN: in that boot it never uses the old key again. A request of an earlier
   * moment is merely late; one of a later boot is the device trying both keys, or one that lost the new key.
   */
  afterProvenReport: (row, command) => {
    if (row.provenAt === null) return false;
    const position = positionOf(command);
    if (position === null) return true;
    return position.boot === row.provenAt.boot && position.sequence > row.provenAt.sequence;
  },
  twoDevices: (row, command) => {
    const position = positionOf(command);
    if (position === null || row.lastBoot === null) return false;
    return position.boot === row.lastBoot.boot && position.bootTag !== row.lastBoot.bootTag;
  },
} as const satisfies Record<string, Guard>;

export type GuardName = keyof typeof GUARDS;

/** What an action may do: change `row`, a copy the transition owns, and change keys. */
export interface Hand {
  row: RotationRow;
  keys: KeyChange[];
  nowMs: number;
}

export type Action = (hand: Hand, command: RotationCommand) => void;

function change(hand: Hand, fingerprint: string | null, to: DeviceKeyState): void {
  if (fingerprint === null) return;
  const earlier = hand.keys.findIndex((one) => one.fingerprint === fingerprint);
  if (earlier >= 0) hand.keys.splice(earlier, 1);
  hand.keys.push({ fingerprint, to });
}

/** The actions of the table, by name, done in the order of the row. */
export const ACTIONS = {
  plan: ({ row }, command) => {
    Object.assign(row, (command as Field<'plan'>).plan);
    row.provenAt = null;
  },
  nextGeneration: ({ row }) => {
    row.generation += 1;
  },
  takeGeneration: ({ row }, command) => {
    row.generation = generationOf(command);
  },
  pend: (hand, command) => {
    hand.row.pending = fingerprintOf(command);
    hand.row.pendingExpiresAtMs = hand.nowMs + hand.row.pendingTtlMs;
    hand.row.deadlineAtMs = null;
    hand.row.proposals = [];
    // From here the device may try any of its keys: what it reported of an earlier rotation holds no more.
    hand.row.provenAt = null;
    change(hand, hand.row.pending, 'pending');
  },
  revokePending: (hand) => {
    change(hand, hand.row.pending, 'revoked');
    hand.row.pending = null;
    hand.row.pendingExpiresAtMs = null;
  },
  recordRevoked: (hand, command) => change(hand, fingerprintOf(command), 'revoked'),
  promote: (hand, command) => {
    const row = hand.row;
    // Quarantined halfway through a rotation there is one old key more: with this proof it is done with.
    change(hand, row.retiring, 'revoked');
    row.retiring = row.active;
    row.active = row.pending;
    row.pending = null;
    row.pendingExpiresAtMs = null;
    row.provenGeneration = row.generation;
    row.oldContacts = 0;
    row.provenAt = null;
    change(hand, row.active, 'active');
    if (!row.incident) change(hand, row.retiring, 'retiring');
    row.soakUntilMs = hand.nowMs + row.soakMs;
    ACTIONS.heard(hand, command);
  },
  revokeRetiring: (hand) => {
    change(hand, hand.row.retiring, 'revoked');
    hand.row.retiring = null;
  },
  revokeActive: (hand) => {
    change(hand, hand.row.active, 'revoked');
    hand.row.active = null;
  },
  restoreRetiring: (hand) => {
    change(hand, hand.row.retiring, 'active');
    hand.row.active = hand.row.retiring;
    hand.row.retiring = null;
    hand.row.provenGeneration = null;
    hand.row.provenAt = null;
  },
  settle: (hand, command) => {
    hand.row.settledGeneration = hand.row.provenGeneration;
    ACTIONS.heard(hand, command);
    ACTIONS.heardNew(hand, command);
    ACTIONS.clear(hand);
  },
  heard: ({ row }, command) => {
    const position = positionOf(command);
    if (position === null || (row.lastBoot !== null && position.boot <= row.lastBoot.boot)) return;
    row.lastBoot = { boot: position.boot, bootTag: position.bootTag };
  },
  heardNew: ({ row }, command) => {
    row.oldContacts = 0;
    const reports = command.kind === 'commit' && command.reportsProven;
    if (reports && row.provenAt === null) row.provenAt = command.position;
  },
  heardOld: ({ row }) => {
    row.oldContacts += 1;
  },
  forgetDeadline: ({ row }) => {
    row.deadlineAtMs = null;
  },
  clear: ({ row }) => {
    row.campaignId = null;
    row.deadlineAtMs = null;
    row.soakUntilMs = null;
    row.oldContacts = 0;
    row.incident = false;
  },
  quarantine: (hand) => {
    hand.row.incident = true;
    change(hand, hand.row.active, 'quarantined');
    change(hand, hand.row.retiring, 'quarantined');
  },
  propose: ({ row }, command) => {
    const proposal = { generation: generationOf(command), fingerprint: fingerprintOf(command) };
    const others = row.proposals.filter((one) => one.fingerprint !== proposal.fingerprint);
    row.proposals = [...others, proposal].slice(-PROPOSALS_MAX);
  },
  trust: (hand) => {
    hand.row.incident = false;
    hand.row.proposals = [];
    change(hand, hand.row.active, 'active');
  },
  provision: (hand, command) => {
    hand.row.active = fingerprintOf(command);
    hand.row.settledGeneration = null;
    change(hand, hand.row.active, 'active');
  },
  revokeAll: (hand) => {
    ACTIONS.revokePending(hand);
    ACTIONS.revokeRetiring(hand);
    ACTIONS.revokeActive(hand);
    ACTIONS.clear(hand);
    hand.row.proposals = [];
    hand.row.provenAt = null;
  },
} as const satisfies Record<string, Action>;

export type ActionName = keyof typeof ACTIONS;

import type { Alarm, CommandKind, Reply, RotationStateName } from './types.ts';
import type { ActionName, GuardName } from './words.ts';

/**
 * One row of the server's table. The first row that fits `state` and command and whose guards all hold is taken; a
 * command that no row fits changes nothing and is refused. `to` null: no arrow, the state stays.
 */
export interface ServerRow {
  from: readonly RotationStateName[] | '*';
  on: readonly CommandKind[];
  when: readonly GuardName[];
  to: RotationStateName | null;
  does: readonly ActionName[];
  reply: Reply;
  /** The audit's word for this arrow, `rotation.<name>`. */
  audit: string | null;
  /** Without this row the model checker finds a device locked out, or one that can never settle. */
  safety: boolean;
}

type Short = Partial<Omit<ServerRow, 'from' | 'on'>>;

function row(from: ServerRow['from'] | RotationStateName, on: CommandKind | readonly CommandKind[], rest: Short) {
  const full: ServerRow = {
    from: typeof from === 'string' && from !== '*' ? [from] : from,
    on: typeof on === 'string' ? [on] : on,
    when: [],
    to: null,
    does: [],
    reply: 'done',
    audit: null,
    safety: false,
    ...rest,
  };
  return full;
}

const OPEN = ['WANTED', 'OVERDUE'] as const;
const UNPROVEN = ['WANTED', 'OVERDUE', 'MINTED'] as const;
const KEYED = ['IDLE', 'WANTED', 'OVERDUE', 'MINTED', 'PROVEN', 'QUARANTINED'] as const;
const STOP = ['abort', 'rollBack'] as const;
const CONTACT = ['commit', 'contact'] as const;

/** The server's half of key rotation. `transition` executes it, DESIGN.md renders it, the model checker searches it. */
export const SERVER_TABLE: readonly ServerRow[] = [
  row('IDLE', 'select', { to: 'WANTED', does: ['plan', 'nextGeneration'], audit: 'wanted' }),

  row('*', 'register', { when: ['keyKnown'], reply: 'repeat', safety: true }),
  row('*', 'register', { when: ['keyRevoked'], reply: 'refused' }),
  row(OPEN, 'register', { when: ['currentGeneration', 'byActive', 'fromSelf', 'paused'], reply: 'wait', safety: true }),
  row(OPEN, 'register', {
    when: ['currentGeneration', 'byActive', 'fromSelf'],
    to: 'MINTED',
    does: ['pend'],
    audit: 'minted',
    safety: true,
  }),
  row('MINTED', 'register', {
    when: ['currentGeneration', 'byActive', 'calm'],
    to: 'WANTED',
    does: ['revokePending', 'recordRevoked', 'nextGeneration'],
    reply: 'refused',
    audit: 'superseded',
  }),
  row('QUARANTINED', 'register', {
    when: ['currentGeneration', 'byOwn'],
    does: ['propose'],
    reply: 'proposed',
    safety: true,
  }),
  row('*', 'register', { does: ['recordRevoked'], reply: 'refused', safety: true }),

  row(OPEN, 'ask', { when: ['currentGeneration', 'byActive', 'askable', 'paused'], reply: 'wait', safety: true }),
  row(OPEN, 'ask', {
    when: ['currentGeneration', 'byActive', 'askable'],
    to: 'MINTED',
    does: ['pend'],
    audit: 'minted',
    safety: true,
  }),
  row('MINTED', 'ask', {
    when: ['currentGeneration', 'byActive', 'askable', 'calm'],
    to: 'WANTED',
    does: ['revokePending', 'nextGeneration'],
    reply: 'newer-generation',
    audit: 'superseded',
  }),

  row(OPEN, 'issue', { when: ['paused'], reply: 'wait', safety: true }),
  row(OPEN, 'issue', { when: ['fromManual'], to: 'MINTED', does: ['pend'], audit: 'minted', safety: true }),

  row('MINTED', 'commit', { when: ['byPending'], to: 'PROVEN', does: ['promote'], audit: 'proven', safety: true }),
  row('PROVEN', CONTACT, {
    when: ['byActive', 'soakOver'],
    to: 'IDLE',
    does: ['revokeRetiring', 'settle'],
    audit: 'settled',
    safety: true,
  }),
  row('PROVEN', CONTACT, { when: ['byActive'], does: ['heard', 'heardNew'] }),
  row('PROVEN', CONTACT, { when: ['byRetiring', 'afterProvenReport'] }),
  row('PROVEN', CONTACT, {
    when: ['byRetiring', 'calm', 'oldContactsReached'],
    to: 'IDLE',
    does: ['heard', 'revokeActive', 'restoreRetiring', 'clear'],
    audit: 'rolled-back',
    safety: true,
  }),
  row('PROVEN', CONTACT, { when: ['byRetiring', 'calm'], does: ['heard', 'heardOld'], safety: true }),
  row('OVERDUE', CONTACT, { when: ['byActive'], to: 'WANTED', does: ['forgetDeadline', 'heard'], audit: 'wanted' }),
  row(KEYED, CONTACT, { when: ['byOwn'], does: ['heard'] }),

  row('WANTED', 'tick', { when: ['deadlinePassed'], to: 'OVERDUE', audit: 'overdue' }),
  row('OVERDUE', 'tick', {
    when: ['policyQuarantine'],
    to: 'QUARANTINED',
    does: ['clear', 'nextGeneration', 'quarantine'],
    audit: 'quarantined',
  }),
  row('OVERDUE', 'tick', { when: ['policyRevoke'], to: 'LOST', does: ['revokeAll'], audit: 'lost' }),
  row('MINTED', 'tick', {
    when: ['pendingExpired', 'incident'],
    to: 'QUARANTINED',
    does: ['revokePending', 'nextGeneration'],
    audit: 'expired',
    safety: true,
  }),
  row('MINTED', 'tick', {
    when: ['pendingExpired'],
    to: 'WANTED',
    does: ['revokePending', 'nextGeneration'],
    audit: 'expired',
  }),

  row(OPEN, STOP, { to: 'IDLE', does: ['clear'], audit: 'aborted' }),
  row('MINTED', STOP, {
    when: ['incident'],
    to: 'QUARANTINED',
    does: ['revokePending', 'nextGeneration'],
    audit: 'aborted',
    safety: true,
  }),
  row('MINTED', STOP, { to: 'IDLE', does: ['revokePending', 'clear'], audit: 'aborted' }),
  row('PROVEN', 'rollBack', { when: ['incident'], reply: 'refused', safety: true }),
  row('PROVEN', 'rollBack', {
    to: 'IDLE',
    does: ['revokeActive', 'restoreRetiring', 'clear'],
    audit: 'rolled-back',
  }),

  row(['IDLE', ...UNPROVEN, 'PROVEN'], 'quarantine', {
    to: 'QUARANTINED',
    does: ['revokePending', 'clear', 'nextGeneration', 'quarantine'],
    audit: 'quarantined',
  }),
  row('QUARANTINED', 'release', { when: ['halfway'], reply: 'refused', safety: true }),
  row('QUARANTINED', 'release', { to: 'IDLE', does: ['trust'], audit: 'released' }),
  row('QUARANTINED', 'approve', { when: ['proposed'], to: 'MINTED', does: ['pend'], audit: 'approved' }),

  row('*', 'recover', { when: ['keyKnown'], reply: 'repeat', safety: true }),
  row('*', 'recover', { when: ['keyRevoked'], reply: 'refused' }),
  row('QUARANTINED', 'recover', {
    when: ['notOlder'],
    to: 'MINTED',
    does: ['takeGeneration', 'pend'],
    audit: 'recovered',
    safety: true,
  }),
  row('MINTED', 'recover', {
    when: ['currentGeneration', 'incident'],
    to: 'QUARANTINED',
    does: ['revokePending', 'recordRevoked', 'nextGeneration'],
    reply: 'newer-generation',
    audit: 'superseded',
  }),
  row(OPEN, 'recover', { when: ['currentGeneration', 'fromSelf', 'paused'], reply: 'wait', safety: true }),
  row(OPEN, 'recover', {
    when: ['currentGeneration', 'fromSelf'],
    to: 'MINTED',
    does: ['pend'],
    audit: 'minted',
    safety: true,
  }),
  row('MINTED', 'recover', {
    when: ['currentGeneration'],
    to: 'WANTED',
    does: ['revokePending', 'recordRevoked', 'nextGeneration'],
    reply: 'newer-generation',
    audit: 'superseded',
  }),
  row(KEYED, 'recover', { when: ['notNewer'], does: ['recordRevoked'], reply: 'newer-generation', safety: true }),
  row('PROVEN', 'recover', {
    when: ['onRetiring'],
    to: 'MINTED',
    does: ['revokeActive', 'restoreRetiring', 'quarantine', 'takeGeneration', 'pend'],
    audit: 'recovered',
  }),
  row(['IDLE', ...UNPROVEN, 'PROVEN'], 'recover', {
    to: 'MINTED',
    does: ['revokePending', 'revokeRetiring', 'quarantine', 'takeGeneration', 'pend'],
    audit: 'recovered',
  }),

  row(KEYED, 'lose', { to: 'LOST', does: ['revokeAll'], audit: 'lost' }),
  row('LOST', 'reprovision', {
    to: 'IDLE',
    does: ['nextGeneration', 'provision'],
    audit: 'reprovisioned',
    safety: true,
  }),
  row([...KEYED, 'LOST'], 'remove', { to: 'GONE', does: ['revokeAll'], audit: 'removed' }),
];

/** Rows that watch for a copied key: every one that fits raises its alarm, beside whatever row is taken. */
export interface WatchRow {
  from: readonly RotationStateName[] | '*';
  on: readonly CommandKind[];
  when: readonly GuardName[];
  alarm: Alarm;
}

export const WATCH_TABLE: readonly WatchRow[] = [
  {
    from: ['PROVEN'],
    on: ['register'],
    when: ['currentGeneration', 'byRetiring', 'keyNew'],
    alarm: 'registration-on-old-key',
  },
  { from: '*', on: CONTACT, when: ['byFormer', 'afterProvenReport'], alarm: 'old-key-after-proof' },
  { from: KEYED, on: CONTACT, when: ['twoDevices'], alarm: 'two-devices-in-one-boot' },
];

import type { AuditAnswer, TransferAnswer } from '#sdk/protocol';

/** Meaning of a state for the eye. */
export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'quiet';

export interface StateWords {
  text: string;
  tone: Tone;
  /** One sentence for who wonders. */
  means: string;
}

const unknown = (text: string): StateWords => ({ text: text.toLowerCase(), tone: 'quiet', means: '' });

const ROTATION: Readonly<Record<string, StateWords>> = {
  IDLE: { text: 'settled', tone: 'good', means: 'One active key; nothing is under way.' },
  WANTED: { text: 'key wanted', tone: 'busy', means: 'The device is asked for a new key at its next contact.' },
  MINTED: { text: 'key staged', tone: 'busy', means: 'Old and new key are both valid until the new one was used.' },
  PROVEN: { text: 'key proven', tone: 'busy', means: 'The old key is kept until the device was heard once more.' },
  OVERDUE: { text: 'overdue', tone: 'warn', means: 'Not heard since the deadline; its key was left as it is.' },
  QUARANTINED: {
    text: 'quarantined',
    tone: 'bad',
    means: 'Its key may report and stage another one, and nothing else.',
  },
  LOST: { text: 'lost', tone: 'bad', means: 'No key of it is accepted: it has to be provisioned by hand.' },
  GONE: { text: 'removed', tone: 'quiet', means: 'The device was removed.' },
};

export const ROTATION_STATES = ['IDLE', 'WANTED', 'MINTED', 'PROVEN', 'OVERDUE', 'QUARANTINED', 'LOST'] as const;

export function rotationWords(state: string): StateWords {
  return ROTATION[state] ?? unknown(state);
}

const CAMPAIGN: Readonly<Record<string, StateWords>> = {
  DRAFT: { text: 'draft', tone: 'quiet', means: 'Nothing happens before it is started.' },
  SCHEDULED: { text: 'scheduled', tone: 'quiet', means: 'It starts by itself at its time.' },
  CANARY: { text: 'canary', tone: 'busy', means: 'A few devices go first.' },
  WAVE: { text: 'wave', tone: 'busy', means: 'The devices of this wave are being asked.' },
  SOAK: { text: 'watching', tone: 'busy', means: 'The last wave is watched before the next one begins.' },
  STRAGGLERS: { text: 'stragglers', tone: 'busy', means: 'Waiting for devices that have not been heard yet.' },
  PAUSED: { text: 'paused', tone: 'warn', means: 'No key is minted until it goes on.' },
  ABORTING: { text: 'aborting', tone: 'warn', means: 'What is not proven is being called off.' },
  ROLLING_BACK: {
    text: 'rolling back',
    tone: 'warn',
    means: 'Devices go back to their old keys where they still exist.',
  },
  ABORTED: { text: 'aborted', tone: 'bad', means: 'It was called off.' },
  ROLLED_BACK: { text: 'rolled back', tone: 'bad', means: 'Devices went back to their old keys.' },
  COMPLETED: { text: 'completed', tone: 'good', means: 'Every device has come through or was skipped.' },
  COMPLETED_WITH_STRAGGLERS: {
    text: 'completed with stragglers',
    tone: 'warn',
    means: 'Some devices were never heard.',
  },
};

export function campaignWords(state: string): StateWords {
  return CAMPAIGN[state] ?? unknown(state);
}

export function hasEnded(state: string): boolean {
  return state.startsWith('COMPLETED') || state === 'ABORTED' || state === 'ROLLED_BACK';
}

const TRANSFER: Readonly<Record<string, StateWords>> = {
  uploading: { text: 'uploading', tone: 'busy', means: 'Its bytes are still on their way here.' },
  ready: { text: 'ready', tone: 'good', means: 'Its link has not been read.' },
  claimed: { text: 'being read', tone: 'busy', means: 'A reader holds the lease.' },
  burned: { text: 'delivered', tone: 'quiet', means: 'Read once, and gone.' },
  expired: { text: 'expired', tone: 'warn', means: 'Nobody read it in time; its bytes are gone.' },
  revoked: { text: 'taken back', tone: 'bad', means: 'Burned by its owner before anybody read it.' },
};

export const TRANSFER_STATES = ['uploading', 'ready', 'claimed', 'burned', 'expired', 'revoked'] as const;

export function transferWords(transfer: Pick<TransferAnswer, 'state' | 'held'>): StateWords {
  if (transfer.held) return { text: 'held', tone: 'warn', means: 'Too many reads failed: open it again, or burn it.' };
  return TRANSFER[transfer.state] ?? unknown(transfer.state);
}

const MEMBER: Readonly<Record<string, StateWords>> = {
  waiting: { text: 'waiting for its wave', tone: 'quiet', means: '' },
  open: { text: 'asked', tone: 'busy', means: '' },
  done: { text: 'done', tone: 'good', means: '' },
  error: { text: 'error', tone: 'bad', means: '' },
  skipped: { text: 'skipped', tone: 'quiet', means: '' },
};

export function memberWords(outcome: string): StateWords {
  return MEMBER[outcome] ?? unknown(outcome);
}

const DELIVERED: Readonly<Record<string, string>> = {
  ack: 'the reader sent its digest',
  close: 'the reader closed the connection in order behind the last byte',
  grace: 'nobody asked for it again within the grace period',
  'first-byte': 'its first byte was read, as its sender had asked',
};

export function deliveredWords(by: string | null): string {
  return by === null ? 'not proven' : (DELIVERED[by] ?? by);
}

/** `transfer.sent` → "transfer sent". */
export function actionText(action: string): string {
  return action.replaceAll(/[._-]/g, ' ');
}

export function actionTone(event: Pick<AuditAnswer, 'action' | 'outcome'>): Tone {
  if (event.outcome === 'refused') return 'warn';
  if (/alarm|lost|quarantined|revoked|errors/.test(event.action)) return 'bad';
  if (/paused|abort|\broll(ed|ing)\b|expired|overdue|silent/.test(event.action)) return 'warn';
  if (/delivered|settled|completed|proven|heard/.test(event.action)) return 'good';
  return 'quiet';
}

/** `session:ops@example.com` → "ops@example.com"; a key or device keeps its id. */
export function actorText(actor: string): string {
  const [kind, name] = actor.split(/:(.*)/s);
  if (kind === 'session' || kind === 'jwt' || kind === 'user') return name ?? actor;
  if (kind === 'operator') return 'operator on the server';
  if (kind === 'key') return shortId(name ?? actor);
  return actor;
}

/** An id as far as people tell them apart by eye; the whole of it is on the page it leads to. */
export function shortId(id: string): string {
  return id.length > 16 ? `${id.slice(0, 12)}…` : id;
}

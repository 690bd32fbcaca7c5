/** What a sentence is made from: an audit entry about the device. */
export interface StoryEntry {
  action: string;
  actor: string;
  detail: Record<string, unknown>;
}

function text(entry: StoryEntry, name: string): string {
  const value = entry.detail[name];
  return value === null || value === undefined ? 'none' : String(value);
}

function who(entry: StoryEntry): string {
  const [kind, name] = entry.actor.split(/:(.*)/s);
  if (kind === 'operator') return 'An operator at the server';
  if (kind === 'session' || kind === 'jwt') return `${name}`;
  if (kind === 'key') return 'The device';
  if (kind === 'recovery') return 'The device, with its recovery secret,';
  return 'The server';
}

function because(entry: StoryEntry): string {
  const reason = entry.detail['reason'];
  return typeof reason === 'string' && reason !== '' ? ` Reason: ${reason}.` : '';
}

const CAUSES: Readonly<Record<string, string>> = {
  tick: 'the time it had ran out',
  register: 'the device staged another key',
  ask: 'the device asked for another',
  recover: 'the device recovered with another',
};

const SENTENCES: Readonly<Record<string, (entry: StoryEntry) => string>> = {
  'device.enrolled': (e) => `${who(e)} enrolled the device; its first key is ${text(e, 'fingerprint')}.`,
  'device.removed': (e) => `${who(e)} removed the device; none of its keys is accepted any more.`,
  'rotation.wanted': (e) =>
    text(e, 'cause') === 'select'
      ? `${who(e)} asked for a new key (generation ${text(e, 'generation')}); ${text(e, 'active')} goes on until the new one has proven itself.`
      : `The device was heard again after its deadline; generation ${text(e, 'generation')} is still wanted.`,
  'rotation.minted': (e) =>
    text(e, 'cause') === 'ask'
      ? `The device was handed the key ${text(e, 'fingerprint')} (generation ${text(e, 'generation')}), wrapped under its present one.`
      : text(e, 'cause') === 'issue'
        ? `${who(e)} drew the key ${text(e, 'fingerprint')} (generation ${text(e, 'generation')}), to be carried to the device.`
        : `The device staged the key ${text(e, 'fingerprint')} (generation ${text(e, 'generation')}) beside ${text(e, 'active')}; both are valid now.`,
  'rotation.superseded': (e) =>
    `The pending key ${text(e, 'pending')} was revoked because ${CAUSES[text(e, 'cause')] ?? 'another was wanted'}; generation ${text(e, 'generation')} is wanted instead.`,
  'rotation.proven': (e) =>
    `The device used its new key ${text(e, 'by')} for something that was committed: it is the active key. The old one, ${text(e, 'active')}, is kept until the device has been heard again.`,
  'rotation.settled': (e) =>
    `The device was heard again under ${text(e, 'by')}; its old key ${text(e, 'retiring')} was revoked. The rotation is done.`,
  'rotation.rolled-back': (e) =>
    text(e, 'cause') === 'rollBack'
      ? `${who(e)} rolled back: ${text(e, 'active')} was revoked, ${text(e, 'retiring')} is the active key again.`
      : `The device went on with its old key ${text(e, 'retiring')} and never came with the new one: ${text(e, 'active')} was revoked, and the old key is the active one again.`,
  'rotation.overdue': () => 'The deadline passed without the device being heard; its key was left as it is.',
  'rotation.expired': (e) =>
    `The pending key ${text(e, 'pending')} was not used in time and was revoked; generation ${text(e, 'generation')} is wanted.`,
  'rotation.aborted': (e) => `${who(e)} called the rotation off; ${text(e, 'active')} is the active key.`,
  'rotation.quarantined': (e) =>
    `${who(e)} put the device in quarantine: its key ${text(e, 'active')} may report and stage another key, and nothing else.${because(e)}`,
  'rotation.released': (e) => `${who(e)} ended the quarantine; ${text(e, 'active')} is trusted again.`,
  'rotation.approved': (e) => `${who(e)} approved the key ${text(e, 'fingerprint')}, which the device had staged.`,
  'rotation.recovered': (e) =>
    `${who(e)} registered the key ${text(e, 'fingerprint')} (generation ${text(e, 'generation')}).`,
  'rotation.lost': (e) => `${who(e)} gave the device up for lost; all its keys were revoked.${because(e)}`,
  'rotation.reprovisioned': (e) => `${who(e)} gave the device the key ${text(e, 'fingerprint')} by hand.`,
  'rotation.removed': () => 'All keys of the device were revoked.',
  'incident.declared': (e) => `${who(e)} said that the key ${text(e, 'fingerprint')} is out.${because(e)}`,
  'incident.contained': (e) =>
    `What the key ${text(e, 'fingerprint')} could have touched was dealt with: ${text(e, 'burned')} unread transfers burned, ${text(e, 'devices')} other devices to be rotated.`,
  'rotation.alarm.old-key-after-proof': (e) =>
    `Alarm: ${text(e, 'by')} was used after the device itself had reported its new key. Somebody else may hold a copy.`,
  'rotation.alarm.registration-on-old-key': (e) =>
    `Alarm: somebody with ${text(e, 'by')} tried to register ${text(e, 'fingerprint')} after the new key was proven. It is a copy of the old key, or a device about to fall back.`,
  'rotation.alarm.two-devices-in-one-boot': (e) =>
    `Alarm: two devices claim the same boot (${text(e, 'boot')}) under ${text(e, 'by')}. The key was copied, or the device's memory was.`,
};

/** The audit actions a device's story is told from. */
export const STORY_ACTIONS: readonly string[] = Object.keys(SENTENCES);

/** One audit entry as a sentence for people, or null where it is no part of the story. */
export function sentenceOf(entry: StoryEntry): string | null {
  return SENTENCES[entry.action]?.(entry) ?? null;
}

import type { StoryAnswer } from '#sdk/protocol';
import type { DeviceId } from '../../domain/ids.ts';
import { type RotationRow, sentenceOf } from '../../domain/rotation/index.ts';
import { type Caller, requireAccountKey } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { loadRotation } from './record.ts';

/** The newest entries are told; a device with a longer past has the whole of it in the audit. */
const ENTRIES_MAX = 500;

/** How the device's key came to be in its state, in sentences, oldest first. Also for a device that was removed. */
export async function tellStory(deps: Deps, caller: Caller, id: DeviceId): Promise<StoryAnswer> {
  requireAccountKey(caller);
  const device = await deps.store.get('devices', { id });
  const record =
    device === null
      ? await deps.store.get('rotations', { device_id: id })
      : (await loadRotation(deps, { id, accountId: device.account_id })).record;
  if (record === null || record.account_id !== caller.accountId) {
    throw new FuselinkError('not_found', 'There is no such device.');
  }
  const entries = await deps.store.list('audit', {
    where: [
      ['chain', '=', caller.accountId],
      ['subject', '=', id],
    ],
    orderBy: [['seq', 'desc']],
    limit: ENTRIES_MAX,
  });
  const events = entries.reverse().flatMap((entry) => {
    const sentence = sentenceOf(entry);
    const { seq, action } = entry;
    return sentence === null ? [] : [{ at: new Date(entry.at_ms).toISOString(), seq, action, sentence }];
  });
  return { device_id: id, name: device?.name ?? 'removed', now: nowSentence(record.rotation), events };
}

function nowSentence(row: RotationRow): string {
  switch (row.state) {
    case 'IDLE':
      return `The device has one key, ${row.active}; nothing is under way.`;
    case 'WANTED':
      return `A new key (generation ${row.generation}) is wanted; the device has not staged one yet, and ${row.active} goes on.`;
    case 'OVERDUE':
      return `A new key is wanted and the deadline has passed; ${row.active} goes on, and the device goes on from here when it is heard.`;
    case 'MINTED':
      return `The key ${row.pending} (generation ${row.generation}) waits for its first use; ${row.active} ${row.incident ? 'is quarantined' : 'is valid, too'}.`;
    case 'PROVEN':
      return `${row.active} is proven; ${row.retiring} is kept until the device is heard again.`;
    case 'QUARANTINED':
      return `The device is in quarantine. Out leads a proof with its recovery secret, or the approval of a key it has staged (${row.proposals.length} waiting).`;
    case 'LOST':
      return 'The device has no key that is accepted: it has to be provisioned by hand.';
    case 'GONE':
      return 'The device was removed.';
  }
}

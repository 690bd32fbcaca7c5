/**
 * Bugs that are planted behind a switch: a simulator that does not find them is blind. Each is a change in the wrappers
 * around driver and server, and is named with the invariant that must notice.
 */
export const CANARIES = {
  'one-slot': { breaks: 'I1', where: 'device', what: 'both slots lie in one page that is erased to write either' },
  'revoke-at-mint': { breaks: 'I2', where: 'server', what: 'the old key is revoked when the new one is registered' },
  'use-before-durable': {
    breaks: 'I3',
    where: 'device',
    what: 'a candidate is used from memory before it is in its slot',
  },
  'two-pending': { breaks: 'I4', where: 'server', what: 'a second registration leaves the first pending' },
  'forget-to-revoke': { breaks: 'I5', where: 'server', what: 'a settled rotation leaves the old key valid' },
  'keep-every-key': {
    breaks: 'I6',
    where: 'server',
    what: 'a revoked key is looked up in a cache where it still works',
  },
  'keep-rolled-back': { breaks: 'I5', where: 'server', what: 'no key is ever revoked by a roll-back or an abort' },
  'abort-revokes-active': { breaks: 'I7', where: 'server', what: 'an abort revokes the key in use as well' },
  'drop-on-any-401': { breaks: 'I8', where: 'device', what: 'a key is dropped on key_unknown, too' },
  'generation-falls': { breaks: 'I9', where: 'server', what: 'now and then a wish tells the generation before' },
  'wall-clock-decides': { breaks: 'I10', where: 'device', what: 'the back-off looks at the wall clock' },
  'key-in-log': { breaks: 'I11', where: 'device', what: 'a refused request is logged with its headers' },
  'busy-is-done': { breaks: 'I12', where: 'device', what: 'an upload that was answered 429 or 503 counts as stored' },
  'loses-files': { breaks: 'I12', where: 'server', what: 'one file in some ends as soon as it was accepted' },
  'forgets-repeats': { breaks: 'I12', where: 'server', what: 'the Idempotency-Key of an upload is not kept' },
  'burns-nothing': { breaks: 'I12', where: 'server', what: 'an acknowledged file is not burned' },
  'mint-while-paused': { breaks: 'I13', where: 'server', what: 'the pause of a campaign is read from a cache' },
  'arrow-without-entry': { breaks: 'I14', where: 'server', what: 'one arrow in some is not audited' },
} as const;

export type CanaryName = keyof typeof CANARIES;
export const CANARY_NAMES = Object.keys(CANARIES) as CanaryName[];

/**
 * The device's half of key rotation as one table. `stepRotation` executes it, DESIGN.md in this folder renders it, and the
 * model checker searches it and patches it: there is no second copy.
 *
 * A row is `phases events guards next actions [!]`, one space between. The first row that fits is taken; an event that
 * no row fits is ignored. `*` is any phase or event, `-` is none, `=` stays in the phase. All guards of a row must hold.
 * `!` marks a safety row: without it the model checker finds a device that is locked out or can never settle.
 *
 * Rows are text because Espruino keeps text in flash and objects in its few kilobytes of RAM.
 */
export const DEVICE_TABLE = [
  '* booted,written noKey EMPTY -',
  '* booted twoKeys PROVING register,wake !',
  '* booted,provisioned - SETTLED wake !',
  '* written kept PROVEN backOff',
  '* written staged STAGED register,wake',
  '* written twoKeys PROVING backOff',
  '* written mirrored SETTLED wake',
  '* written - SETTLED backOff',
  '* * busy = -',
  'STAGED,PROVING wanted again = register',
  '* wanted fresh,bySelf = mint !',
  '* wanted fresh,byOffer = ask !',
  '* candidate stale = - !',
  '* candidate held = stage !',
  'STAGED due - = register,backOff',
  'STAGED registered candidate PROVING report',
  'STAGED failed - PROVING useCandidate,backOff',
  'SETTLED due torn = mirror !',
  'SETTLED,PROVING,PROVEN,LIMBO due - = report !',
  'PROVING accepted candidate PROVEN useCandidate,report !',
  'PROVING unknown candidate = register,alternate',
  'PROVING accepted,unknown,failed - = alternate !',
  'STAGED,PROVING revoked candidate,refused LIMBO backOff',
  'STAGED,PROVING,PROVEN revoked candidate SETTLED dropCandidate !',
  'STAGED,PROVING revoked base = refuse,wake',
  'PROVEN accepted - = pace',
  'PROVEN settled sameAge SETTLED dropBase',
  'PROVEN revoked base SETTLED dropBase',
  'SETTLED,PROVEN unknown - = recover,backOff',
  'SETTLED,PROVEN failed - = backOff',
  'SETTLED revoked base LIMBO refuse,backOff',
  'LIMBO recoverable fresh = mint',
  'LIMBO accepted twoKeys PROVING trust,wake',
  'LIMBO accepted - SETTLED trust,wake',
  'LIMBO revoked,unknown,failed - = alternate',
];

/** A row taken apart. `phases`, `events`, `guards` and `actions` are lists; the first phase or event may be `*`, `next` may be `=`. */
export interface DeviceRow {
  phases: string[];
  events: string[];
  guards: string[];
  next: string;
  actions: string[];
  safety: boolean;
}

function wordsOf(field: string): string[] {
  return field === '-' ? [] : field.split(',');
}

/** One line of the table as an object. `line`: as documented at DEVICE_TABLE. */
export function parseDeviceRow(line: string): DeviceRow {
  const fields = line.split(' ');
  return {
    phases: wordsOf(fields[0] as string),
    events: wordsOf(fields[1] as string),
    guards: wordsOf(fields[2] as string),
    next: fields[3] as string,
    actions: wordsOf(fields[4] as string),
    safety: fields[5] === '!',
  };
}

/** Where rows come from: the product takes its lines apart one at a time, the checker has them ready, patched. */
export interface DeviceRows {
  count: number;
  at(index: number): DeviceRow;
}

/** The product's own rows. */
export const DEVICE_ROWS: DeviceRows = {
  count: DEVICE_TABLE.length,
  at: function (index) {
    return parseDeviceRow(DEVICE_TABLE[index] as string);
  },
};

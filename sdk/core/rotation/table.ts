/**
 * The device's half of key rotation as one table. `stepRotation` executes it, DESIGN.md in this folder renders it, and the
 * model checker searches it and patches it: there is no second copy.
 *
 * A row is `phases event guards next actions [!]`, one space between. The first row that fits is taken; an event that
 * no row fits is ignored. `*` is any phase or event, `-` is none, `=` stays in the phase. All guards of a row must hold.
 * `!` marks a safety row: without it the model checker finds a device that is locked out or can never settle.
 *
 * Rows are text because Espruino keeps text in flash and objects in its few kilobytes of RAM.
 */
export const DEVICE_TABLE = [
  '* booted noKey EMPTY -',
  '* booted twoKeys PROVING register,wake !',
  '* booted - SETTLED wake !',
  '* provisioned - SETTLED wake !',
  '* written noKey EMPTY -',
  '* written staged STAGED register,wake',
  '* written twoKeys PROVING backOff',
  '* written mirrored SETTLED wake',
  '* written - SETTLED backOff',
  '* * busy = -',
  'STAGED,PROVING wanted sameAsCandidate = register',
  '* wanted notNewer = -',
  '* wanted baseNotHeld = -',
  '* wanted bySelf = mint !',
  '* wanted byOffer = ask !',
  '* candidate notNewer = - !',
  '* candidate baseNotHeld = -',
  '* candidate - = stage !',
  'STAGED due - = register,backOff',
  'STAGED registered candidate PROVING report !',
  'PROVING due - = report !',
  'PROVING accepted candidate PROVEN useCandidate,report !',
  'PROVING accepted - = alternate',
  'PROVING unknown candidate = register,alternate',
  'PROVING unknown - = alternate',
  'PROVING failed - = alternate',
  'STAGED,PROVING revoked candidate,baseRefused LIMBO backOff',
  'STAGED,PROVING,PROVEN revoked candidate SETTLED dropCandidate !',
  'STAGED,PROVING revoked base = refuseBase,wake',
  'PROVEN due - = report',
  'PROVEN accepted - = pace',
  'PROVEN settled candidateGeneration SETTLED dropBase',
  'PROVEN revoked base SETTLED dropBase',
  'PROVEN unknown - = recover,backOff',
  'PROVEN failed - = backOff',
  'SETTLED due notMirrored = mirror !',
  'SETTLED due - = report',
  'SETTLED revoked base LIMBO refuseBase,backOff',
  'SETTLED unknown base = recover,backOff',
  'SETTLED failed - = backOff',
  'LIMBO due - = report',
  'LIMBO recoverable notNewer = -',
  'LIMBO recoverable baseNotHeld = -',
  'LIMBO recoverable - = mint',
  'LIMBO accepted twoKeys PROVING trust,wake',
  'LIMBO accepted - SETTLED trust,wake',
  'LIMBO revoked - = alternate',
  'LIMBO unknown - = alternate',
  'LIMBO failed - = alternate',
];

/** A row taken apart. `phases`, `guards` and `actions` are lists; `event` may be `*`, `next` may be `=`. */
export interface DeviceRow {
  phases: string[];
  event: string;
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
    event: fields[1] as string,
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

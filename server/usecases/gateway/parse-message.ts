import type { GatewayCall, GatewayMessage } from '#sdk/protocol';
import { FuselinkError } from '../error.ts';

const CALLS: readonly string[] = ['device', 'status', 'rotation', 'firmware'];
const WHOLE_MAX = Number.MAX_SAFE_INTEGER;
/** A device has two slots. */
const HOLDS_MAX = 2;

type Check = [name: string, holds: (value: unknown) => boolean, expected: string];

const whole = (value: unknown) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= WHOLE_MAX;
const matches = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value);

/** What each field of a message must be. */
const FIELDS: readonly Check[] = [
  ['id', matches(/^[A-Za-z0-9_.-]{1,40}$/), '1 to 40 letters, digits, _ . or -'],
  ['call', (value) => CALLS.includes(value as string), `one of ${CALLS.join(', ')}`],
  ['boot', (value) => whole(value) && (value as number) <= 0xffffffff, `a whole number up to ${0xffffffff}`],
  ['sequence', whole, `a whole number up to ${WHOLE_MAX}`],
  ['boot_tag', matches(/^[0-9a-f]{8,32}$/), '8 to 32 hex characters'],
  ['epoch', whole, `a whole number up to ${WHOLE_MAX}`],
  ['phase', matches(/^[A-Z]{0,20}$/), 'the phase of the rotation agent'],
  [
    'holds',
    (value) => Array.isArray(value) && value.length <= HOLDS_MAX && value.every(matches(/^[0-9a-f]{16}$/)),
    `at most ${HOLDS_MAX} fingerprints`,
  ],
  ['body', (value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'an object'],
];

/** A device's line of JSON. Throws `invalid_field` that says what was expected. */
export function parseMessage(text: string): GatewayMessage {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {
    throw wrong('text', 'expected a line of JSON, got another text');
  }
  if (typeof said !== 'object' || said === null || Array.isArray(said)) throw wrong('text', 'expected a JSON object');
  const fields = { holds: [], phase: '', epoch: 0, body: {}, ...said } as Record<string, unknown>;
  for (const [name, holds, expected] of FIELDS) {
    if (!holds(fields[name])) throw wrong(`text.${name}`, `expected ${expected}, got something else`);
  }
  const { id, boot, sequence, boot_tag, epoch, phase, holds, body } = fields as unknown as GatewayMessage;
  return { id, call: fields['call'] as GatewayCall, boot, sequence, boot_tag, epoch, phase, holds, body };
}

function wrong(field: string, detail: string): FuselinkError {
  return new FuselinkError('invalid_field', `${field}: ${detail}.`, { errors: [{ field, detail }] });
}

import {
  type BurnRule,
  type FieldProblem,
  LEASE_SECONDS_DEFAULT,
  LEASE_SECONDS_MAX,
  LEASE_SECONDS_MIN,
  NOTE_CHARS_MAX,
  READ_ATTEMPTS_DEFAULT,
  READ_ATTEMPTS_MAX,
  RECEIPT_TTL_SECONDS_DEFAULT,
  RECEIPT_TTL_SECONDS_MAX,
  RECIPIENT_CHARS_MAX,
  TTL_SECONDS_DEFAULT,
  TTL_SECONDS_MAX,
  TTL_SECONDS_MIN,
} from '#sdk/protocol';
import { type Checked, checkFilename, isWellFormed } from './filename.ts';

/** What a sender may say of an upload, as text from a form field, header or tus metadata; undefined: not said. */
export type UploadFields = { [F in UploadFieldName]?: string | undefined };

/** The names as form fields and tus metadata; headers are `X-` + the name with dashes. */
export const UPLOAD_FIELDS = [
  'filename',
  'recipient',
  'ttl',
  'note',
  'burn',
  'require_claim',
  'attempts_max',
  'lease_seconds',
  'receipt_ttl',
  'content_type',
] as const;
export type UploadFieldName = (typeof UPLOAD_FIELDS)[number];

export interface UploadOptions {
  filename: string;
  recipient: string | null;
  note: string | null;
  contentType: string;
  ttlSeconds: number;
  receiptTtlSeconds: number;
  burn: BurnRule;
  requireClaim: boolean;
  attemptsMax: number;
  leaseSeconds: number;
}

export type OptionsOutcome = { ok: true; options: UploadOptions } | { ok: false; errors: FieldProblem[] };

/** Checks everything a sender said and reports every field that is wrong at once, not only the first. */
export function checkUploadFields(fields: UploadFields): OptionsOutcome {
  const errors: FieldProblem[] = [];
  function take<T>(field: UploadFieldName, fallback: T, check: (text: string) => Checked<T>): T {
    const text = fields[field];
    if (text === undefined) return fallback;
    const checked = check(text);
    if (checked.ok) return checked.value;
    errors.push({ field, detail: checked.detail });
    return fallback;
  }

  const options: UploadOptions = {
    filename: take('filename', 'file.bin', checkFilename),
    recipient: take<string | null>('recipient', null, checkRecipient),
    note: take<string | null>('note', null, checkNote),
    contentType: take('content_type', 'application/octet-stream', checkContentType),
    ttlSeconds: take('ttl', TTL_SECONDS_DEFAULT, wholeNumber('seconds', TTL_SECONDS_MIN, TTL_SECONDS_MAX)),
    receiptTtlSeconds: take(
      'receipt_ttl',
      RECEIPT_TTL_SECONDS_DEFAULT,
      wholeNumber('seconds', 0, RECEIPT_TTL_SECONDS_MAX),
    ),
    burn: take<BurnRule>('burn', 'on-delivery', checkBurn),
    requireClaim: take('require_claim', false, checkSwitch),
    attemptsMax: take('attempts_max', READ_ATTEMPTS_DEFAULT, wholeNumber('attempts', 1, READ_ATTEMPTS_MAX)),
    leaseSeconds: take(
      'lease_seconds',
      LEASE_SECONDS_DEFAULT,
      wholeNumber('seconds', LEASE_SECONDS_MIN, LEASE_SECONDS_MAX),
    ),
  };
  return errors.length > 0 ? { ok: false, errors } : { ok: true, options };
}

/** A whole decimal number in a range, as people write it: no sign, no exponent, no unit. */
export function wholeNumber(unit: string, min: number, max: number): (text: string) => Checked<number> {
  return (text) => {
    const value = /^\d{1,15}$/.test(text.trim()) ? Number(text.trim()) : Number.NaN;
    if (value >= min && value <= max) return { ok: true, value };
    return { ok: false, detail: `expected a whole number of ${unit} from ${min} to ${max}, got ${quoted(text)}` };
  };
}

/** What came, short enough and clean enough for an error message. */
export function quoted(text: string): string {
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
  return clean.length > 60 ? `"${clean.slice(0, 60)}…" (${clean.length} characters)` : `"${clean}"`;
}

function checkRecipient(text: string): Checked<string | null> {
  const trimmed = text.trim();
  if (trimmed === '') return { ok: true, value: null };
  const fits =
    trimmed.length <= RECIPIENT_CHARS_MAX &&
    /^[^\s@<>"\u0000-\u001f\u007f]+@[^\s@<>"\u0000-\u001f\u007f]+$/.test(trimmed);
  if (fits && isWellFormed(trimmed)) return { ok: true, value: trimmed };
  return {
    ok: false,
    detail: `expected one e-mail address of at most ${RECIPIENT_CHARS_MAX} characters, got ${quoted(text)}`,
  };
}

function checkNote(text: string): Checked<string | null> {
  const trimmed = text.trim();
  if (trimmed === '') return { ok: true, value: null };
  if (
    trimmed.length <= NOTE_CHARS_MAX &&
    isWellFormed(trimmed) &&
    !/[\u0000-\u0008\u000b-\u001f\u007f]/.test(trimmed)
  ) {
    return { ok: true, value: trimmed };
  }
  return {
    ok: false,
    detail: `expected a text of at most ${NOTE_CHARS_MAX} characters, got ${trimmed.length} or control characters`,
  };
}

/** The type the receiver is told. Parameters but charset are dropped; what is not a type becomes octet-stream. */
function checkContentType(text: string): Checked<string> {
  const match = /^\s*([\w!#$&^.+-]{1,64}\/[\w!#$&^.+-]{1,64})\s*(?:;\s*charset\s*=\s*"?([\w.:+-]{1,40})"?)?/i.exec(
    text,
  );
  const type = match?.[1]?.toLowerCase();
  // What curl and urllib put on any body they are given says nothing about the file.
  if (type === undefined || type === 'application/x-www-form-urlencoded' || type.startsWith('multipart/')) {
    return { ok: true, value: 'application/octet-stream' };
  }
  return { ok: true, value: match?.[2] === undefined ? type : `${type}; charset=${match[2].toLowerCase()}` };
}

function checkBurn(text: string): Checked<BurnRule> {
  const value = text.trim().toLowerCase();
  if (value === 'on-delivery' || value === 'on-first-byte') return { ok: true, value };
  return { ok: false, detail: `expected "on-delivery" or "on-first-byte", got ${quoted(text)}` };
}

function checkSwitch(text: string): Checked<boolean> {
  const value = text.trim().toLowerCase();
  if (['1', 'true', 'yes', 'on'].includes(value)) return { ok: true, value: true };
  if (['0', 'false', 'no', 'off', ''].includes(value)) return { ok: true, value: false };
  return { ok: false, detail: `expected "true" or "false", got ${quoted(text)}` };
}

import { describe, expect, it } from 'vitest';
import { checkIdempotencyKey } from './idempotency-key.ts';
import { checkUploadFields, quoted, UPLOAD_FIELDS, type UploadFieldName } from './upload-options.ts';

const options = (fields: Parameters<typeof checkUploadFields>[0]) => {
  const checked = checkUploadFields(fields);
  if (!checked.ok) throw new Error(JSON.stringify(checked.errors));
  return checked.options;
};

describe('what a sender says of an upload', () => {
  it('nothing → the defaults', () => {
    expect(options({})).toEqual({
      filename: 'file.bin',
      recipient: null,
      note: null,
      contentType: 'application/octet-stream',
      ttlSeconds: 86_400,
      receiptTtlSeconds: 2_592_000,
      burn: 'on-delivery',
      requireClaim: false,
      attemptsMax: 5,
      leaseSeconds: 60,
    });
  });

  const accepted: [UploadFieldName, string, string, unknown][] = [
    ['ttl', '60', 'ttlSeconds', 60],
    ['ttl', ' 604800 ', 'ttlSeconds', 604_800],
    ['receipt_ttl', '0', 'receiptTtlSeconds', 0],
    ['receipt_ttl', '31536000', 'receiptTtlSeconds', 31_536_000],
    ['recipient', ' ops@example.com ', 'recipient', 'ops@example.com'],
    ['recipient', '', 'recipient', null],
    ['recipient', 'größe@bücher.example', 'recipient', 'größe@bücher.example'],
    ['note', 'two\nlines', 'note', 'two\nlines'],
    ['note', '  ', 'note', null],
    ['burn', 'On-First-Byte', 'burn', 'on-first-byte'],
    ['require_claim', 'yes', 'requireClaim', true],
    ['require_claim', '0', 'requireClaim', false],
    ['attempts_max', '100', 'attemptsMax', 100],
    ['lease_seconds', '5', 'leaseSeconds', 5],
    ['content_type', 'text/csv; charset="UTF-8"; header=present', 'contentType', 'text/csv; charset=utf-8'],
    ['content_type', 'Image/PNG', 'contentType', 'image/png'],
    ['content_type', 'application/x-www-form-urlencoded', 'contentType', 'application/octet-stream'],
    ['content_type', 'multipart/form-data; boundary=x', 'contentType', 'application/octet-stream'],
    ['content_type', 'nonsense', 'contentType', 'application/octet-stream'],
    ['content_type', 'text/html\r\nX: y', 'contentType', 'text/html'],
  ];
  it.each(accepted)('%s %j → %s %j', (field, text, option, value) => {
    expect(options({ [field]: text })).toMatchObject({ [option]: value });
  });

  const refused: [UploadFieldName, string][] = [
    ...['59', '604801', '', ' ', 'NaN', '1e3', '-60', '+60', '60.0', '0x60', '١٠٠', '9'.repeat(16)].map(
      (text): [UploadFieldName, string] => ['ttl', text],
    ),
    ['receipt_ttl', '31536001'],
    ['receipt_ttl', '-1'],
    ['recipient', 'ops'],
    ['recipient', 'a@b@c'],
    ['recipient', 'a b@c.d'],
    ['recipient', 'a@b.c, d@e.f'],
    ['recipient', '<a@b.c>'],
    ['recipient', `${'a'.repeat(250)}@b.cd`],
    ['recipient', 'a@b\0.c'],
    ['note', 'n'.repeat(1_001)],
    ['note', 'bell\u0007'],
    ['note', '\ud800'],
    ['burn', 'never'],
    ['require_claim', '2'],
    ['attempts_max', '0'],
    ['attempts_max', '101'],
    ['lease_seconds', '4'],
    ['lease_seconds', '3601'],
    ['filename', 'a/b'],
  ];
  it.each(refused)('%s %j → refused with the field, what was expected and what came', (field, text) => {
    const checked = checkUploadFields({ [field]: text });
    expect(checked).toEqual({ ok: false, errors: [{ field, detail: expect.stringMatching(/^expected .*, got /s) }] });
  });

  it('every field wrong at once → every field told', () => {
    const fields = {
      filename: '/',
      recipient: 'x',
      ttl: 'x',
      note: 'n'.repeat(1_001),
      burn: 'x',
      require_claim: 'x',
      attempts_max: 'x',
      lease_seconds: 'x',
      receipt_ttl: 'x',
    };
    const checked = checkUploadFields(fields);
    const told = checked.ok ? [] : checked.errors.map((problem) => problem.field);
    expect(told.sort()).toEqual(Object.keys(fields).sort());
    expect([...UPLOAD_FIELDS].filter((field) => field !== 'content_type').sort()).toEqual(told.sort());
  });

  it('what came is quoted short and clean: an error never carries a control character or a novel', () => {
    expect(quoted('a\r\nb\u001b[31m')).toBe('"a??b?[31m"');
    expect(quoted('x'.repeat(5_000))).toBe(`"${'x'.repeat(60)}…" (5000 characters)`);
  });
});

describe('Idempotency-Key', () => {
  const key = 'k'.repeat(22);
  it.each([key, `"${key}"`, ` ${key} `, 'k'.repeat(255)])('%s → the key without quotes and blanks', (text) => {
    expect(checkIdempotencyKey(text)).toEqual({ ok: true, value: text.trim().replaceAll('"', '') });
  });
  it.each(['', 'k'.repeat(21), 'k'.repeat(256), `${key} x`, `${key}\u0000`, `${key}ü`])(
    '%j → refused without telling it',
    (text) => {
      const checked = checkIdempotencyKey(text);
      expect(checked).toEqual({ ok: false, detail: expect.stringContaining('22 to 255') });
      if (text !== '') expect(JSON.stringify(checked)).not.toContain(text);
    },
  );
});

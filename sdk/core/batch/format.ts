/** How readings lie in a file: one JSON text a line, one CSV row a line, or one after the other as they are. */
export type BatchFormat = 'ndjson' | 'csv' | 'raw';

export interface FormatTraits {
  extension: string;
  contentType: string;
  /** A line feed after each reading; then no reading may hold one. */
  lines: boolean;
  /** What makes the manifest a comment or a record in the file's own format; null where it has no place in it. */
  manifestBefore: string | null;
  manifestAfter: string;
}

export const FORMATS = {
  ndjson: {
    extension: 'ndjson',
    contentType: 'application/x-ndjson',
    lines: true,
    manifestBefore: '{"fuselink":',
    manifestAfter: '}\n',
  } as FormatTraits,
  csv: {
    extension: 'csv',
    contentType: 'text/csv',
    lines: true,
    manifestBefore: '# ',
    manifestAfter: '\n',
  } as FormatTraits,
  raw: {
    extension: 'bin',
    contentType: 'application/octet-stream',
    lines: false,
    manifestBefore: null,
    manifestAfter: '',
  } as FormatTraits,
};

/** Whether a reading can stand in a file of this format: `ok`, or why not. Looks at no more than it must. */
export function checkReading(format: BatchFormat, bytes: Uint8Array): 'ok' | 'empty' | 'line_break' {
  if (bytes.length === 0) return 'empty';
  if (!FORMATS[format].lines) return 'ok';
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === 10 || bytes[i] === 13) return 'line_break';
  return 'ok';
}

/** One CSV row without its line feed: fields quoted where they must be [RFC 4180 §2], null as an empty field. */
export function csvRow(fields: (string | number | boolean | null)[]): string {
  const quoted: string[] = [];
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i];
    const text = field === null || field === undefined ? '' : String(field);
    const bare = text.indexOf('"') < 0 && text.indexOf(',') < 0 && text.indexOf('\n') < 0 && text.indexOf('\r') < 0;
    // A line break inside quotes would be legal CSV; a reading is one line, so it becomes a space.
    quoted.push(bare ? text : '"' + text.replace(/"/g, '""').replace(/[\r\n]+/g, ' ') + '"');
  }
  return quoted.join(',');
}

/**
 * A header's value as the sender meant it. Node hands header bytes over as latin1; devices send UTF-8, percent-encoded
 * UTF-8, or RFC 8187's `UTF-8''…`. What does not decode is taken as it stands.
 */
export function headerText(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const bytes = Buffer.from(value, 'latin1');
  const utf8 = bytes.toString('utf8');
  const text = utf8.includes('\ufffd') ? value : utf8;
  const extended = /^utf-8'[\w-]*'(.*)$/i.exec(text);
  return percentDecoded(extended?.[1] ?? text);
}

/** Decodes `%xx` where the whole text is validly encoded; "100%.csv" stays what it is. */
export function percentDecoded(text: string): string {
  if (!/%[0-9a-fA-F]{2}/.test(text)) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** First value of a header that may come more than once. */
export function oneHeader(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** SHA-256 announced by one of these fields [RFC 9530], as hex; null where none was. */
export function announcedDigest(
  headers: Record<string, string | string[] | undefined>,
  names: readonly ('repr-digest' | 'content-digest')[],
): string | null {
  for (const name of names) {
    const match = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):/.exec(oneHeader(headers[name]) ?? '');
    if (match?.[1] !== undefined) return Buffer.from(match[1], 'base64').toString('hex');
  }
  return null;
}

/** `sha-256=:base64:` for 64 hex characters: the form of `Repr-Digest`. */
export function digestHeader(sha256Hex: string): string {
  return `sha-256=:${Buffer.from(sha256Hex, 'hex').toString('base64')}:`;
}

/** `attachment` with the name in both forms [RFC 6266]: an ASCII stand-in and UTF-8. */
export function attachment(filename: string): string {
  const ascii = filename.replace(/[^\x20-\x7e]/g, '_').replace(/["\\]/g, '_');
  const extended = encodeURIComponent(filename).replace(
    /['()*!]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${extended}`;
}

import { describe, expect, it } from 'vitest';
import { announcedDigest, attachment, digestHeader, headerText, oneHeader } from './header-text.ts';

/** As Node hands over what a client sent as UTF-8. */
const onTheWire = (text: string) => Buffer.from(text, 'utf8').toString('latin1');

describe('text in headers', () => {
  const cases: [string, string, string][] = [
    ['ASCII', 'log.csv', 'log.csv'],
    ['UTF-8 bytes', onTheWire('größe 🔌.csv'), 'größe 🔌.csv'],
    ['latin1 bytes that are no UTF-8', 'gr\u00f6\u00dfe.csv', 'größe.csv'],
    ['percent-encoded', 'gr%C3%B6%C3%9Fe.csv', 'größe.csv'],
    ['RFC 8187', "UTF-8''gr%C3%B6%C3%9Fe.csv", 'größe.csv'],
    ['RFC 8187 with a language', "utf-8'de'%C3%B6.csv", 'ö.csv'],
    ['a percent sign that encodes nothing', '100%.csv', '100%.csv'],
    ['encoding that is none', '%C3%28.csv', '%C3%28.csv'],
  ];
  it.each(cases)('%s → as the sender meant it', (_name, header, text) => expect(headerText(header)).toBe(text));

  it('none → undefined; several → the first', () => {
    expect(headerText(undefined)).toBeUndefined();
    expect([oneHeader(['a', 'b']), oneHeader('a'), oneHeader(undefined)]).toEqual(['a', 'a', undefined]);
  });
});

describe('digests in headers', () => {
  const hex = 'ab'.repeat(32);
  const either = (headers: Record<string, string>) => announcedDigest(headers, ['repr-digest', 'content-digest']);
  it('of either field, among others → hex; another algorithm, another form, none → null', () => {
    expect(either({ 'repr-digest': digestHeader(hex) })).toBe(hex);
    expect(either({ 'content-digest': `sha-512=:AAAA:, ${digestHeader(hex)}` })).toBe(hex);
    expect(either({ 'repr-digest': digestHeader(hex), 'content-digest': digestHeader('00'.repeat(32)) })).toBe(hex);
    for (const value of ['md5=:AAAA:', 'sha-256=abc', `sha-256=:${'A'.repeat(40)}:`, '']) {
      expect(either({ 'repr-digest': value })).toBeNull();
    }
    expect(either({})).toBeNull();
    expect(announcedDigest({ 'content-digest': digestHeader(hex) }, ['repr-digest'])).toBeNull();
  });
});

describe('Content-Disposition', () => {
  it.each(['log.csv', 'a "b" \\c;d.csv', "größe 'x' (1)*!.csv", '🔌.bin'])(
    '%s → ASCII stand-in, and the name itself',
    (name) => {
      const header = attachment(name);
      expect(header).toMatch(/^attachment; filename="[\x20-\x21\x23-\x5b\x5d-\x7e]*"; filename\*=UTF-8''[\w%.~-]+$/);
      expect(decodeURIComponent(/UTF-8''(.*)$/.exec(header)?.[1] ?? '')).toBe(name);
    },
  );
});

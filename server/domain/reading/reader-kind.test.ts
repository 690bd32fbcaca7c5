import { describe, expect, it } from 'vitest';
import { DOWNLOAD_TOOLS, PREVIEW_AGENTS, type ReaderHints, readerKind } from './reader-kind.ts';
import { BROWSERS, CLIENTS, PREVIEWS } from './readers.testkit.ts';

const hints = (reader: { userAgent?: string; accept?: string; purpose?: string }): ReaderHints => ({
  userAgent: reader.userAgent,
  accept: reader.accept,
  purpose: reader.purpose,
});

describe('readerKind', () => {
  it.each(CLIENTS)('a download tool: $name → bytes', (client) => expect(readerKind(hints(client))).toBe('bytes'));
  it.each(PREVIEWS)('a link preview: $name → page', (preview) => expect(readerKind(hints(preview))).toBe('page'));
  it.each(BROWSERS)('a browser: $name → page', (browser) => expect(readerKind(hints(browser))).toBe('page'));

  it.each([
    ['asks for a page by name of a tool', { userAgent: 'curl/8.5.0', accept: 'text/html' }],
    ['XHTML only', { userAgent: 'x/1', accept: 'application/xhtml+xml' }],
    ['prefetch of a tool-like agent', { userAgent: 'node', accept: '*/*', purpose: 'prefetch' }],
    ['Safari preview', { userAgent: 'x/1', purpose: 'preview' }],
    ['prerender', { userAgent: 'x/1', purpose: 'prefetch;prerender' }],
    ['an unknown crawler', { userAgent: 'AcmeUnfurl/2.0', accept: '*/*' }],
    ['an unknown agent with its address', { userAgent: 'Acme (+https://acme.example/about)', accept: '*/*' }],
  ])('%s → page', (_name, reader) => expect(readerKind(hints(reader))).toBe('page'));

  it('names: all lower case, each once, and no tool is taken for a preview', () => {
    for (const names of [PREVIEW_AGENTS, DOWNLOAD_TOOLS]) {
      expect(names).toEqual(names.map((name) => name.toLowerCase()));
      expect(new Set(names).size).toBe(names.length);
    }
    for (const tool of DOWNLOAD_TOOLS) expect(PREVIEW_AGENTS.filter((name) => tool.includes(name))).toEqual([]);
  });
});

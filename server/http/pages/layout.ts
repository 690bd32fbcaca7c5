import { createHash } from 'node:crypto';
import type { Answer } from '../route.ts';
import { LINK_SCRIPT } from './link-script.generated.ts';
import { LINK_STYLE } from './link-style.ts';
import { UNSEAL_SCRIPT } from './unseal-script.generated.ts';

/** Everything a page of a link loads, by file name. Nothing comes from anywhere else. */
export const PAGE_ASSETS: Readonly<Record<string, { type: string; text: string }>> = {
  'link.js': { type: 'text/javascript; charset=utf-8', text: LINK_SCRIPT },
  'link.css': { type: 'text/css; charset=utf-8', text: LINK_STYLE },
};

/** Loaded by the script above, and only for files that are sealed to their link. */
export const LATE_ASSETS: typeof PAGE_ASSETS = {
  'unseal.js': { type: 'text/javascript; charset=utf-8', text: UNSEAL_SCRIPT },
};

/** An asset of either kind; undefined for other names. */
export function pageAsset(name: string): { type: string; text: string } | undefined {
  for (const assets of [PAGE_ASSETS, LATE_ASSETS]) if (Object.hasOwn(assets, name)) return assets[name];
  return undefined;
}

/** Short digest of an asset: part of its address, so that it may be cached for good. */
export function assetVersion(name: string): string {
  return createHash('sha256')
    .update(pageAsset(name)?.text ?? '')
    .digest('hex')
    .slice(0, 12);
}

const VERSIONS = { js: assetVersion('link.js'), css: assetVersion('link.css') };

/** Nothing from elsewhere, nothing inline, no markup from text. `form`: where forms may be sent. */
export function pagePolicy({ form }: { form: "'self'" | "'none'" }): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    'img-src data:',
    `form-action ${form}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    'trusted-types',
  ].join('; ');
}

/** What every page of ours says to browsers beside its policy. */
export const PAGE_HEADERS = {
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
} as const;

/** Where a page finds what opens sealed files. */
export const UNSEAL_ADDRESS = `../page/unseal.js?v=${assetVersion('unseal.js')}`;

/** A page as an answer; `body` is HTML whose text was escaped. Addresses are relative, so any path prefix works. */
export function htmlPage(page: { status: number; title: string; body: string; state: string }): Answer {
  return {
    status: page.status,
    type: 'text/html; charset=utf-8',
    headers: {
      ...PAGE_HEADERS,
      'content-security-policy': pagePolicy({ form: "'self'" }),
      vary: 'Accept, User-Agent',
    },
    text: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">
<title>${escapeHtml(page.title)} · Fuselink</title>
<link rel="stylesheet" href="../page/link.css?v=${VERSIONS.css}"><script src="../page/link.js?v=${VERSIONS.js}" defer></script></head>
<body><main data-state="${page.state}">${page.body}</main></body></html>
`,
  };
}

export function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** An instant that the script shows in the viewer's own zone. */
export function timeHtml(ms: number): string {
  const at = new Date(ms);
  return `<time datetime="${at.toISOString()}">${escapeHtml(at.toUTCString())}</time>`;
}

/** Escaped text in which every instant is a `<time>`. */
export function textWithTimes(text: string): string {
  return escapeHtml(text).replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, (iso) => timeHtml(Date.parse(iso)));
}

/** A size with its unit. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${bytes} bytes` : `${value.toFixed(1)} ${units[unit]}`;
}

import type { FuselinkError } from '../../usecases/error.ts';
import type { InspectedLink } from '../../usecases/read/inspect-link.ts';
import type { Answer } from '../route.ts';

const STYLE = `
:root { color-scheme: light dark; --ink: #1c1b1f; --paper: #faf9f7; --card: #fff; --line: #dcd8d0; --fire: #b3390b; --soft: #625d55; }
@media (prefers-color-scheme: dark) { :root { --ink: #f1eee9; --paper: #161412; --card: #211e1b; --line: #3b3631; --fire: #ff8a57; --soft: #b0a99f; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
main { width: min(32rem, 92vw); background: var(--card); border: 1px solid var(--line); border-radius: 1rem; padding: 2rem; }
h1 { font-size: 1.3rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 0 0 1.25rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
button { font: inherit; font-weight: 600; width: 100%; padding: .8rem; border: 0; border-radius: .6rem; cursor: pointer;
  background: var(--fire); color: var(--card); }
button:focus-visible { outline: 3px solid var(--ink); outline-offset: 2px; }
p { margin: .75rem 0 0; color: var(--soft); }
`;

const CSP =
  "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/** The page of a link that can be read. Opening it changes nothing; its button is a form POST. */
export function linkPage(link: InspectedLink, tokenText: string): Answer {
  const { meta, row, leasedSeconds } = link;
  const facts: [string, string][] = [
    ['Size', bytesText(row.size ?? 0)],
    ...(meta.note === null ? [] : ([['Note', meta.note]] as [string, string][])),
    ['Expires', new Date(row.expires_at_ms).toUTCString()],
  ];
  const busy =
    leasedSeconds === null
      ? ''
      : `<p role="status">Somebody is reading this file right now. If that read breaks, try again in ${leasedSeconds} s.</p>`;
  return htmlAnswer(
    200,
    meta.filename,
    `<h1>${escapeHtml(meta.filename)}</h1>
<dl>${facts.map(([name, value]) => `<dt>${name}</dt><dd>${escapeHtml(value)}</dd>`).join('')}</dl>
<form method="post" action="/get/${escapeHtml(tokenText)}/claim"><button type="submit">Download once</button></form>
<p>This link works once: when the download is complete, the file is burned. A download that breaks can be repeated.</p>${busy}`,
  );
}

const TITLES: Record<string, string> = {
  link_unknown: 'There is no such link',
  link_expired: 'This link has expired',
  link_burned: 'This file was already read',
  link_revoked: 'The sender took this file back',
  transfer_uploading: 'This file is still on its way',
  transfer_leased: 'Somebody is reading this file now',
  transfer_held: 'This file is held for its sender to decide',
};

/** The page of a link that cannot be read (any more). */
export function refusedPage(error: FuselinkError, status: number): Answer {
  const title = TITLES[error.code] ?? 'This link cannot be read now';
  return htmlAnswer(status, title, `<h1>${escapeHtml(title)}</h1><p>${escapeHtml(error.message)}</p>`);
}

function htmlAnswer(status: number, title: string, body: string): Answer {
  return {
    status,
    type: 'text/html; charset=utf-8',
    headers: { 'content-security-policy': CSP, 'x-frame-options': 'DENY', vary: 'Accept, User-Agent' },
    text: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>${escapeHtml(title)} · Fuselink</title><style>${STYLE}</style></head>
<body><main>${body}</main></body></html>
`,
  };
}

function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

function bytesText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${bytes} bytes` : `${value.toFixed(1)} ${units[unit]}`;
}

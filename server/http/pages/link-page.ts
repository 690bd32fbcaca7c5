import type { FuselinkError } from '../../usecases/error.ts';
import type { InspectedLink } from '../../usecases/read/inspect-link.ts';
import type { Answer } from '../route.ts';
import { bytesText, escapeHtml, htmlPage, textWithTimes, timeHtml, UNSEAL_ADDRESS } from './layout.ts';

/** The page of a link that can be read. Opening it changes nothing; without a script its button is a form POST. */
export function linkPage(link: InspectedLink, tokenText: string): Answer {
  const { meta, row, leasedSeconds } = link;
  const facts: [string, string][] = [['Size', escapeHtml(bytesText(row.size ?? 0))]];
  if (meta.note !== null) facts.push(['Note', escapeHtml(meta.note)]);
  facts.push(['Expires', timeHtml(row.expires_at_ms)]);
  const list = facts.map(([name, value]) => `<dt>${name}</dt><dd>${value}</dd>`).join('');
  const heading = `<h1>${escapeHtml(meta.filename)}</h1><dl>${list}</dl>`;
  const sealed = row.end_to_end
    ? `<p id="sealed" data-unseal="${UNSEAL_ADDRESS}">Its sender sealed this file on the device: open what you download with the fuselink program.</p>`
    : '';
  if (row.held) {
    const body = `${heading}<p role="status" id="status">Reading this file failed ${row.attempts} times, so it is held. Its sender can open it again.</p>`;
    return htmlPage({ status: 423, title: meta.filename, state: 'held', body });
  }
  return htmlPage({
    status: 200,
    title: meta.filename,
    state: leasedSeconds === null ? 'ready' : 'busy',
    body: `${heading}
<form data-read method="post" action="${escapeHtml(tokenText)}/claim"><button type="submit">Download once</button></form>
<progress hidden value="0" max="1" aria-label="Downloaded"></progress><p id="amount" aria-hidden="true"></p>
<p id="status" role="status">${busyText(leasedSeconds, row.grace_until_ms)}</p>
<a id="save" hidden>Save it again</a>
<p class="once">This link works once: when the download is complete, the file is burned. A download that breaks can be continued.</p>${sealed}`,
  });
}

function busyText(leasedSeconds: number | null, graceUntilMs: number | null): string {
  if (leasedSeconds === null) return '';
  if (graceUntilMs !== null) {
    return `This file was read just now. Unless that reader asks for it again, it is burned at ${timeHtml(graceUntilMs)}.`;
  }
  return `Somebody is reading this file right now. If that read breaks, it can be read again in ${leasedSeconds} s at the latest.`;
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
  const body = `<h1>${escapeHtml(title)}</h1><p>${textWithTimes(error.message)}</p>`;
  return htmlPage({ status, title, state: 'refused', body });
}

/** The recipient's page: claims, downloads, goes on after a break, checks, saves, acknowledges. */
import { acknowledge, claimLink } from './calls.js';
import { download } from './download.js';
import { opensHere, unsealer } from './unseal.js';
import { bytesText, localTimes, show } from './view.js';

const form = document.querySelector('form[data-read]');
localTimes();
if (opensHere())
  document.getElementById('sealed').textContent =
    'Sealed end to end: this page opens it as it comes, with the key in your link.';
if (form !== null) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    read(form).catch((error) => show({ state: 'failed', text: error.message, again: error.again !== false }));
  });
}

async function read(form) {
  // The claim's address is the form's own, so that a page under any path prefix finds its server.
  const base = form.action.replace(/\/claim$/, '');
  show({ state: 'reading', text: 'Asking for the file…' });
  const leave = (event) => event.preventDefault();
  addEventListener('beforeunload', leave);
  try {
    // Before the claim: a link that was cut burns nothing, not even an attempt.
    const open = opensHere() ? await unsealer() : null;
    const lease = { base, ...(await claimLink(base)) };
    const tell = {
      moved: (bytes) => show({ state: 'reading', bytes, size: lease.size, text: progressText(bytes, lease.size) }),
      waiting: (seconds, why) => show({ state: 'waiting', text: `${why} Trying again in ${seconds} s…` }),
    };
    const file = await download(lease, tell, open);
    if (file.sha256 !== lease.sha256) {
      throw new Error('What arrived is not what was sent. Nothing was burned: try again.');
    }
    const { unsealed } = file;
    if (unsealed !== null) document.querySelector('h1').textContent = unsealed.name ?? lease.filename;
    save(file.blob, unsealed?.name ?? lease.filename);
    show({ state: 'reading', bytes: lease.size, size: lease.size, text: 'Checked. Telling the server…' });
    const gone = await acknowledge(lease);
    const signed = unsealed === null || unsealed.signedBy === null ? '' : ` Signed with the key ${unsealed.signedBy}.`;
    const told = gone
      ? 'The file is saved and checked, and gone from the server: this link works no more.'
      : 'The file is saved and checked. The server could not be told, so it keeps its copy until the link expires.';
    show({ state: 'done', text: told + signed, bytes: lease.size, size: lease.size });
  } finally {
    removeEventListener('beforeunload', leave);
  }
}

function progressText(bytes, size) {
  return size === 0
    ? 'Receiving…'
    : `${bytesText(bytes)} of ${bytesText(size)} (${Math.floor((bytes / size) * 100)} %)`;
}

function save(blob, filename) {
  const link = document.getElementById('save');
  link.href = URL.createObjectURL(blob);
  link.download = filename;
  link.hidden = false;
  link.click();
}

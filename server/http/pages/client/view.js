/** What the page shows. Only text is ever put in: names and notes are somebody else's. */

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB'];

/** Keep in step with bytesText of layout.ts: the page begins with the server's words. */
export function bytesText(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${bytes} bytes` : `${value.toFixed(1)} ${UNITS[unit]}`;
}

/** Times in the viewer's own zone; the exact instant stays in the title. */
export function localTimes() {
  for (const time of document.querySelectorAll('time')) {
    const at = new Date(time.dateTime);
    time.title = at.toISOString();
    time.textContent = at.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  }
}

let toldPercent = -1;

export function show({ state, text, bytes, size, again = false }) {
  const main = document.querySelector('main');
  main.dataset.state = state;
  const button = document.querySelector('form[data-read] button');
  button.disabled = state !== 'failed' || !again;
  button.hidden = state === 'done' || (state === 'failed' && !again);
  const bar = document.querySelector('progress');
  bar.hidden = bytes === undefined && state !== 'waiting';
  if (bytes !== undefined) {
    bar.max = Math.max(size, 1);
    bar.value = size === 0 ? 1 : bytes;
  }
  document.getElementById('amount').textContent = state === 'reading' ? text : '';
  // A screen reader is told each tenth and each change of state, not every packet.
  const percent = bytes === undefined || size === 0 ? -1 : Math.floor((bytes / size) * 10);
  if (state !== 'reading' || percent !== toldPercent)
    document.getElementById('status').textContent = state === 'reading' && percent >= 0 ? `${percent * 10} %` : text;
  toldPercent = percent;
}

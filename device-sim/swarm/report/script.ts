/** What draws the report, in the reader's browser. Plain script: the page holds everything it needs. */
export const SCRIPT = `
const data = JSON.parse(document.getElementById('data').textContent);
const W = 1000, LEFT = 130, END = data.days * 86400;
const x = (t) => LEFT + (W - LEFT - 10) * t / END;
const NS = 'http://www.w3.org/2000/svg';
function make(name, attributes, parent) {
  const node = document.createElementNS(NS, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (parent) parent.appendChild(node);
  return node;
}
function label(svg, at, y, text, anchor) {
  const node = make('text', { x: at, y, 'text-anchor': anchor || 'start' }, svg);
  node.textContent = text;
  return node;
}
function days(svg, height) {
  const step = Math.max(1, Math.ceil(data.days / 12));
  for (let day = 0; day <= data.days; day += step) {
    make('line', { x1: x(day * 86400), x2: x(day * 86400), y1: 0, y2: height - 16, class: 'axis' }, svg);
    label(svg, x(day * 86400), height - 3, 'day ' + (day + 1), 'middle');
  }
  const calm = x(data.stormDays * 86400);
  make('line', { x1: calm, x2: calm, y1: 0, y2: height - 16, stroke: 'currentColor', 'stroke-dasharray': '4 4' }, svg);
  const fits = calm + 110 < W;
  label(svg, calm + (fits ? 4 : -4), 11, 'everything heals', fits ? 'start' : 'end');
}
function when(t) {
  return 'day ' + (Math.floor(t / 86400) + 1) + ', ' + new Date(t * 1000).toISOString().slice(11, 19);
}
function legend(parent, colours) {
  const box = document.createElement('div');
  box.className = 'legend';
  for (const name in colours) {
    const item = document.createElement('span');
    const mark = document.createElement('i');
    mark.style.background = colours[name];
    item.append(mark, name);
    box.append(item);
  }
  parent.append(box);
}
function stacked(id, colours, read, height, marks) {
  const parent = document.getElementById(id);
  const svg = make('svg', { viewBox: '0 0 ' + W + ' ' + height, role: 'img' }, parent);
  days(svg, height);
  const top = marks ? 34 : 18, bottom = height - 18;
  const most = Math.max(1, ...data.samples.map((one) => Object.keys(colours).reduce((sum, name) => sum + (read(one)[name] || 0), 0)));
  const y = (value) => bottom - (bottom - top) * value / most;
  label(svg, LEFT - 8, y(most) + 4, most + ' devices', 'end');
  label(svg, LEFT - 8, y(0) + 4, '0', 'end');
  let below = data.samples.map(() => 0);
  for (const name in colours) {
    const above = data.samples.map((one, i) => below[i] + (read(one)[name] || 0));
    const up = data.samples.map((one, i) => x(one.t).toFixed(1) + ',' + y(above[i]).toFixed(1));
    const down = data.samples.map((one, i) => x(one.t).toFixed(1) + ',' + y(below[i]).toFixed(1)).reverse();
    if (above.some((value, i) => value > below[i])) {
      const area = make('polygon', { points: up.concat(down).join(' '), fill: colours[name] }, svg);
      make('title', {}, area).textContent = name;
    }
    below = above;
  }
  if (marks) for (const { t, s } of marks) {
    const mark = make('path', { d: 'M' + x(t) + ' 20 l4 8 l-8 0 z', fill: 'currentColor' }, svg);
    make('title', {}, mark).textContent = when(t) + ': ' + s;
  }
  legend(parent, colours);
}
stacked('campaign', { done: '#2a9d6f', open: '#e9b44c', errors: '#c8443a', waiting: '#9fb3c8' }, (one) => one.progress, 220, data.moves);
stacked('fleet', { SETTLED: '#2a9d6f', PROVEN: '#7cc3a1', PROVING: '#e9b44c', STAGED: '#f2d694', LIMBO: '#c8443a', EMPTY: '#7a4f9a', OFF: '#9fb3c8' }, (one) => one.phases, 220);
const kinds = [...new Set(data.faults.map((one) => one.n))].sort();
const faults = document.getElementById('faults');
if (kinds.length === 0) faults.textContent = 'None.';
else {
  const height = kinds.length * 16 + 24;
  const svg = make('svg', { viewBox: '0 0 ' + W + ' ' + height, role: 'img' }, faults);
  days(svg, height);
  kinds.forEach((kind, row) => {
    const name = label(svg, LEFT - 8, row * 16 + 14, kind, 'end');
    make('title', {}, name).textContent = data.faultWords[kind] || kind;
    for (const { t, n, d } of data.faults) {
      if (n !== kind) continue;
      const dot = make('circle', { cx: x(t).toFixed(1), cy: row * 16 + 10, r: 3, fill: '#c8443a', 'fill-opacity': .45 }, svg);
      make('title', {}, dot).textContent = when(t) + (d < 0 ? '' : ', device ' + d) + ': ' + (data.faultWords[kind] || kind);
    }
  });
}
const select = document.getElementById('device'), list = document.getElementById('story'), requests = document.getElementById('requests');
for (const name of Object.keys(data.stories).filter((one) => one !== 'all').sort((a, b) => a - b)) select.append(new Option(name, name));
const bad = data.broken.find((one) => one.d >= 0);
if (bad) select.value = String(bad.d);
function tell() {
  const quiet = ['sent', 'heard', 'served', 'slots'];
  const own = (data.stories[select.value] || []).filter((one) => requests.checked || !quiet.includes(one.k));
  const ends = data.broken.filter((one) => String(one.d) === select.value).map((one) => ({ t: one.t, k: 'broken', s: one.s }));
  const lines = own.concat(data.stories.all || [], ends).sort((a, b) => a.t - b.t);
  list.replaceChildren(...lines.map(({ t, k, s }) => {
    const item = document.createElement('li');
    const time = document.createElement('time');
    const words = document.createElement('span');
    item.className = k;
    time.textContent = when(t);
    words.textContent = s;
    item.append(time, words);
    return item;
  }));
}
select.onchange = requests.onchange = tell;
tell();
`;

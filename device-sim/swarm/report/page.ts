import { INVARIANT_NAMES, INVARIANTS } from '../../oracle/invariants.ts';
import { cellsOf } from '../coverage.ts';
import { FAULTS, type FaultName } from '../faults.ts';
import { EPOCH_MS } from '../options.ts';
import type { Entry } from '../recorder.ts';
import type { SwarmResult } from '../run.ts';
import { sentence } from '../story.ts';
import { SCRIPT } from './script.ts';
import { STYLE } from './style.ts';

/** Lines of one device's story on the page: the newest. */
const STORY_LINES_MAX = 400;

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

/** What kind of run it was, and sections of its own, as HTML. */
export interface PageOf {
  what: string;
  sections: string;
}

/** The run as one page that needs nothing beside itself: no server, no network, no other file. */
export function reportPage(result: SwarmResult, of: PageOf = { what: 'swarm', sections: '' }): string {
  const { options, traceHash, events, virtualDays, readings, campaigns } = result;
  const verdict = result.ok ? 'All invariants hold' : `${result.broken.length} broken`;
  const scenario = options.scenario === null ? '' : ` · ${options.scenario}`;
  // A closing tag inside the data would end the script; the escape means the same to JSON.
  const data = JSON.stringify(pageData(result)).replaceAll('<', '\\u003c');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fuselink ${of.what} · seed ${options.seed}${scenario}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
  <h1>Seed ${options.seed}${escaped(scenario)}</h1>
  <p class="verdict ${result.ok ? 'good' : 'bad'}">${verdict}</p>
  <dl>
    <div><dt>Devices</dt><dd>${options.devices}</dd></div>
    <div><dt>Virtual time</dt><dd>${virtualDays.toFixed(1)} days</dd></div>
    <div><dt>Events</dt><dd>${events.toLocaleString('en')}</dd></div>
    <div><dt>Campaigns completed</dt><dd>${campaigns}</dd></div>
    <div><dt>Readings</dt><dd>${readings.delivered} of ${readings.kept} delivered, ${readings.dropped} dropped with a reason</dd></div>
    <div><dt>Trace</dt><dd><code>${traceHash}</code></dd></div>
  </dl>
  <p><code class="replay">${escaped(result.replay)}</code></p>
</header>
<main>
  <section><h2>The campaign</h2><p class="note">What its devices have come to, hour by hour. Marks at the top are its states.</p><div id="campaign"></div></section>
  <section><h2>The fleet</h2><p class="note">Where the devices’ rotation agents stand.</p><div id="fleet"></div></section>
  <section><h2>Faults</h2><p class="note">One mark a fault, by kind and time.</p><div id="faults"></div></section>
  <section><h2>Invariants</h2>${invariantTable(result)}</section>
  ${of.sections}
  <section><h2>Coverage</h2><p class="note">State and event of the product’s own tables; hollow: never together in this run.</p>${coverageTable(result)}</section>
  <section><h2>The story of a device</h2>
    <label>Device <select id="device"></select></label>
    <label><input type="checkbox" id="requests"> with requests and answers</label>
    <ol id="story"></ol>
  </section>
</main>
<script id="data" type="application/json">${data}</script>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function pageData(result: SwarmResult): object {
  const stories: Record<string, { t: number; k: string; s: string }[]> = {};
  const faults: { t: number; n: string; d: number }[] = [];
  for (const { atMs, device, kind, text } of result.entries) {
    const t = (atMs - EPOCH_MS) / 1000;
    const fault = text.split(':')[0] ?? text;
    // What a fault led to is in the story alone.
    if (kind === 'fault' && fault in FAULTS) faults.push({ t, n: fault, d: device });
    if (device < 0 && kind !== 'campaign') continue;
    const name = device < 0 ? 'all' : String(device);
    const story = stories[name] ?? [];
    stories[name] = story;
    story.push({ t, k: kind, s: sentence(kind, text) });
  }
  for (const name of Object.keys(stories)) stories[name] = (stories[name] ?? []).slice(-STORY_LINES_MAX);
  return {
    days: result.virtualDays,
    stormDays: result.options.days,
    samples: result.samples.map(({ atMs, campaign, wave, progress, phases }) => ({
      t: (atMs - EPOCH_MS) / 1000,
      campaign,
      wave,
      progress,
      phases,
    })),
    moves: result.entries.filter(isCampaign).map(({ atMs, text }) => ({ t: (atMs - EPOCH_MS) / 1000, s: text })),
    faults,
    faultWords: FAULTS satisfies Record<FaultName, string>,
    stories,
    broken: result.broken.map(({ device, invariant, atMs, what }) => ({
      d: device,
      t: (atMs - EPOCH_MS) / 1000,
      s: `${invariant}: ${what}`,
    })),
  };
}

function isCampaign({ kind }: Entry): boolean {
  return kind === 'campaign';
}

function invariantTable(result: SwarmResult): string {
  const rows = INVARIANT_NAMES.map((name) => {
    const broken = result.broken.filter(({ invariant }) => invariant === name);
    const found = broken.map(({ what, device }) => `${device < 0 ? '' : `device ${device}: `}${what}`).join('; ');
    const looked = result.checks[name] > 0;
    const verdict = broken.length > 0 ? `broken: ${found}` : looked ? 'holds' : 'not looked at';
    const mark = broken.length > 0 ? 'bad' : looked ? 'good' : '';
    const checks = result.checks[name].toLocaleString('en');
    return `<tr class="${mark}"><th>${name}</th><td>${escaped(INVARIANTS[name])}</td><td class="number">${checks}</td><td>${escaped(verdict)}</td></tr>`;
  });
  return `<table><thead><tr><th></th><th>What must hold</th><th class="number">Checks</th><th></th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

function coverageTable(result: SwarmResult): string {
  const cells = cellsOf(result.coverage);
  const lines: string[] = [];
  for (const side of ['device', 'server'] as const) {
    const own = cells.filter((cell) => cell.side === side);
    for (const state of [...new Set(own.map((cell) => cell.state))]) {
      const marks = own
        .filter((cell) => cell.state === state)
        .map(({ event, hits }) => {
          const word = escaped(event.replace('rotation.', ''));
          return `<span class="cell${hits === 0 ? ' never' : ''}">${word} ${hits === 0 ? '' : hits}</span>`;
        });
      lines.push(`<tr><th>${side}</th><th>${state}</th><td>${marks.join('')}</td></tr>`);
    }
  }
  return `<table class="coverage"><tbody>${lines.join('')}</tbody></table>`;
}

import type { Broken } from '../oracle/invariants.ts';
import { EPOCH_MS } from './options.ts';
import type { Entry } from './recorder.ts';

const LINES_MAX = 10;
/** What moves a story on; requests and answers only where nothing else happened. */
const TELLING: readonly Entry['kind'][] = ['phase', 'order', 'fault', 'boot', 'campaign'];

/** `day 3, 04:12:07`: when, counted from the start of the run. */
export function whenText(atMs: number): string {
  const sinceMs = atMs - EPOCH_MS;
  const day = Math.floor(sinceMs / 86_400_000) + 1;
  return `day ${day}, ${new Date(sinceMs).toISOString().slice(11, 19)}`;
}

/** The last things that happened to the device before it broke, in at most ten lines, the break itself last. */
export function storyOf(entries: readonly Entry[], broken: Broken): string[] {
  const before = entries.filter(
    ({ atMs, device }) => atMs <= broken.atMs && (device === broken.device || device === -1),
  );
  const telling = before.filter((entry) => TELLING.includes(entry.kind) || isRefusal(entry));
  const last = `${whenText(broken.atMs)}: ${broken.invariant} is broken: ${broken.what}`;
  const lines: string[] = [];
  for (const { atMs, kind, text } of telling.reverse()) {
    const line = `${whenText(atMs)}: ${sentence(kind, text)}`;
    if (lines[0]?.slice(-text.length) === text) continue;
    lines.unshift(line);
    if (lines.length === LINES_MAX - 1) break;
  }
  return [...lines, last];
}

function isRefusal({ kind, text }: Entry): boolean {
  return kind === 'served' && / 4\d\d /.test(text);
}

export function sentence(kind: Entry['kind'], text: string): string {
  switch (kind) {
    case 'phase':
      return `the device goes ${text}`;
    case 'order':
      return `the operator orders: ${text}`;
    case 'fault':
      return `fault: ${text}`;
    case 'campaign':
      return `the campaign goes ${text}`;
    case 'boot':
      return 'the device boots';
    case 'served':
      return `the server answers ${text}`;
    case 'sent':
      return `the device sends ${text}`;
    case 'heard':
      return `the device hears ${text}`;
    default:
      return text;
  }
}

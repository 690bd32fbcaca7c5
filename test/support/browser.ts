import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

const SYSTEM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Why there is no browser on this machine, for the tests that then skip themselves. */
export const NO_BROWSER = 'no Chromium on this machine: apt-get install chromium, or npm ci (which brings one)';

interface Found {
  path: string;
  env: Record<string, string>;
}

let found: Promise<Found | null> | undefined;

/**
 * The system's Chromium, or the one that npm brings (also with TEST_BROWSER=npm), unpacked once on this machine; null
 * where neither runs.
 */
function findChromium(): Promise<Found | null> {
  found ??= look().catch((error: unknown) => {
    console.warn(`${NO_BROWSER}: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  });
  return found;
}

async function look(): Promise<Found | null> {
  const system = process.env['TEST_BROWSER'] === 'npm' ? undefined : SYSTEM.find(existsSync);
  if (system !== undefined) return { path: system, env: {} };
  const folder = await unpacked();
  return { path: join(folder, 'chromium'), env: { FONTCONFIG_PATH: join(folder, 'fonts') } };
}

/**
 * Where npm's Chromium is unpacked. Two test processes may come to this at once: each unpacks into a folder of its own,
 * and the first to rename it wins.
 */
async function unpacked(): Promise<string> {
  const manifest = createRequire(import.meta.url).resolve('@sparticuz/chromium');
  const version = /"version": "([^"]+)"/.exec(await readFile(join(manifest, '../../../package.json'), 'utf8'))?.[1];
  const folder = join(tmpdir(), `fuselink-chromium-${version}`);
  if (existsSync(join(folder, 'chromium'))) return folder;
  const mine = await mkdtemp(join(tmpdir(), 'fuselink-chromium-'));
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = mine;
  try {
    const { default: packed } = await import('@sparticuz/chromium');
    await packed.executablePath();
  } finally {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  }
  await rename(mine, folder).catch(() => rm(mine, { recursive: true, force: true }));
  return folder;
}

/** A browser of its own, or null where this machine has none. */
export async function launchBrowser(): Promise<Browser | null> {
  const chrome = await findChromium();
  if (chrome === null) return null;
  return chromium.launch({
    executablePath: chrome.path,
    args: ['--no-sandbox'],
    env: { ...(process.env as Record<string, string>), ...chrome.env },
  });
}

/** A page that notes down whatever it must not do: break its policy, throw, complain, or ask anybody else for anything. */
export interface WatchedPage {
  page: Page;
  wrongs: string[];
}

export async function watchedPage(context: BrowserContext, options: { mayFail?: RegExp } = {}): Promise<WatchedPage> {
  const page = await context.newPage();
  const wrongs: string[] = [];
  page.on('console', (message) => {
    // Chromium writes a line for every answer of 4xx by itself: those are the server's words, and tested as such.
    if (message.type() !== 'error' && !/Content Security Policy|Trusted/i.test(message.text())) return;
    if (/Failed to load resource/.test(message.text())) return;
    if (options.mayFail?.test(message.text()) === true) return;
    wrongs.push(message.text());
  });
  page.on('pageerror', (error) => wrongs.push(String(error)));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (!['data:', 'blob:'].includes(url.protocol) && url.hostname !== '127.0.0.1') wrongs.push(request.url());
  });
  return { page, wrongs };
}

let axeSource: Promise<string> | undefined;

/** What axe has against the page, one line for each rule and the elements that break it; of some rules only, if named. */
export async function axeViolations(page: Page, rules?: readonly string[]): Promise<string[]> {
  axeSource ??= readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  const options = rules === undefined ? {} : { runOnly: rules };
  // Through the debugger, so that the page's own policy stays as it is.
  return page.evaluate(
    `${await axeSource}; axe.run(${JSON.stringify(options)}).then((r) => r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html + ' ' + n.failureSummary).join(' | ')))`,
  );
}

/** True where nothing on the page makes it wider than the window. */
export function fitsWidth(page: Page): Promise<boolean> {
  return page.evaluate('document.documentElement.scrollWidth <= innerWidth');
}

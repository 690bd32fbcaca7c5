import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PAGE_ASSETS } from '../../server/http/pages/layout.ts';
import { LINK_SCRIPT } from '../../server/http/pages/link-script.generated.ts';
import { LINK_SCRIPT_MODULE, scriptModule } from '../../server/http/pages/script-modules.ts';
import { axeViolations, fitsWidth, launchBrowser, NO_BROWSER } from '../support/browser.ts';
import { startFlakyProxy } from '../support/flaky-proxy.ts';
import { exchange, type ReadServer, startReadServer } from './read-kit.ts';

const launched = await launchBrowser();
if (launched === null) console.warn(`skipped: ${NO_BROWSER}`);
/** Where to put screenshots, for people to look at. */
const SHOTS = process.env['FUSELINK_SCREENSHOTS'];

let server: ReadServer;
beforeAll(async () => {
  server = await startReadServer();
});
afterAll(() => server.close());

describe('the page without a browser', () => {
  const browse = (url: string) => exchange(url, { headers: { accept: 'text/html', 'user-agent': 'Mozilla/5.0' } });

  it('script, style and page together → under 30 KB gzipped, nothing from elsewhere, no inline script or style', async () => {
    const { url } = await server.upload(10, { note: 'n' });
    const page = await browse(url);
    const all = [page.body.toString(), ...Object.values(PAGE_ASSETS).map(({ text }) => text)];
    const gzipped = all.reduce((sum, text) => sum + gzipSync(text).length, 0);
    expect(gzipped).toBeLessThan(30_000);
    console.info(`recipient's page: ${gzipped} bytes gzipped in all`);
    for (const text of all) expect(text).not.toMatch(/https?:\/\/(?!127\.0\.0\.1)/);
    expect(page.body.toString()).not.toMatch(/<style|<script[^>]*>[^<]|\son\w+=|style=/);
    expect(page.headers['content-security-policy']).toContain("default-src 'none'; script-src 'self'");
    expect(page.headers['content-security-policy']).not.toContain('unsafe');
  });

  it('the script the server carries → is built from the sources beside it', async () => {
    const { LINK_SCRIPT: fresh } = await import(
      `data:text/javascript,${encodeURIComponent(await scriptModule(LINK_SCRIPT_MODULE))}`
    );
    expect(LINK_SCRIPT).toBe(fresh);
  });

  it('assets: with their version for good, without it not kept, others not found', async () => {
    const { url } = await server.upload(10);
    const html = (await browse(url)).body.toString();
    for (const [, address] of html.matchAll(/(?:href|src)="\.\.(\/page\/[^"]+)"/g)) {
      const asset = await exchange(server.url, { path: address ?? '' });
      expect(asset.headers['cache-control']).toContain('immutable');
      const bare = await exchange(server.url, { path: (address ?? '').split('?')[0] ?? '' });
      expect(bare.headers['cache-control']).toBe('no-cache');
    }
    for (const name of ['nothing.js', '__proto__', 'constructor', '..%2fpackage.json']) {
      expect((await exchange(server.url, { path: `/page/${name}` })).status).toBe(404);
    }
  });

  it('hostile name and note → text, never markup', async () => {
    const hostile = '<img src=x onerror=alert(1)>"\'&.txt';
    const { url } = await server.upload(10, { filename: hostile, note: '</dd><script>alert(1)</script>' });
    const html = (await browse(url)).body.toString();
    expect(html).not.toMatch(/<img|<script>/);
    expect(html).toContain('&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;.txt');
  });
});

describe.skipIf(launched === null)('the page in a browser', () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let violations: string[];
  beforeAll(async () => {
    browser = launched as Browser;
    if (SHOTS !== undefined) await mkdir(SHOTS, { recursive: true });
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    context = await browser.newContext({ acceptDownloads: true });
    page = await openPage(context);
  });
  afterEach(async () => {
    await context.close();
    expect(violations).toEqual([]);
  });

  async function openPage(within: BrowserContext): Promise<Page> {
    const opened = await within.newPage();
    violations = [];
    opened.on('console', (message) => {
      if (/Content Security Policy|Trusted/i.test(message.text())) violations.push(message.text());
    });
    opened.on('pageerror', (error) => violations.push(String(error)));
    opened.on('request', (request) => {
      const url = new URL(request.url());
      if (!['data:', 'blob:'].includes(url.protocol) && url.hostname !== '127.0.0.1') violations.push(request.url());
    });
    return opened;
  }

  async function shot(name: string): Promise<void> {
    if (SHOTS !== undefined) await page.screenshot({ path: join(SHOTS, `${name}.png`) });
  }

  const state = (wanted: string) => page.waitForSelector(`main[data-state='${wanted}']`, { timeout: 20_000 });
  const status = async () => (await page.textContent('#status')) ?? '';

  const axe = () => axeViolations(page);

  it('opened, looked at, closed → nothing has changed', async () => {
    const { url, id } = await server.upload(5_000_000, {
      filename: 'Messreihe März.csv',
      note: 'Bitte prüfen.\nDanke!',
    });
    const before = await server.receipt(id);
    await page.goto(url);
    expect(await page.textContent('h1')).toBe('Messreihe März.csv');
    expect(await page.textContent('dl')).toContain('4.8 MiB');
    expect(await page.textContent('dl')).toContain('Bitte prüfen.');
    expect(await page.getAttribute('time', 'title')).toBe(before.expires_at);
    expect(await axe()).toEqual([]);
    await shot('ready');
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await axe()).toEqual([]);
    await page.setViewportSize({ width: 360, height: 640 });
    await shot('ready-dark-phone');
    expect(await fitsWidth(page)).toBe(true);
    expect(await server.receipt(id)).toEqual(before);
  });

  it('the button → saved, checked, acknowledged, and said so; the link then tells when it was read', async () => {
    const { url, id, bytes } = await server.upload(20_000_000, { filename: 'a "b".bin' });
    await page.goto(url);
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('button')]);
    expect(Buffer.compare(await readFile(await download.path()), bytes)).toBe(0);
    await state('done');
    expect(await status()).toContain('gone from the server');
    expect(await server.receipt(id)).toMatchObject({ state: 'burned', delivered_by: 'ack', attempts: 1 });
    expect(await axe()).toEqual([]);
    await shot('done');
    await page.reload();
    expect(await page.textContent('h1')).toBe('This file was already read');
    expect(await page.getAttribute('time', 'title')).toBe((await server.receipt(id)).ended_at);
    expect(await axe()).toEqual([]);
    await shot('already-read');
  });

  it('an empty file → saved and acknowledged', async () => {
    const { url, id } = await server.upload(0);
    await page.goto(url);
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('button')]);
    expect((await readFile(await download.path())).length).toBe(0);
    await server.reaches(id, 'burned');
  });

  it('a connection that keeps breaking → goes on where it was, in one attempt, to the whole file', async () => {
    const { url, id, bytes } = await server.upload(6_000_000);
    const proxy = await startFlakyProxy(server.port, (n) => (n < 5 ? { cutAfterDownBytes: 1_500_000 } : {}));
    try {
      await page.goto(url.replace(String(server.port), String(proxy.port)));
      const [download] = await Promise.all([page.waitForEvent('download'), page.click('button')]);
      expect(Buffer.compare(await readFile(await download.path()), bytes)).toBe(0);
      await state('done');
      expect(proxy.cuts).toBeGreaterThan(0);
      expect(await server.receipt(id)).toMatchObject({ state: 'burned', delivered_by: 'ack', attempts: 1 });
      expect((await server.receipt(id)).bytes_served).toBeLessThan(20_000_000);
    } finally {
      await proxy.close();
    }
  });

  it('two tabs race for one link → one gets it, the other is told who reads, then that it is gone', async () => {
    const { url, id } = await server.upload(1_000_000);
    await page.goto(url);
    const other = await context.newPage();
    await other.goto(url);
    const outcomes = await Promise.all(
      [page, other].map(async (tab) => {
        await tab.click('button');
        await tab.waitForSelector("main[data-state='done'], main[data-state='failed']");
        return tab.getAttribute('main', 'data-state');
      }),
    );
    expect(outcomes.toSorted()).toEqual(['done', 'failed']);
    expect(await server.receipt(id)).toMatchObject({ state: 'burned', attempts: 1 });
  });

  it('somebody else is reading → the page says so and offers to try again; pressed, it says so again', async () => {
    const { url } = await server.upload(1_000);
    await exchange(server.url, { method: 'POST', path: `${new URL(url).pathname}/claim` });
    await page.goto(url);
    expect(await status()).toContain('Somebody is reading this file right now');
    await page.click('button');
    await state('failed');
    expect(await status()).toContain('Somebody is reading this file now');
    expect(await page.isEnabled('button')).toBe(true);
    await shot('being-read');
  });

  it('what arrives is not what was sent → said so, nothing burned', async () => {
    const { url, id } = await server.upload(1_000);
    await page.route('**/content', (route) => route.fulfill({ status: 200, body: Buffer.alloc(1_000) }));
    await page.goto(url);
    await page.click('button');
    await state('failed');
    expect(await status()).toContain('not what was sent');
    expect((await server.receipt(id)).state).not.toBe('burned');
    await shot('damaged');
  });

  it.each([
    ['wrong link', 'There is no such link', 404, async () => `${server.url}/get/${'A'.repeat(43)}`],
    ['revoked', 'The sender took this file back', 410, async () => revoked()],
    ['held', 'reading.bin', 423, async () => held()],
    ['expired', 'This link has expired', 410, async () => expired()],
  ] as const)('%s → its own page: %s, %i', async (name, title, code, make) => {
    const answer = await page.goto(await make());
    expect(answer?.status()).toBe(code);
    expect(await page.textContent('h1')).toBe(title);
    expect(await page.locator('button').count()).toBe(0);
    expect(await axe()).toEqual([]);
    await shot(name.replace(' ', '-'));
  });

  it('without JavaScript → the button alone brings the file, and the browser closing behind it burns it', async () => {
    const { url, id, bytes } = await server.upload(3_000_000, { require_claim: 'true' });
    const plain = await browser.newContext({ javaScriptEnabled: false, acceptDownloads: true });
    const tab = await plain.newPage();
    await tab.goto(url);
    const [download] = await Promise.all([tab.waitForEvent('download'), tab.click('button')]);
    expect(download.suggestedFilename()).toBe('reading.bin');
    expect(Buffer.compare(await readFile(await download.path()), bytes)).toBe(0);
    expect(await server.reaches(id, 'burned')).toMatchObject({ delivered_by: 'close', attempts: 1 });
    await plain.close();
  });

  async function revoked(): Promise<string> {
    const { url, id } = await server.upload(10);
    await exchange(server.url, {
      method: 'DELETE',
      path: `/v1/transfers/${id}`,
      headers: { authorization: `Bearer ${server.accountKey}` },
    });
    return url;
  }

  async function held(): Promise<string> {
    const { url, id } = await server.upload(10);
    const row = await server.deps.store.get('transfers', { id: id as never });
    if (row === null) throw new Error('expected a transfer');
    const next = { ...row, held: true, attempts: 5, version: row.version + 1 };
    await server.deps.store.commit([{ kind: 'update', table: 'transfers', row: next, expectVersion: row.version }]);
    return url;
  }

  async function expired(): Promise<string> {
    const { url, id } = await server.upload(10);
    const row = await server.deps.store.get('transfers', { id: id as never });
    if (row === null) throw new Error('expected a transfer');
    const next = { ...row, expires_at_ms: Date.now() - 1, version: row.version + 1 };
    await server.deps.store.commit([{ kind: 'update', table: 'transfers', row: next, expectVersion: row.version }]);
    return url;
  }
});

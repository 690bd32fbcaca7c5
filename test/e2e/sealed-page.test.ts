import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createClient } from '#sdk/node';
import { createSealer, generateKey, nodeCrypto, nodeRandom } from '#sdk/seal/node';
import { runCli } from '../../sdk/cli/testing.ts';
import { scriptModule, UNSEAL_SCRIPT_MODULE } from '../../server/http/pages/script-modules.ts';
import { UNSEAL_SCRIPT } from '../../server/http/pages/unseal-script.generated.ts';
import { launchBrowser, NO_BROWSER } from '../support/browser.ts';
import { startFlakyProxy } from '../support/flaky-proxy.ts';
import { seededBytes } from '../support/seeded-bytes.ts';
import { type ReadServer, startReadServer } from './read-kit.ts';

const launched = await launchBrowser();
if (launched === null) console.warn(`skipped: ${NO_BROWSER}`);

let server: ReadServer;
let folder: string;
beforeAll(async () => {
  server = await startReadServer();
  folder = await mkdtemp(join(tmpdir(), 'fuselink-sealed-page-'));
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function sendSealed(content: Uint8Array, filename: string, sign?: string): Promise<{ url: string; id: string }> {
  const client = createClient({ url: server.url, key: server.accountKey, stateFolder: null });
  const { url, id } = await client.send(content, { filename, seal: { to: 'link', sign } });
  await client.close();
  return { url: url ?? '', id };
}

test('the script the server carries → is built from the sources', async () => {
  const { UNSEAL_SCRIPT: fresh } = await import(
    `data:text/javascript,${encodeURIComponent(await scriptModule(UNSEAL_SCRIPT_MODULE))}`
  );
  expect(UNSEAL_SCRIPT).toBe(fresh);
  expect(UNSEAL_SCRIPT.length).toBeLessThan(115 * 1024);
});

describe.skipIf(launched === null)('a sealed file in a browser', () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let asked: string[];
  let violations: string[];
  beforeAll(async () => {
    browser = launched as Browser;
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    context = await browser.newContext({ acceptDownloads: true });
    page = await context.newPage();
    asked = [];
    violations = [];
    page.on('request', (request) => asked.push(`${request.url()} ${JSON.stringify(request.headers())}`));
    page.on('pageerror', (error) => violations.push(String(error)));
    page.on('console', (message) => {
      if (/Content Security Policy|Trusted/i.test(message.text())) violations.push(message.text());
    });
  });
  afterEach(async () => {
    await context.close();
    expect(violations).toEqual([]);
  });

  const state = (wanted: string) => page.waitForSelector(`main[data-state='${wanted}']`, { timeout: 30_000 });
  const status = async () => (await page.textContent('#status')) ?? '';
  async function press() {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('button')]);
    return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
  }

  test('with WebCrypto → opened as it comes under its own name, acknowledged; the key is in no request', async () => {
    const content = seededBytes(5_000_000, 3);
    const { url, id } = await sendSealed(content, 'Messreihe März.csv');
    await page.goto(url);
    expect(await page.textContent('h1')).toBe('sealed.bin');
    expect(await page.textContent('#sealed')).toContain('opens it as it comes');
    const got = await press();
    expect([got.name, Buffer.compare(got.bytes, content)]).toEqual(['Messreihe März.csv', 0]);
    await state('done');
    expect(await page.textContent('h1')).toBe('Messreihe März.csv');
    expect(await server.receipt(id)).toMatchObject({ state: 'burned', delivered_by: 'ack', sealed: true });
    const key = url.split('#')[1] ?? '';
    expect(key).toMatch(/^k1\./);
    expect(asked.length).toBeGreaterThan(4);
    for (const request of asked) expect(request.split(' ').slice(1).join(' ')).not.toContain(key);
  });

  test('without WebCrypto, as on plain HTTP → opened by the bundled code', async () => {
    await page.addInitScript('Object.defineProperty(Crypto.prototype, "subtle", { get: () => undefined })');
    const content = seededBytes(400_000, 4);
    const { url } = await sendSealed(content, 'a.bin');
    await page.goto(url);
    expect(await page.evaluate('crypto.subtle === undefined')).toBe(true);
    expect(Buffer.compare((await press()).bytes, content)).toBe(0);
    await state('done');
  });

  test('a connection that keeps breaking → goes on where it was, to the whole file', async () => {
    const content = seededBytes(6_000_000, 5);
    const { url } = await sendSealed(content, 'b.bin');
    const proxy = await startFlakyProxy(server.port, (n) => (n < 5 ? { cutAfterDownBytes: 1_500_000 } : {}));
    try {
      await page.goto(url.replace(String(server.port), String(proxy.port)));
      expect(Buffer.compare((await press()).bytes, content)).toBe(0);
      await state('done');
      expect(proxy.cuts).toBeGreaterThan(0);
    } finally {
      await proxy.close();
    }
  });

  test('signed → the words of the key are shown', async () => {
    const path = join(folder, 'signing.key');
    const made = await runCli(['keygen', path, '--signing', '--json'], { env: {} });
    const { url } = await sendSealed(seededBytes(1000, 6), 'c.bin', path);
    await page.goto(url);
    await press();
    await state('done');
    expect(await status()).toContain(JSON.parse(made.out).words);
  });

  test('a link that was cut → said so before anything is claimed; another key → nothing saved, nothing burned', async () => {
    const [sent, other] = [await sendSealed(seededBytes(1000, 7), 'd.bin'), await sendSealed(seededBytes(10, 8), 'e')];
    await page.goto(sent.url.slice(0, -1));
    await page.click('button');
    await state('failed');
    expect(await status()).toContain('cut or mistyped');
    expect(await server.receipt(sent.id)).toMatchObject({ state: 'ready', attempts: 0 });
    await page.goto('about:blank');
    await page.goto(`${sent.url.split('#')[0]}#${other.url.split('#')[1]}`);
    await page.click('button');
    await state('failed');
    expect(await status()).toContain('code to match the key');
    expect((await server.receipt(sent.id)).state).not.toBe('burned');
  });

  test('a byte changed at the server → nothing is saved', async () => {
    const sealer = createSealer({ crypto: nodeCrypto, random: nodeRandom }, { to: { kind: 'link' }, name: 'f' });
    const sealed = Buffer.concat([...sealer.push(seededBytes(200_000, 9)), ...sealer.finish()]);
    sealed.writeUInt8(sealed.readUInt8(150_000) ^ 1, 150_000);
    const raw = await fetch(`${server.url}/v1/upload`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.accountKey}` },
      body: sealed,
    });
    const { url, id } = (await raw.json()) as { url: string; id: string };
    await page.goto(`${url}#${sealer.fragment}`);
    await page.click('button');
    await state('failed');
    expect(await page.isHidden('#save')).toBe(true);
    expect((await server.receipt(id)).state).not.toBe('burned');
  });

  test('sealed to recipients → saved as it is, and the page says what opens it', async () => {
    const ops = generateKey(nodeCrypto, nodeRandom, 'x-wing');
    const sealer = createSealer(
      { crypto: nodeCrypto, random: nodeRandom },
      { to: { kind: 'recipients', recipients: [ops] } },
    );
    const path = join(folder, 'sealed.bin');
    const sealed = Buffer.concat([...sealer.push(seededBytes(1000, 10)), ...sealer.finish()]);
    await writeFile(path, sealed);
    const client = createClient({ url: server.url, key: server.accountKey, stateFolder: null });
    const { url } = await client.send(path);
    await client.close();
    await page.goto(url ?? '');
    expect(await page.textContent('#sealed')).toContain('fuselink program');
    expect(Buffer.compare((await press()).bytes, sealed)).toBe(0);
    await state('done');
    expect(asked.some((request) => request.includes('unseal.js'))).toBe(false);
  });
});

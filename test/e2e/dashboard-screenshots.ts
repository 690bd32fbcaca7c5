import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { launchBrowser, NO_BROWSER } from '../support/browser.ts';
import { type DashboardKit, fillFleet, goOn, sendFiles, startDashboardKit } from './dashboard-kit.ts';

/**
 * Writes a picture of every page, dark, light and on a phone: `npm run -s screenshots [-- FOLDER [page...]]`. With
 * `--pictures` instead of a folder: the small ones that stand in READMEs.
 */
const [said = 'test/screenshots', ...named] = process.argv.slice(2);
const forReadme = said === '--pictures';
const folder = forReadme ? 'server/dashboard/pictures' : said;
const only = forReadme ? ['devices', 'campaign'] : named;

const LOOKS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 860 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 860 } },
  { name: 'phone', colorScheme: 'light', viewport: { width: 390, height: 844 } },
] as const;

/** Of the pages that READMEs show, which look; as WebP, which is a tenth of a PNG. */
const README_LOOKS: Readonly<Record<string, string>> = { devices: 'light', campaign: 'dark' };
const README_QUALITY = 0.72;

interface Shot {
  name: string;
  path: string;
  signedOut?: true;
  /** What happens on the page before the picture is taken. */
  act?: (page: Page) => Promise<unknown>;
}

const browser = await launchBrowser();
if (browser === null) throw new Error(NO_BROWSER);
await mkdir(folder, { recursive: true });

const empty = await startDashboardKit();
await shoot(empty, [
  { name: 'sign-in', path: '', signedOut: true },
  { name: 'set-up', path: '/set-up', signedOut: true },
  { name: 'first-steps', path: '' },
  { name: 'devices-empty', path: '/devices' },
  { name: 'campaigns-empty', path: '/campaigns' },
]);
await empty.stop();

const kit = await startDashboardKit();
// The fleet has a past: its keys are 40 days old, and its clock is right when the pictures are taken.
const toNow = (awayMs: number) => kit.yard.kit.advance(Date.now() - awayMs - kit.yard.deps.clock.nowMs());
toNow(40 * 86_400_000);
const { devices, campaignId } = await fillFleet(kit.yard);
toNow(25 * 60_000);
for (const device of devices) await device.round();
await sendFiles(kit.yard, devices[0] as (typeof devices)[number]);
const listed = await kit.yard.kit.call('GET', '/v1/transfers', { apiKey: kit.yard.account.apiKey });
const delivered = listed.json.transfers.find(({ state }: { state: string }) => state === 'burned');
await shoot(kit, [{ name: 'campaign-draft', path: `/campaigns/${campaignId}` }]);
await kit.yard.order(campaignId, 'start');
toNow(11 * 60_000);
await goOn(kit.yard, devices, 11);
toNow(0);
await shoot(kit, [
  { name: 'overview', path: '' },
  { name: 'devices', path: '/devices' },
  { name: 'device', path: `/devices/${devices[1]?.id}` },
  { name: 'device-quarantined', path: `/devices/${devices[3]?.id}` },
  {
    name: 'enrol',
    path: '/devices?enrol=yes',
    act: async (page) => {
      await page.getByLabel('Name', { exact: true }).fill(`boiler-${Date.now() % 100_000}`);
      await page.getByRole('button', { name: 'Enrol', exact: true }).click();
      await page.getByText('Recovery secret').waitFor();
    },
  },
  { name: 'campaigns', path: '/campaigns' },
  { name: 'campaign', path: `/campaigns/${campaignId}`, act: (page) => page.locator('canvas').waitFor() },
  { name: 'campaign-new', path: '/campaigns/new' },
  { name: 'transfers', path: '/transfers' },
  { name: 'transfer', path: `/transfers/${delivered?.id}` },
  { name: 'keys', path: '/keys' },
  { name: 'firmware', path: '/firmware' },
  {
    name: 'incident',
    path: `/incident?key=${devices[1]?.id}`,
    act: async (page) => {
      await page.getByLabel('What happened').fill('its key was in a public repository');
      await page.getByRole('button', { name: 'See what would be done' }).click();
      await page.getByRole('heading', { name: 'What would be done' }).waitFor();
    },
  },
  {
    name: 'revoke',
    path: '/keys',
    act: (page) => page.getByRole('button', { name: 'Revoke first key' }).click(),
  },
  { name: 'events', path: '/events', act: (page) => someEvents(page) },
  {
    name: 'audit',
    path: '/audit',
    act: async (page) => {
      await page.getByRole('button', { name: 'Verify the chain' }).click();
      await page.getByText('hold.').waitFor();
    },
  },
  { name: 'settings', path: '/settings' },
]);
await kit.stop();
await browser.close();

async function someEvents(page: Page): Promise<void> {
  await page.getByText('Live: what happens').waitFor();
  for (const device of devices.slice(0, 6)) await device.round();
  await page.locator('.event').nth(3).waitFor();
}

async function shoot(on: DashboardKit, shots: readonly Shot[]): Promise<void> {
  for (const look of LOOKS) {
    const { name: lookName, ...options } = look;
    const signedIn = await on.signedIn(browser as NonNullable<typeof browser>, options);
    const signedOut = await (browser as NonNullable<typeof browser>).newContext(options);
    for (const { name, path, signedOut: out, act } of shots) {
      if (only.length > 0 && !only.includes(name)) continue;
      const page = await (out ? signedOut : signedIn).newPage();
      page.on('console', (message) => {
        if (message.type() === 'error') console.warn(`${name}: ${message.text()}`);
      });
      page.on('pageerror', (error) => console.warn(`${name}: ${error}`));
      await page.goto(`${on.url}/dashboard${path}`);
      await page.locator('h1').first().waitFor();
      for (const passing of ['.waiting', '.coming']) await page.locator(passing).first().waitFor({ state: 'hidden' });
      await act?.(page);
      await page.waitForTimeout(250);
      if (!forReadme) await page.screenshot({ path: join(folder, `${name}-${lookName}.png`), fullPage: true });
      else if (README_LOOKS[name] === lookName)
        await writeFile(join(folder, `${name}.webp`), await webp(await page.screenshot(), on));
      await page.close();
    }
    await signedIn.close();
    await signedOut.close();
  }
}

/** A PNG as WebP, by the browser itself. */
async function webp(png: Buffer, on: DashboardKit): Promise<Buffer> {
  const page = await (browser as NonNullable<typeof browser>).newPage();
  await page.goto(`${on.url}/healthz`);
  const text = await page.evaluate(
    `(async () => {
      const image = new Image();
      image.src = 'data:image/png;base64,${png.toString('base64')}';
      await image.decode();
      const canvas = new OffscreenCanvas(image.width, image.height);
      canvas.getContext('2d').drawImage(image, 0, 0);
      const blob = await canvas.convertToBlob({ type: 'image/webp', quality: ${README_QUALITY} });
      return btoa(String.fromCharCode(...new Uint8Array(await blob.arrayBuffer())));
    })()`,
  );
  await page.close();
  return Buffer.from(String(text), 'base64');
}

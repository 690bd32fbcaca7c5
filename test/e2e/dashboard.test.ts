import { generateKeyPairSync } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildDashboard } from '../../server/build-dashboard.ts';
import { loadDashboard } from '../../server/dashboard-files.ts';
import type { Device } from '../../server/usecases/campaign/campaign.testkit.ts';
import { axeViolations, fitsWidth, launchBrowser, NO_BROWSER, watchedPage } from '../support/browser.ts';
import { startFlakyProxy } from '../support/flaky-proxy.ts';
import { type DashboardKit, fillFleet, goOn, sendFiles, startDashboardKit } from './dashboard-kit.ts';

const browser = await launchBrowser();
if (browser === null) console.warn(`skipped: ${NO_BROWSER}`);
const FIRST_VIEW_BYTES_MAX = 150_000;
const HOSTILE_FILE = 'a<img src=x onerror=alert(1)>.csv';
const HOSTILE = '"><img src=x onerror=alert(1)>';

let kit: DashboardKit;
let devices: Device[];
let campaignId: string;
beforeAll(async () => {
  kit = await startDashboardKit();
  ({ devices, campaignId } = await fillFleet(kit.yard));
  await sendFiles(kit.yard, devices[0] as Device);
});
afterAll(async () => {
  await browser?.close();
  await kit.stop();
});

describe('the dashboard without a browser', () => {
  const get = (path: string, headers: Record<string, string> = {}) => kit.yard.kit.call('GET', path, { headers });

  it('the files the server has → built from the sources beside them', async () => {
    const { manifest } = await buildDashboard();
    expect(loadDashboard()?.script, 'run npm run build').toBe(manifest.script);
    expect([...(loadDashboard()?.files.keys() ?? [])]).toEqual(manifest.files);
  });

  it('first view: document, script and style → under 150 KB gzipped, all of it from here, nothing inline', async () => {
    const page = await get('/dashboard');
    const assets = [...page.text.matchAll(/(?:href|src)="(?:\.\/|(?:\.\.\/)+)(dashboard\/assets\/[^"]+)"/g)];
    expect(assets).toHaveLength(2);
    let bytes = gzipSync(page.text).length;
    for (const [, path] of assets) bytes += gzipSync((await get(`/${path}`)).text).length;
    console.info(`dashboard, first view: ${bytes} bytes gzipped`);
    expect(bytes).toBeLessThan(FIRST_VIEW_BYTES_MAX);
    expect(page.text).not.toMatch(/<style|<script[^>]*>[^<]|\son\w+=|style=|https?:/);
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'; require-trusted-types-for 'script'");
    expect(policy).not.toMatch(/unsafe|\*/);
  });

  it('assets: kept for good under the name of their content, compressed as the client reads it, others not found', async () => {
    const name = loadDashboard()?.script;
    const plain = await get(`/dashboard/assets/${name}`, { 'accept-encoding': 'identity' });
    for (const [accepted, coding] of [
      ['br, gzip', 'br'],
      ['gzip', 'gzip'],
      ['br;q=0, gzip;q=0.5', 'gzip'],
      ['identity', null],
    ] as const) {
      const answer = await get(`/dashboard/assets/${name}`, { 'accept-encoding': accepted });
      expect([answer.status, answer.headers.get('content-encoding')]).toEqual([200, coding]);
      expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
      expect(answer.text).toBe(plain.text);
    }
    for (const wrong of ['nothing.js', '__proto__', 'manifest.json', '..%2fmanifest.json', `${name}.br`]) {
      expect((await get(`/dashboard/assets/${wrong}`)).status).toBe(404);
    }
  });

  it('the top: a browser → sent on to the dashboard; a program → told where things are', async () => {
    const answer = await fetch(`${kit.url}/`, { headers: { accept: 'text/html' }, redirect: 'manual' });
    expect([answer.status, answer.headers.get('location')]).toEqual([303, 'dashboard']);
    expect((await get('/')).json.code).toBe('not_found');
  });
});

describe.skipIf(browser === null)('the dashboard in a browser', () => {
  let context: BrowserContext;
  let page: Page;
  let wrongs: string[];
  let mayFail: RegExp | undefined;
  beforeEach(async () => {
    mayFail = undefined;
    context = await kit.signedIn(browser as Browser);
    ({ page, wrongs } = await watchedPage(context));
    page.on('dialog', (dialog) => {
      wrongs.push(`a script opened a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  });
  afterEach(async () => {
    await context.close();
    expect(wrongs.filter((wrong) => mayFail === undefined || !mayFail.test(wrong))).toEqual([]);
  });

  const open = async (path: string, heading?: string) => {
    await page.goto(`${kit.url}/dashboard${path}`);
    await page.getByRole('heading', { level: 1, ...(heading === undefined ? {} : { name: heading }) }).waitFor();
    for (const passing of ['.waiting', '.coming']) await page.locator(passing).first().waitFor({ state: 'hidden' });
  };
  const api = async (method: string, path: string, json?: object) => {
    const { token } = await kit.yard.account.signIn();
    return kit.yard.kit.call(method, path, { auth: token, ...(json === undefined ? {} : { json }) });
  };
  const dialog = () => page.getByRole('dialog');
  const rows = () => page.locator('tbody tr:not(.room)');

  const PATHS: readonly (readonly [name: string, path: () => string | Promise<string>])[] = [
    ['overview', () => ''],
    ['devices', () => '/devices'],
    ['a device', () => `/devices/${devices[3]?.id}`],
    ['campaigns', () => '/campaigns'],
    ['a campaign', () => `/campaigns/${campaignId}`],
    ['a new campaign', () => '/campaigns/new'],
    ['transfers', () => '/transfers'],
    ['a transfer', async () => `/transfers/${(await api('GET', '/v1/transfers')).json.transfers[0].id}`],
    ['firmware', () => '/firmware'],
    ['API keys', () => '/keys'],
    ['a key that is out', () => `/incident?key=${devices[0]?.id}`],
    ['events', () => '/events'],
    ['the audit', () => '/audit'],
    ['settings', () => '/settings'],
    ['an address of nothing', () => '/nowhere'],
    ['a dialog', () => '/devices?enrol=yes'],
  ];

  it.each(PATHS)(
    '%s, dark and light, wide and on a phone → nothing for axe, no wider than the window',
    async (_, path) => {
      await open(await path());
      expect(await axeViolations(page), 'light').toEqual([]);
      await page.emulateMedia({ colorScheme: 'dark' });
      // The document is the same: only what depends on colours is looked at again.
      expect(await axeViolations(page, ['color-contrast', 'link-in-text-block']), 'dark').toEqual([]);
      await page.setViewportSize({ width: 360, height: 740 });
      expect(await fitsWidth(page), '360 px').toBe(true);
      expect(await page.locator('time').evaluateAll(withoutExactInstant)).toEqual([]);
    },
  );

  it('a page that breaks its policy → noticed by these tests', async () => {
    await open('');
    await page.evaluate("document.body.append(Object.assign(document.createElement('img'), { src: '/x.png' }))");
    await page.waitForEvent('console', { timeout: 1_000 }).catch(() => null);
    expect(wrongs.join()).toContain('Content Security Policy');
    mayFail = /Content Security Policy/;
  });

  it('devices: searched, sorted by state, by tag → those and no others; nothing found → says what to do', async () => {
    await open('/devices');
    await page.getByLabel('Search').fill('boiler');
    await page
      .getByRole('status')
      .filter({ hasText: /^6 devices$/ })
      .waitFor();
    expect(page.url()).toContain('q=boiler');
    await page.getByLabel('Search').fill('');
    await page.getByLabel('Key state').selectOption('QUARANTINED');
    await page
      .getByRole('status')
      .filter({ hasText: /^1 device$/ })
      .waitFor();
    expect(await rows().first().textContent()).toContain('quarantined');
    await page.reload();
    expect(await page.getByLabel('Key state').inputValue()).toBe('QUARANTINED');
    await page.getByLabel('Search').fill('nobody');
    await page.getByRole('heading', { name: 'No device is like that' }).waitFor();
    await page.getByRole('button', { name: 'Show all devices' }).click();
    await page
      .getByRole('status')
      .filter({ hasText: /^32 devices$/ })
      .waitFor();
  });

  it('devices: enrolled with a hostile name → text everywhere, and its key works', async () => {
    await open('/devices');
    await page.getByRole('button', { name: 'Enrol a device' }).click();
    await dialog().getByLabel('Name').fill(HOSTILE);
    await dialog()
      .getByLabel('Tags')
      .fill(`<b>x</b>, ${'t'.repeat(90)}`);
    await dialog().getByRole('button', { name: 'Enrol', exact: true }).click();
    const key = (await page.getByRole('region', { name: "the device's API key" }).textContent()) ?? '';
    const command = (await page.getByRole('region', { name: 'the command that sends a file' }).textContent()) ?? '';
    expect(command).toBe(`curl -T reading.csv -H "Authorization: Bearer ${key}" ${kit.url}/v1/upload/`);
    await page.keyboard.press('Escape');
    expect(await dialog().isVisible()).toBe(true);
    const headers = { 'x-filename': HOSTILE_FILE, 'x-note': HOSTILE };
    const sent = await kit.yard.kit.call('POST', '/v1/upload', { apiKey: key, body: 'x', headers });
    expect(sent.status).toBe(201);
    await page.getByRole('link', { name: 'Look at the device' }).click();
    await page.getByRole('heading', { level: 1, name: HOSTILE }).waitFor();
    await page.getByRole('link', { name: HOSTILE_FILE }).click();
    await page.getByRole('heading', { level: 1, name: HOSTILE_FILE }).waitFor();
    expect(await page.locator('main').textContent()).toContain(HOSTILE);
    for (const path of ['', '/devices', '/transfers', '/audit', '/events']) {
      await open(path);
      expect(await page.locator('img[src="x"], main script, main b').count()).toBe(0);
      await page.setViewportSize({ width: 360, height: 740 });
      expect(await fitsWidth(page), path).toBe(true);
    }
  });

  it('a device: edited, its key asked to rotate, called off → told in its story as it happens', async () => {
    const id = devices[10]?.id;
    await open(`/devices/${id}`);
    await page.getByRole('button', { name: 'Edit' }).click();
    await dialog().getByLabel('Tags').fill('cellar');
    await dialog().getByRole('button', { name: 'Save' }).click();
    await page.getByRole('link', { name: 'cellar' }).waitFor();
    await page.getByRole('button', { name: 'Rotate the key' }).click();
    await dialog().getByRole('button', { name: 'Rotate the key' }).click();
    await page.getByText(/^\S+ asked for a new key/).waitFor();
    await devices[10]?.round();
    await page.getByText('The device staged the key').waitFor();
    await page.getByRole('button', { name: 'Call the rotation off' }).click();
    await dialog().getByRole('button', { name: 'Call the rotation off' }).click();
    await page.getByText('called the rotation off').waitFor();
    await (devices[10] as Device).upload((devices[10] as Device).key);
    (devices[10] as Device).staged = null;
  });

  it('a campaign: built, looked at beforehand, started, paused, resumed, watched to its end without a reload', async () => {
    await open('/campaigns/new', 'New campaign');
    await page.getByLabel('Name of the campaign').fill(`Autumn ${HOSTILE}`);
    await page.getByLabel('Of this profile').fill('esp32');
    await page.getByLabel('First wave').fill('2');
    await page.getByLabel('Watch a wave for').fill('1');
    await page.getByRole('button', { name: 'See what it would do' }).click();
    await page.getByText('Nobody would be locked out.').waitFor();
    expect(await page.getByRole('list', { name: 'Waves' }).textContent()).toBe('Canary2Wave 26Wave 31');
    await page.getByRole('button', { name: 'Start' }).click();
    await dialog().getByRole('button', { name: 'Start' }).click();
    await page.locator('h1 .badge', { hasText: 'canary' }).waitFor();
    await page.locator('canvas').waitFor();

    await page.getByRole('button', { name: 'Pause' }).click();
    await dialog().getByRole('button', { name: 'Pause' }).click();
    await page.getByText('Why it is paused: by hand').waitFor();
    await page.getByRole('button', { name: 'Resume' }).click();
    await dialog().getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('button', { name: 'Pause' }).waitFor();

    const fleet = devices.filter(({ name }) => name.startsWith('esp32'));
    expect(fleet).toHaveLength(9);
    const ended = page.locator('h1 .badge', { hasText: 'completed' });
    for (let round = 0; round < 240 && !(await ended.isVisible()); round++) await goOn(kit.yard, fleet, 1);
    await ended.waitFor();
    await page.getByRole('img', { name: 'Now: 9 done.' }).waitFor();
    expect(await page.getByRole('button', { name: 'Pause' }).count()).toBe(0);
    await page.getByLabel('Show').selectOption('done');
    await expect.poll(() => rows().count()).toBe(9);
    expect(await axeViolations(page)).toEqual([]);
  });

  it('campaigns: rolled back and aborted → they end as that; what nobody would select → refused in words', async () => {
    for (const [verb, words, badge] of [
      ['Roll back', 'Roll back', 'rolled back'],
      ['Abort', 'Abort', 'aborted'],
    ] as const) {
      const made = await api('POST', '/v1/campaigns', { name: badge, profile: 'plc' });
      await api('POST', `/v1/campaigns/${made.json.id}/start`, {});
      await open(`/campaigns/${made.json.id}`, badge);
      await page.getByRole('button', { name: verb }).click();
      await dialog().getByRole('button', { name: words }).click();
      await kit.yard.tick();
      await kit.yard.tick();
      await page.locator('h1 .badge', { hasText: badge }).waitFor();
    }
    const nobody = await api('POST', '/v1/campaigns', { name: 'nobody', tags: ['no such tag'] });
    await open(`/campaigns/${nobody.json.id}`);
    await page.getByText('No device is selected').waitFor();
    await page.getByRole('button', { name: 'Start' }).click();
    await dialog().getByRole('button', { name: 'Start' }).click();
    expect(await dialog().getByRole('alert').textContent()).toContain('at least one device');
    await page.keyboard.press('Escape');
    await dialog().waitFor({ state: 'hidden' });
  });

  it('transfers: filtered, a receipt read, one burned now, one that is held opened again', async () => {
    await open('/transfers');
    await page.getByLabel('Recipient').fill('ops@example.com');
    await expect.poll(() => rows().count()).toBe(1);
    await page.getByRole('link', { name: 'sensor-log-2026-11-27.csv' }).click();
    await page.getByText('the reader sent its digest').waitFor();
    await page.goBack();
    await expect.poll(() => page.getByLabel('Recipient').inputValue()).toBe('ops@example.com');
    await open(`/transfers?device=${devices[0]?.id}`);
    await page.getByLabel('State').selectOption('ready');
    await page.getByRole('link', { name: 'photo-gate-2.jpg' }).click();
    await page.getByRole('button', { name: 'Burn now' }).click();
    await dialog().getByRole('button', { name: 'Burn now' }).click();
    await page.getByText('Burned by its owner').waitFor();
    expect(await page.getByRole('button', { name: 'Burn now' }).count()).toBe(0);

    const sent = await kit.yard.kit.call('POST', '/v1/upload', { apiKey: devices[0]?.key ?? '', body: 'x' });
    const row = await kit.yard.deps.store.get('transfers', { id: sent.json.id });
    if (row === null) throw new Error('expected a transfer');
    const held = { ...row, held: true, attempts: 5, version: row.version + 1 };
    await kit.yard.deps.store.commit([{ kind: 'update', table: 'transfers', row: held, expectVersion: row.version }]);
    await open(`/transfers/${sent.json.id}`);
    await page.locator('h1 .badge', { hasText: 'held' }).waitFor();
    await page.getByRole('button', { name: 'Open again' }).click();
    await page.locator('h1 .badge', { hasText: 'ready' }).waitFor();
    const sealedRow = () =>
      page.locator('dt', { hasText: 'Sealed end to end' }).locator('xpath=following-sibling::dd[1]');
    expect(await sealedRow().textContent()).toBe('no');
    const body = Buffer.from('f55345414c0d0a1a01', 'hex');
    const sealed = await kit.yard.kit.call('POST', '/v1/upload', { apiKey: devices[0]?.key ?? '', body });
    await open(`/transfers/${sealed.json.id}`);
    await expect.poll(() => sealedRow().textContent()).toBe('yes');
  });

  it('a key is out: looked at first → nothing changes; done → stopped, its unread files burned, the report says so', async () => {
    const device = devices[12] as Device;
    await open(`/devices/${device.id}`);
    await page.getByRole('link', { name: 'Its key is out' }).click();
    await page.getByLabel('What happened').fill(`found ${HOSTILE} in a public repository`);
    await page.getByLabel('Rotate as well').selectOption('none');
    await page.getByRole('button', { name: 'See what would be done' }).click();
    await page.getByRole('heading', { name: 'What would be done' }).waitFor();
    expect(await axeViolations(page)).toEqual([]);
    expect(await kit.yard.stateOf(device)).toBe('IDLE');
    await page.getByRole('button', { name: 'Do it' }).click();
    await dialog().getByRole('button', { name: 'Do it' }).click();
    await page.getByRole('heading', { name: 'What was done' }).waitFor();
    expect(await kit.yard.stateOf(device)).toBe('QUARANTINED');
    const { json } = await api('GET', `/v1/transfers?device=${device.id}&state=ready`);
    expect(json.transfers).toEqual([]);
  });

  it('firmware: a key trusted, then not any more → in the list and out of it', async () => {
    await open('/firmware');
    await page.getByRole('button', { name: 'Trust a key' }).click();
    await dialog().getByLabel('Name').fill(HOSTILE);
    await dialog().getByLabel('Public key').fill('not a key');
    await dialog().getByRole('button', { name: 'Trust it' }).click();
    await dialog().locator('.field-error').or(dialog().getByRole('alert')).first().waitFor();
    const { publicKey } = generateKeyPairSync('ed25519');
    const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
    await dialog().getByLabel('Public key').fill(raw);
    await dialog().getByRole('button', { name: 'Trust it' }).click();
    await page.getByText(raw).waitFor();
    await page.getByRole('button', { name: `Distrust ${HOSTILE}` }).click();
    await dialog().getByRole('button', { name: 'Distrust' }).click();
    await page.getByText(raw).waitFor({ state: 'hidden' });
  });

  it('events: shown as they happen; the line breaks → what was missed is told when it is back', async () => {
    const proxy = await startFlakyProxy(Number(new URL(kit.url).port));
    try {
      await page.goto(`${proxy.url}/dashboard/events`);
      await page.getByText('Live: what happens').waitFor();
      await api('POST', '/v1/keys', { name: 'before the break' });
      await page.getByText('before the break').waitFor();
      proxy.cutAll();
      await api('POST', '/v1/keys', { name: 'while it was broken' });
      await page.getByText('while it was broken').waitFor({ timeout: 30_000 });
      expect(await page.getByText('before the break').count()).toBe(1);
      await page.getByLabel('Show only').fill('while');
      expect(await page.locator('.event').count()).toBe(1);
      await page.getByRole('button', { name: 'Hold' }).click();
      await page.getByText(/^Held; 0 events/).waitFor();
    } finally {
      await proxy.close();
    }
  });

  it('the audit: verified → holds; with an entry altered in the store → where it breaks', async () => {
    await open('/audit');
    await page.getByRole('button', { name: 'Verify the chain' }).click();
    await page.getByText(/^All [\d,]+ entries hold\.$/).waitFor();
    await rows().first().getByRole('button').click();
    await dialog().getByText('Digest').waitFor();
    await page.keyboard.press('Escape');

    const { store } = kit.yard.deps;
    const [entry] = await store.list('audit', {
      where: [
        ['chain', '=', kit.yard.account.accountId],
        ['seq', '=', 3],
      ],
      limit: 1,
    });
    if (entry === undefined) throw new Error('expected an entry');
    await store.commit([{ kind: 'put', table: 'audit', row: { ...entry, actor: 'somebody else' } }]);
    await page.getByRole('button', { name: 'Verify the chain' }).click();
    expect(await page.getByText('The chain does not hold').textContent()).toContain('does not hold');
    await store.commit([{ kind: 'put', table: 'audit', row: entry }]);
  });

  it('settings: a rule switched on with its warning, a role changed, a session ended, limits with units', async () => {
    await open('/settings');
    await page.getByLabel('Pause all rotations').click();
    await page.getByText('Changed, for the very next request.').waitFor();
    expect((await api('GET', '/v1/account')).json.rotations_paused).toBe(true);
    await page.getByLabel('Pause all rotations').click();
    await expect.poll(async () => (await api('GET', '/v1/account')).json.rotations_paused).toBe(false);
    await page.getByLabel('Only sealed files').click();
    expect(await dialog().textContent()).toContain('refused from their next upload on');
    await dialog().getByRole('button', { name: 'Cancel' }).click();
    expect((await api('GET', '/v1/account')).json.require_sealed).toBe(false);
    await page.getByLabel('Role of auditor@example.com').selectOption('operator');
    await page.getByText('auditor@example.com is operator now.').waitFor();
    const other = await kit.yard.account.signIn();
    await page.reload();
    const sessions = page.getByRole('button', { name: /^End the session/ });
    await sessions.first().click();
    await page.getByText('The session is ended.').waitFor();
    const refused = await kit.yard.kit.call('GET', '/v1/keys', { auth: other.token });
    expect(refused.json.code).toBe('token_invalid');
    expect(await page.getByText('60 in 60 seconds').count()).toBe(1);
    expect(await page.getByText('5.0 GiB').count()).toBe(1);
  });

  it('webhooks: one that points inside → refused in words; a good one → its secret once, tested, its messages told, removed', async () => {
    const { deps } = kit.yard;
    const real = deps.webhooks;
    deps.webhooks = {
      post: async () => ({ kind: 'answered', status: 204, retryAfterSeconds: null }),
      refusal: (url) => real.refusal(url),
      close: () => real.close(),
    };
    await open('/settings');
    await page.getByRole('button', { name: 'Add a webhook' }).click();
    await dialog().getByLabel('Address').fill('http://127.0.0.1:1/');
    await dialog().getByRole('button', { name: 'Add' }).click();
    await dialog().locator('.field-error').or(dialog().getByRole('alert')).first().waitFor();
    await dialog().getByLabel('Address').fill('https://hooks.example.com/fuselink');
    await dialog().getByLabel('campaign paused').check();
    await dialog().getByRole('button', { name: 'Add' }).click();
    await page.getByRole('region', { name: "the webhook's secret" }).waitFor();
    expect(await axeViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'I have saved it' }).click();
    await page.getByRole('button', { name: /^Test https/ }).click();
    await page.getByText('A test is on its way.').waitFor();
    await page.getByRole('button', { name: /^Messages to/ }).click();
    await dialog().getByText('webhook test').waitFor();
    await dialog().getByRole('button', { name: 'Close' }).last().click();
    await page.getByRole('button', { name: /^Remove https/ }).click();
    await dialog().getByRole('button', { name: 'Remove' }).click();
    await page.getByText('The webhook is gone.').waitFor();
  });

  it('an auditor → sees everything and is offered nothing that changes something', async () => {
    await api('POST', '/v1/users', { email: 'looker@example.com', role: 'auditor' });
    const reset = await api('GET', '/v1/users');
    const { id } = reset.json.users.find(({ email }: { email: string }) => email === 'looker@example.com');
    const shown = await api('POST', `/v1/users/${id}/reset-second-factor`);
    const answer = await kit.yard.kit.call('POST', '/v1/auth/login', {
      json: {
        email: 'looker@example.com',
        api_key: kit.yard.account.apiKey,
        recovery_code: shown.json.recovery_codes[0],
      },
    });
    const [name = '', value = ''] = (answer.headers.get('set-cookie') ?? '').split(';')[0]?.split('=') ?? [];
    await context.clearCookies();
    await context.addCookies([{ name, value, url: kit.url }]);
    for (const [path, button] of [
      ['/devices', 'Enrol a device'],
      ['/campaigns', 'New campaign'],
      ['/keys', 'Generate a key'],
      [`/devices/${devices[0]?.id}`, 'Edit'],
      ['/settings', 'Add a person'],
    ] as const) {
      await open(path);
      expect(
        await page
          .getByRole('button', { name: button })
          .or(page.getByRole('link', { name: button }))
          .count(),
      ).toBe(0);
    }
  });

  it('10,000 devices → a few rows in the document, the end a scroll away, a search among them', async () => {
    await addDevices(10_000);
    await open('/devices');
    await page
      .getByRole('status')
      .filter({ hasText: /^10,0\d\d devices$/ })
      .waitFor();
    expect(await rows().count()).toBeLessThan(60);
    const first = rows().first();
    expect((await first.boundingBox())?.height).toBe(52);
    const frame = page.getByRole('region', { name: 'Devices' });
    const frames = await frame.evaluate(scrollThrough);
    console.info(`scrolling 10,000 rows: ${frames.slow} of ${frames.all} frames over 50 ms`);
    expect(await rows().count()).toBeLessThan(60);
    await frame.evaluate((element) => {
      const scrolled = element as unknown as { scrollTop: number; scrollHeight: number };
      scrolled.scrollTop = scrolled.scrollHeight;
    });
    // The eldest is the last.
    await page.getByRole('link', { name: 'boiler-1', exact: true }).waitFor();
    expect(await rows().count()).toBeLessThan(60);
    await page.getByLabel('Search').fill('mass 9999');
    await page.getByRole('link', { name: 'mass 9999' }).waitFor();
    expect(await rows().count()).toBe(1);
  });

  async function addDevices(count: number): Promise<void> {
    const { store, clock } = kit.yard.deps;
    const nowMs = clock.nowMs();
    for (let from = 0; from < count; from += 500) {
      await store.commit(
        Array.from({ length: 500 }, (_, at) => ({
          kind: 'insert' as const,
          table: 'devices' as const,
          row: {
            id: `dev_mass${String(from + at).padStart(6, '0')}` as Device['id'],
            account_id: kit.yard.account.accountId,
            name: `mass ${from + at}`,
            profile: 'mass',
            tags: ['mass'],
            groups: [],
            created_at_ms: nowMs + from + at,
            last_seen_at_ms: null,
            version: 1,
          },
        })),
      );
    }
  }
});

/** In the page: times whose title does not give the instant itself. */
function withoutExactInstant(times: unknown[]): string[] {
  const shown = times as { title: string; dateTime: string; outerHTML: string }[];
  return shown
    .filter(({ title, dateTime }) => dateTime === '' || !title.includes(dateTime))
    .map((one) => one.outerHTML);
}

/** In the page: scrolls a quarter through in frames, and counts those that came late. */
async function scrollThrough(element: unknown): Promise<{ all: number; slow: number }> {
  const scrolled = element as { scrollTop: number; scrollHeight: number };
  const frame = (globalThis as unknown as { requestAnimationFrame(step: (atMs: number) => void): void })
    .requestAnimationFrame;
  let slow = 0;
  let last = 0;
  for (let at = 0; at < 60; at++) {
    const nowMs = await new Promise<number>((resolve) => frame(resolve));
    if (last > 0 && nowMs - last > 50) slow++;
    last = nowMs;
    scrolled.scrollTop += 1_500;
  }
  return { all: 60, slow };
}

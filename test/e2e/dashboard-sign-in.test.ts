import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newSetupLinkSecret } from '../../server/usecases/account/first-account.ts';
import { axeViolations, fitsWidth, launchBrowser, NO_BROWSER, watchedPage } from '../support/browser.ts';
import { type DashboardKit, startDashboardKit, totpAt } from './dashboard-kit.ts';

const browser = await launchBrowser();
if (browser === null) console.warn(`skipped: ${NO_BROWSER}`);
afterAll(() => browser?.close());

describe.skipIf(browser === null)('signing in to the dashboard', () => {
  let kit: DashboardKit;
  let context: BrowserContext;
  let page: Page;
  let wrongs: string[];
  let asked: string[];
  beforeAll(async () => {
    kit = await startDashboardKit();
  });
  afterAll(() => kit.stop());
  afterEach(async () => {
    await context.close();
    expect(wrongs).toEqual([]);
  });

  async function visit(path = '', on: DashboardKit = kit): Promise<void> {
    context = await (browser as Browser).newContext();
    ({ page, wrongs } = await watchedPage(context));
    asked = [];
    page.on('request', (request) => asked.push(`${request.method()} ${request.url()}`));
    await page.goto(`${on.url}/dashboard${path}`);
  }

  async function fill(form: { email?: string; key?: string; code: string; label?: string }): Promise<void> {
    const { account } = kit.yard;
    await page.getByLabel('E-mail').fill(form.email ?? account.email);
    await page.getByLabel('API key').fill(form.key ?? account.apiKey);
    await page.getByLabel(form.label ?? 'Code of your authenticator').fill(form.code);
    await page.getByRole('button', { name: 'Sign in' }).click();
  }

  const heading = (name: string) => page.getByRole('heading', { level: 1, name });

  it('e-mail, key and the code of a real authenticator → in; a wrong code first → said so, and nothing else', async () => {
    await visit('/devices');
    expect(await axeViolations(page)).toEqual([]);
    await fill({ code: '000000' });
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').textContent()).not.toBe('');
    expect(await page.getByLabel('Code of your authenticator').inputValue()).toBe('');
    await fill({ code: kit.code() });
    await heading('Devices').waitFor();
    expect(page.url()).toBe(`${kit.url}/dashboard/devices`);
    for (const request of asked) expect(request).not.toContain(kit.yard.account.apiKey);
    const cookies = await context.cookies();
    expect(cookies).toMatchObject([{ httpOnly: true, sameSite: 'Strict' }]);
  });

  it('a recovery code → in once, and said how many are left; the same again → refused', async () => {
    const [code = ''] = kit.yard.account.recoveryCodes;
    await visit();
    await page.getByRole('button', { name: 'Use a recovery code instead' }).click();
    await fill({ code, label: 'Recovery code' });
    await heading('Overview').waitFor();
    expect(await page.getByRole('status').filter({ hasText: 'recovery codes are left' }).count()).toBe(1);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await heading('Sign in').waitFor();
    await page.getByRole('button', { name: 'Use a recovery code instead' }).click();
    await fill({ code, label: 'Recovery code' });
    await page.getByRole('alert').waitFor();
  });

  it('an hour passes → the next thing asked for leads to the sign-in, with why, and back to where one was', async () => {
    await visit('/audit');
    await fill({ code: kit.code() });
    await heading('Audit').waitFor();
    kit.yard.kit.advance(3_600_000);
    await page.getByRole('button', { name: 'Verify the chain' }).click();
    await heading('Sign in').waitFor();
    expect(await page.locator('.notice').textContent()).toContain('ended by itself');
    await fill({ code: kit.code() });
    await heading('Audit').waitFor();
    expect(page.url()).toBe(`${kit.url}/dashboard/audit`);
  });

  it('somebody ends the session elsewhere → this page is told by itself, without a click', async () => {
    await visit();
    await fill({ code: kit.code() });
    await heading('Overview').waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
    const { token } = await kit.yard.account.signIn();
    await kit.yard.kit.call('POST', '/v1/auth/logout?everywhere=true', { auth: token });
    await kit.yard.kit.call('POST', '/v1/upload', { apiKey: kit.yard.account.apiKey, body: 'x' });
    await heading('Sign in').waitFor();
    expect(await page.locator('.notice').textContent()).toContain('was ended');
  });

  it('by the keyboard alone → every field in order, Enter signs in', async () => {
    await visit();
    await page.getByLabel('E-mail').focus();
    await page.keyboard.type(kit.yard.account.email);
    await page.keyboard.press('Tab');
    await page.keyboard.type(kit.yard.account.apiKey);
    await page.keyboard.press('Tab');
    await page.keyboard.type(kit.code());
    await page.keyboard.press('Enter');
    await heading('Overview').waitFor();
    expect(await page.evaluate('document.activeElement?.tagName')).toBe('H1');
  });

  it('a person is added → their link sets an authenticator up, whose first code signs them in; it works once', async () => {
    await visit('/settings');
    await fill({ code: kit.code() });
    await heading('Settings').waitFor();
    await page.getByRole('button', { name: 'Add a person' }).click();
    await page.getByRole('dialog').getByLabel('E-mail').fill('new@example.com');
    await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click();
    const link = (await page.getByRole('region', { name: 'the set-up link' }).textContent()) ?? '';
    expect(new URL(link).search).toBe('');
    await context.close();

    await visit();
    await page.goto(link);
    await heading('Set up your authenticator').waitFor();
    expect(page.url()).not.toContain('#');
    expect(await page.getByLabel('E-mail').inputValue()).toBe('new@example.com');
    await page.getByLabel('API key').fill(kit.yard.account.apiKey);
    await page.getByRole('button', { name: 'Go on' }).click();
    await finishAuthenticator(kit);
    await heading('Overview').waitFor();
    expect(await page.locator('.person .email').textContent()).toBe('new@example.com');

    await page.goto(link);
    await page.getByLabel('API key').fill(kit.yard.account.apiKey);
    await page.getByRole('button', { name: 'Go on' }).click();
    expect(await page.getByRole('alert').textContent()).toContain('set up already');
  });

  it('a new server → its one-time link makes the first account: key, QR, codes, first code, signed in', async () => {
    const fresh = await startDashboardKit({}, { account: false });
    try {
      const secret = (await newSetupLinkSecret(fresh.yard.deps)) ?? '';
      await visit(`/set-up#first=${secret}`, fresh);
      await heading('Welcome').waitFor();
      expect(page.url()).not.toContain('#');
      await page.getByLabel('Your e-mail').fill('first@example.com');
      await page.getByRole('button', { name: 'Make the account' }).click();
      expect(await page.getByRole('region', { name: 'the API key' }).textContent()).toMatch(/^[0-9a-f]{64}$/);
      expect((await page.getByRole('region', { name: 'the recovery codes' }).textContent())?.split('\n')).toHaveLength(
        10,
      );
      expect(await axeViolations(page)).toEqual([]);
      await page.setViewportSize({ width: 360, height: 740 });
      expect(await fitsWidth(page)).toBe(true);
      await finishAuthenticator(fresh);
      await page.getByRole('heading', { name: 'Begin here' }).waitFor();
      expect(await axeViolations(page)).toEqual([]);
      for (const request of asked) expect(request).not.toContain(secret);
    } finally {
      await fresh.stop();
    }
  });

  /** The steps on the page of an authenticator: read its secret, save the codes, show a code. */
  async function finishAuthenticator(on: DashboardKit): Promise<void> {
    const image = page.getByRole('img', { name: /QR code/ });
    expect(await image.evaluate((element) => (element as { naturalWidth?: number }).naturalWidth)).toBeGreaterThan(0);
    await page.getByText('No camera?').click();
    const secret = (await page.getByRole('region', { name: "the authenticator's secret" }).textContent()) ?? '';
    expect(await page.getByRole('button', { name: /^Verify/ }).isDisabled()).toBe(true);
    await page.getByLabel('I have saved them').check();
    await page.getByLabel('Code', { exact: true }).fill(totpAt(secret, on.yard.deps.clock.nowMs()));
    await page.getByRole('button', { name: /^Verify/ }).click();
  }

  it('API keys: generated → shown once, with a button that copies; revoked → its next request is refused', async () => {
    await visit('/keys');
    await fill({ code: kit.code() });
    await page.getByRole('button', { name: 'Generate a key' }).click();
    await page.getByLabel('Name').fill('<b>nightly</b> export');
    await page.getByRole('button', { name: 'Generate', exact: true }).click();
    const key = (await page.getByRole('region', { name: 'the new key' }).textContent()) ?? '';
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: 'Copy the new key' }).click();
    await page.getByText('Copied: the new key').waitFor();
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(key);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'I have saved it' }).click();
    expect(await page.content()).not.toContain(key);
    expect((await kit.yard.kit.call('GET', '/v1/keys', { apiKey: key })).status).toBe(200);
    await page.reload();
    await page.getByText('just now').first().waitFor();

    await page.getByRole('button', { name: 'Revoke <b>nightly</b> export' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByRole('heading', { name: 'Revoked' }).waitFor();
    expect((await kit.yard.kit.call('GET', '/v1/keys', { apiKey: key })).json.code).toBe('key_revoked');
  });

  it('API keys: the last and own one → says whom it locks out, and asks twice; then the session is over', async () => {
    await visit('/keys');
    await fill({ code: kit.code() });
    await page.getByRole('button', { name: 'Revoke first key' }).click();
    const dialog = page.getByRole('dialog');
    expect(await dialog.textContent()).toContain('This is the last active key.');
    await dialog.getByRole('button', { name: 'Revoke' }).click();
    expect(await dialog.getByRole('alert').textContent()).toContain('locks out');
    await dialog.getByLabel('I know that this locks me out').check();
    await dialog.getByRole('button', { name: 'Revoke' }).click();
    await heading('Sign in').waitFor();
  });
});

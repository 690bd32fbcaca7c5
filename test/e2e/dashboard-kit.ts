import { Secret, TOTP } from 'otpauth';
import type { Browser, BrowserContext } from 'playwright-core';
import { type Kit, startKit, type TestAccount } from '../../server/testing/server-kit.ts';
import { type Device, startYard, Yard } from '../../server/usecases/campaign/campaign.testkit.ts';

/** A server with an account and a fleet, and a way into its dashboard. */
export interface DashboardKit {
  yard: Yard;
  url: string;
  /** The code an authenticator app shows at the server's time; each call waits for the next half minute. */
  code(): string;
  /** A browser context that is signed in, without going through the page for it. */
  signedIn(browser: Browser, options?: object): Promise<BrowserContext>;
  stop(): Promise<void>;
}

export async function startDashboardKit(
  env: Record<string, string> = {},
  options: { account?: boolean } = {},
): Promise<DashboardKit> {
  const yard = options.account === false ? withoutAccount(await startKit(env)) : await startYard(env);
  const { kit, account } = yard;
  const secret = new URL(account.totpUri).searchParams.get('secret') ?? '';
  return {
    yard,
    url: kit.url,
    code() {
      kit.advance(30_000);
      return totpAt(secret, yard.deps.clock.nowMs());
    },
    async signedIn(browser, options = {}) {
      const { cookie } = await account.signIn();
      const [name = '', value = ''] = cookie.split('=');
      const context = await browser.newContext(options);
      await context.addCookies([{ name, value, url: kit.url, sameSite: 'Strict', httpOnly: true }]);
      return context;
    },
    stop: () => kit.stop(),
  };
}

/** A server that nobody has set up yet. */
function withoutAccount(kit: Kit): Yard {
  const nobody = { totpUri: 'otpauth://totp/nobody', accountId: '', row: {} };
  return new Yard(kit, nobody as unknown as TestAccount);
}

/** RFC 6238 by a library of its own, as an authenticator app does it from the secret it was shown. */
export function totpAt(secret: string, atMs: number): string {
  const totp = new TOTP({ secret: Secret.fromBase32(secret.replaceAll(' ', '')), digits: 6, period: 30 });
  return totp.generate({ timestamp: atMs });
}

/** Everything a page can show: devices of several kinds, files in every state, campaigns, people. */
export async function fillFleet(yard: Yard): Promise<{ devices: Device[]; campaignId: string }> {
  const { kit, account } = yard;
  const { token } = await account.signIn();
  const post = (path: string, json: object = {}) => kit.call('POST', path, { auth: token, json });
  const devices = [
    ...(await yard.fleet(18, 'raspberry-pi')),
    ...(await yard.fleet(9, 'esp32')),
    ...(await yard.fleet(5, 'plc')),
  ];
  const named = ['boiler', 'gate', 'pump', 'silo', 'weather', 'meter'];
  for (const [at, device] of devices.entries()) {
    const name = `${named[at % named.length]}-${at + 1}`;
    const tags = [`hall ${(at % 4) + 1}`, ...(at % 3 === 0 ? ['north'] : [])];
    await kit.call('PATCH', `/v1/devices/${device.id}`, { auth: token, json: { name, tags } });
    sendsReadings(device, yard);
    if (at % 5 !== 4) await device.round();
  }
  await post(`/v1/devices/${devices[3]?.id}/quarantine`, { reason: 'its key was on a stolen laptop' });
  await post(`/v1/devices/${devices[7]?.id}/lose`, { reason: 'struck by lightning' });
  await kit.call('POST', '/v1/keys', { auth: token, json: { name: 'nightly export', role: 'operator' } });
  await kit.call('POST', '/v1/users', { auth: token, json: { email: 'auditor@example.com', role: 'auditor' } });
  const campaign = await post('/v1/campaigns', {
    name: 'Spring rotation',
    canary: 4,
    growth: 3,
    wave_soak_seconds: 120,
    soak_seconds: 30,
    sample_min: 3,
  });
  return { devices, campaignId: campaign.json.id };
}

/** Files of a device in several states: delivered, taken back, waiting. */
export async function sendFiles(yard: Yard, first: Device): Promise<void> {
  const { kit, account } = yard;
  const { token } = await account.signIn();
  for (const [filename, recipient, note] of [
    ['sensor-log-2026-11-27.csv', 'ops@example.com', 'Hall 3, second shift'],
    ['firmware-crash.bin', 'vendor@example.com', null],
    ['photo-gate-2.jpg', null, null],
  ] as const) {
    const headers: Record<string, string> = { 'x-filename': filename };
    if (recipient !== null) headers['x-recipient'] = recipient;
    if (note !== null) headers['x-note'] = note;
    const sent = await kit.call('POST', '/v1/upload', { apiKey: first.key, body: 'x'.repeat(48_200), headers });
    if (filename.endsWith('.bin')) await kit.call('DELETE', `/v1/transfers/${sent.json.id}`, { auth: token });
    if (filename.endsWith('.csv')) await readWhole(yard, sent.json.url);
  }
}

/** The device sends files with names that people would meet. */
function sendsReadings(device: Device, yard: Yard): void {
  let sent = 0;
  device.upload = (key, position) =>
    yard.kit.call('POST', '/v1/upload', {
      apiKey: key,
      body: `21.${sent % 10}\n`.repeat(400 + 37 * sent),
      headers: {
        'x-filename': `readings-${String(++sent).padStart(4, '0')}.csv`,
        ...(position === undefined ? {} : { 'fuselink-device': position }),
      },
    });
}

async function readWhole(yard: Yard, url: string): Promise<void> {
  const path = new URL(url).pathname;
  const claim = await yard.kit.call('POST', `${path}/claim`, { json: {} });
  const headers = { 'fuselink-claim': claim.json.claim as string };
  await yard.kit.call('GET', `${path}/content`, { headers });
  await yard.kit.call('POST', `${path}/ack`, { headers, json: { sha256: claim.json.sha256 } });
}

/** Lets the campaign go on for so many minutes with devices that answer. */
export async function goOn(yard: Yard, devices: readonly Device[], minutes: number): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) {
    await yard.tick();
    for (const device of devices) await device.round();
  }
}

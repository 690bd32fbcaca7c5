import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAccount } from '../../server/usecases/account/create-account.ts';
import { startTestServer, type TestServer } from '../../test/support/test-server.ts';
import { enrol, removeRuns } from './enrolment.ts';
import { Management, NotServed, totpOf } from './management.ts';
import { MARK, marksOf, runOfCampaign, runOfDevice } from './marks.ts';
import { Meter } from './meter.ts';
import { Wire } from './wire.ts';

let server: TestServer;
let wire: Wire;
beforeAll(async () => {
  server = await startTestServer({ FUSELINK_METADATA: 'memory:', FUSELINK_BLOBS: 'memory:' });
  wire = new Wire({ url: new URL(server.url), connectionsMax: 4, timeoutMs: 10_000, meter: new Meter() });
});
afterAll(async () => {
  wire.close();
  await server.close();
});

test('management: a key alone, where keys may not manage → NotServed, with what to give', async () => {
  const opening = Management.open(wire, { key: server.accountKey, signIn: null });
  await expect(opening).rejects.toThrow(NotServed);
  await expect(opening).rejects.toThrow(/give --email and --totp-file/);
});

test('management: key, e-mail and authenticator → signs in, enrols, removes, signs out', async () => {
  const { apiKey, email, totpUri } = await createAccount(server.deps, { email: 'ci@example.com' });
  const management = await Management.open(wire, { key: apiKey, signIn: { email, totp: totpUri } });
  const marks = marksOf('abcd1234');
  const { id } = await enrol(management, marks, 1);
  const other = await management.order('POST', '/v1/devices', { name: 'sim-abcd1234-2', tags: [MARK] });
  expect(other?.status).toBe(201);
  // By its name a device of that run, and without the run's tag: somebody else's.
  expect(await removeRuns(management, (run) => run === 'abcd1234')).toEqual({ devices: 1, campaigns: 0, left: [] });
  const left = await management.all('/v1/devices', 'devices');
  expect(left.map((device) => device['name'])).toEqual(['sim-abcd1234-2']);
  expect(left.map((device) => device['id'])).not.toContain(id);
  await management.close();
  expect((await management.order('GET', '/v1/devices', null))?.status).toBe(401);
});

test('management: a wrong authenticator → NotServed, and the key is not in what is said', async () => {
  const { apiKey, email } = await createAccount(server.deps, { email: 'ci2@example.com' });
  const signIn = { email, totp: 'otpauth://totp/x?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP' };
  const said = await Management.open(wire, { key: apiKey, signIn }, { totpTries: 1 }).catch(
    (error: Error) => error.message,
  );
  expect(said).toMatch(/^the sign-in failed: 401 sign_in_failed/);
  expect(said).not.toContain(apiKey);
});

test('totp: neither URI nor base 32 → RangeError that does not repeat it', () => {
  expect(() => totpOf('hunter2!')).toThrow(RangeError);
  expect(() => totpOf('hunter2!')).not.toThrow(/hunter/);
});

test.each([
  [{ name: 'sim-abcd1234-0', tags: [MARK, 'fuselink-sim-run-abcd1234'] }, 'abcd1234'],
  [{ name: 'sim-abcd1234-limit', tags: ['fuselink-sim-run-abcd1234', MARK, 'more'] }, 'abcd1234'],
  [{ name: 'sim-abcd1234-0', tags: [MARK] }, null],
  [{ name: 'sim-abcd1234-0', tags: ['fuselink-sim-run-abcd1234'] }, null],
  [{ name: 'sim-abcd1234-0', tags: [MARK, 'fuselink-sim-run-ffff0000'] }, null],
  [{ name: 'boiler', tags: [MARK, 'fuselink-sim-run-abcd1234'] }, null],
  [{ name: 'sim-abcd1234-0' }, null],
])('marks: %j → of run %s', (device, run) => {
  expect(runOfDevice(device)).toBe(run);
});

test.each([
  ['sim abcd1234', 'abcd1234'],
  ['all', null],
  ['sim abcd1234 again', null],
])('marks: a campaign named %s → of run %s', (name, run) => {
  expect(runOfCampaign({ name })).toBe(run);
});

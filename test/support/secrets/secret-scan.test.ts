import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { expect, test } from 'vitest';
import { startKit } from '../../../server/testing/server-kit.ts';
import { SecretScan } from './secret-scan.ts';

/** The scan that is at work on this very file. */
const scan = (globalThis as Record<symbol, unknown>)[Symbol.for('fuselink secrets')] as SecretScan;

/** What the scan finds once `plant` is done, which then is no longer there for the file's own end. */
async function foundAfter(plant: () => unknown): Promise<string[]> {
  await plant();
  const found = scan.leaks();
  scan.forgetLog();
  return found;
}

test('scan: a secret whole, percent-encoded, or not there; short ones → found, found, not', () => {
  const own = new SecretScan();
  own.add('pdm_abcdefgh!@#$%&*12345', 'a key');
  own.add('0123456789abcdef0123', 'a token');
  own.add('123456', 'a code');
  own.hear('line one\nkey=pdm_abcdefgh!@#$%&*12345\n');
  own.hear(`query=${encodeURIComponent('pdm_abcdefgh!@#$%&*12345')} 123456 0123456789abcdef`);
  expect(own.leaks()).toEqual([
    'a key that begins pdm_, behind "key="',
    expect.stringContaining('a key that begins pdm_, behind "query="'),
  ]);
});

test('suite: what a server makes, hands out or is sent → looked for, and found where a log or a child’s error has it', async () => {
  const kit = await startKit();
  try {
    const account = await kit.account();
    const session = await account.signIn();
    const made = await kit.call('POST', '/v1/keys', { auth: session.token, json: { name: 'new' } });
    const sent = await kit.call('POST', '/v1/upload', { apiKey: made.json.key, body: 'x' });
    const tus = await kit.call('POST', '/v1/uploads', {
      apiKey: made.json.key,
      headers: { 'tus-resumable': '1.0.0', 'upload-length': '5' },
    });
    const foreign = 'ab'.repeat(32);
    const asked = request(`${kit.url}/v1/keys`, { headers: { 'X-API-Key': foreign } }).end();
    await once(asked, 'response');
    const secrets = {
      'account key': account.apiKey,
      'setup secret': account.setupSecret,
      'recovery code': account.recoveryCodes[0] ?? '',
      seed: new URL(account.totpUri).searchParams.get('secret') ?? '',
      token: session.token,
      cookie: session.cookie.split('=')[1] ?? '',
      'key made by HTTP': made.json.key,
      link: sent.json.url.split('/get/')[1],
      Location: tus.headers.get('location')?.split('/uploads/')[1] ?? '',
      'a key that is nobody’s': foreign,
    };
    for (const [what, secret] of Object.entries(secrets)) expect(scan.knows(secret), what).toBe(true);
    const inChild = `process.stderr.write(${JSON.stringify(Object.values(secrets).join('\n'))})`;
    const found = await foundAfter(() => once(spawn(process.execPath, ['-e', inChild]), 'close'));
    expect(found).toHaveLength(Object.keys(secrets).length);
    expect(await foundAfter(() => process.stderr.write(`planted: ${account.setupSecret}\n`))).toHaveLength(1);
    expect(await foundAfter(() => process.stderr.write('nothing secret here\n'))).toEqual([]);
  } finally {
    await kit.stop();
  }
});

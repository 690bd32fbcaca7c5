import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type RunOptions, runCli } from '../../sdk/cli/testing.ts';
import type { DeviceId } from '../../server/domain/ids.ts';
import { changeAccount } from '../../server/usecases/account/settings.ts';
import { putRecipient } from '../../server/usecases/recipient/recipients.ts';
import { removeSigningKey } from '../../server/usecases/recipient/signing-keys.ts';
import { startFlakyProxy } from '../support/flaky-proxy.ts';
import { seededBytes } from '../support/seeded-bytes.ts';
import { findStored } from '../support/stored-bytes.ts';
import { startTestServer, type TestKey, type TestServer, temporaryFolder } from '../support/test-server.ts';

let server: TestServer;
let device: TestKey;
let base: { path: string; remove(): Promise<void> };
let folder: string;
let rounds = 0;

beforeAll(async () => {
  server = await startTestServer();
  device = await server.device('pump-7');
  base = await temporaryFolder();
});

beforeEach(async () => {
  folder = join(base.path, `${++rounds}`);
  await mkdir(folder);
});

afterAll(async () => {
  await server.close();
  await base.remove();
});

function cli(args: string[], options: RunOptions & { url?: string; key?: string } = {}) {
  return runCli(args, {
    ...options,
    env: {
      FUSELINK_URL: options.url ?? server.url,
      FUSELINK_KEY: options.key ?? device.key,
      FUSELINK_STATE: join(folder, 'state'),
      FUSELINK_CREDENTIALS: join(folder, 'credentials'),
      ...options.env,
    },
  });
}

async function file(name: string, bytes: Uint8Array | string): Promise<string> {
  await writeFile(join(folder, name), bytes);
  return join(folder, name);
}

/** A recipient with a key file, entered by the operator. */
async function recipient(email: string, replace = false): Promise<{ path: string; words: string; publicKey: string }> {
  const path = join(folder, `${email}-${++rounds}.key`);
  const made = JSON.parse((await cli(['keygen', path, '--json'])).out);
  await putRecipient(server.deps, server.operator, { email, publicKey: made.public_key, replace });
  return { path, words: made.words, publicKey: made.public_key };
}

async function newestReceipt() {
  const answer = await fetch(`${server.url}/v1/transfers?limit=1`, {
    headers: { authorization: `Bearer ${server.accountKey}` },
  });
  return ((await answer.json()) as { transfers: Record<string, unknown>[] }).transfers[0] ?? {};
}

const out = () => join(folder, 'out');

async function outFolder(): Promise<string[]> {
  await mkdir(out(), { recursive: true });
  return readdir(out());
}

describe('sealed to the link', () => {
  test.each([
    ['empty', 0],
    ['small', 1000],
    ['one chunk', 65_536],
    ['large', 1_500_000],
  ])(
    'send --seal, receive: %s → name and bytes as they were; the server has neither, nor the key',
    async (_what, size) => {
      const content = seededBytes(size, 5);
      const sent = await cli(['send', await file('prüfung 7.csv', content), '--seal', '--json']);
      expect([sent.code, sent.err]).toEqual([0, '']);
      const { url, filename, sealed } = JSON.parse(sent.out);
      expect([filename, sealed]).toEqual(['prüfung 7.csv', true]);
      const fragment = String(url).split('#')[1] ?? '';
      expect(fragment).toMatch(/^k1\.[\w-]{48}$/);
      expect(await newestReceipt()).toMatchObject({ sealed: true, filename: 'sealed.bin', state: 'ready' });
      const needles: Record<string, string | Uint8Array> = { fragment, name: 'prüfung 7.csv' };
      if (size > 0) needles['content'] = content.subarray(0, 40);
      expect(await findStored(server.dataFolder, needles)).toEqual([]);

      await outFolder();
      const got = await cli(['receive', url, '-o', out(), '--json']);
      expect([got.code, got.err]).toEqual([0, '']);
      expect(JSON.parse(got.out)).toMatchObject({
        filename: 'prüfung 7.csv',
        size,
        opened: true,
        sealed: false,
        signer: null,
      });
      expect(await outFolder()).toEqual(['prüfung 7.csv']);
      expect((await readFile(join(out(), 'prüfung 7.csv'))).equals(content)).toBe(true);
      expect(await newestReceipt()).toMatchObject({ state: 'burned', delivered_by: 'ack' });
    },
  );

  test('send --seal of standard input → opened under the name given', async () => {
    const content = seededBytes(300_000, 6);
    const sent = await cli(['send', '-', '--name', 'trace.bin', '--seal'], { stdin: content });
    expect([sent.code, sent.err.includes('warning')]).toEqual([0, false]);
    await outFolder();
    expect((await cli(['receive', sent.out.trim(), '-o', out()])).code).toBe(0);
    expect((await readFile(join(out(), 'trace.bin'))).equals(content)).toBe(true);
  });

  test('a link whose fragment was cut or mistyped → refused before the link is claimed; whole, it still reads', async () => {
    const sent = await cli(['send', await file('a', 'hello'), '--seal']);
    const url = sent.out.trim();
    for (const wrong of [
      url.slice(0, -1),
      `${url.slice(0, -1)}${url.endsWith('A') ? 'B' : 'A'}`,
      `${url.split('#')[0]}#x`,
    ]) {
      const refused = await cli(['receive', wrong, '-o', join(folder, 'b')]);
      expect([refused.code, refused.out]).toEqual([1, '']);
      expect(refused.err).toContain('fragment_malformed');
      expect(refused.err).not.toContain(url.split('#')[1]);
    }
    expect(await newestReceipt()).toMatchObject({ attempts: 0, state: 'ready' });
    expect((await cli(['receive', url, '-o', join(folder, 'b')])).code).toBe(0);
    expect(await readFile(join(folder, 'b'), 'utf8')).toBe('hello');
  });

  test('the link without its fragment → stored as it is, and opened later with `open`', async () => {
    const sent = await cli(['send', await file('log.txt', 'hello'), '--seal']);
    const url = sent.out.trim();
    const got = await cli(['receive', url.split('#')[0] ?? '', '-o', join(folder, 'raw.bin')]);
    expect(got.err).toContain('fuselink open');
    await outFolder();
    const wrong = await cli(['open', join(folder, 'raw.bin'), '-o', out()]);
    expect([wrong.code, await outFolder()]).toEqual([2, []]);
    const opened = await cli(['open', join(folder, 'raw.bin'), '--link', url, '-o', out()]);
    expect([opened.code, await outFolder()]).toEqual([0, ['log.txt']]);
    const again = await cli(['open', join(folder, 'raw.bin'), '--link', url, '-o', out()]);
    expect([again.code, again.err.includes('file_exists')]).toEqual([1, true]);
  });

  test('a link with a fragment whose file is not sealed after all → not_sealed, nothing stored', async () => {
    const [plain, sealed] = [
      await cli(['send', await file('p', 'plain')]),
      await cli(['send', await file('s', 's'), '--seal']),
    ];
    const fragment = sealed.out.trim().split('#')[1];
    await outFolder();
    const got = await cli(['receive', `${plain.out.trim()}#${fragment}`, '-o', out()]);
    expect([got.code, await outFolder()]).toEqual([1, []]);
    expect(got.err).toMatch(/truncated|not_sealed/);
  });
});

describe('sealed to recipients', () => {
  test('send --to two → each opens with its key; a stranger cannot, and burns nothing', async () => {
    const [ops, lab] = [await recipient('ops@two.example'), await recipient('lab@two.example')];
    const stranger = await recipient('stranger@two.example');
    const content = seededBytes(200_000, 7);
    const path = await file('log.csv', content);
    for (const reader of [ops, lab]) {
      const sent = await cli(['send', path, '--to', 'Ops@two.example', '--to', lab.publicKey]);
      expect(sent.code).toBe(0);
      expect(sent.out).not.toContain('#');
      await outFolder();
      const wrong = await cli(['receive', sent.out.trim(), '--identity', stranger.path, '-o', out()]);
      expect([wrong.code, await outFolder()]).toEqual([1, []]);
      expect(wrong.err).toContain('no_matching_key');
      expect(await newestReceipt()).toMatchObject({ state: 'claimed', sealed: true });
      const got = await cli([
        'receive',
        sent.out.trim(),
        '-i',
        stranger.path,
        '-i',
        reader.path,
        '-o',
        `${out()}/x`,
        '-f',
      ]);
      expect([got.code, got.err.includes('not signed')]).toEqual([0, true]);
      expect((await readFile(join(out(), 'x'))).equals(content)).toBe(true);
      await rm(join(out(), 'x'));
    }
  });

  test('a recipient nobody entered → refused by name, nothing sent', async () => {
    const { rows } = await server.deps.store.count('transfers', { where: [] });
    const sent = await cli(['send', await file('a', 'x'), '--to', 'nobody@example.com', '--json']);
    expect(sent.code).toBe(3);
    expect(JSON.parse(sent.out)).toMatchObject({ error: { code: 'recipient_unknown' } });
    expect((await server.deps.store.count('transfers', { where: [] })).rows).toBe(rows);
  });

  test('first use → the key is remembered and its words are told; another key later → refused with both until it is accepted', async () => {
    const first = await recipient('ops@pin.example');
    const path = await file('a', 'x');
    const met = await cli(['send', path, '--to', 'ops@pin.example']);
    expect([met.code, met.err.includes(first.words)]).toEqual([0, true]);
    expect((await cli(['send', path, '--to', 'ops@pin.example'])).err).not.toContain(first.words);
    const pins = join(folder, 'state', 'pins');
    const [pin] = await readdir(pins);
    expect((await stat(join(pins, pin ?? ''))).mode & 0o777).toBe(0o600);

    const second = await recipient('ops@pin.example', true);
    const refused = await cli(['send', path, '--to', 'ops@pin.example']);
    expect(refused.code).toBe(1);
    for (const words of [first.words, second.words]) expect(refused.err).toContain(words);
    expect(refused.err).toContain('recipient_key_changed');
    const accepted = await cli(['send', path, '--to', 'ops@pin.example', '--accept-new-key']);
    expect([accepted.code, accepted.err.includes(second.words)]).toEqual([0, true]);
    const got = await cli(['receive', accepted.out.trim(), '-i', second.path, '-o', join(folder, 'b')]);
    expect(got.code).toBe(0);
    expect((await cli(['send', path, '--to', 'ops@pin.example'])).code).toBe(0);
  });

  test('a key that changed before this device ever met it, unconfirmed → refused as well', async () => {
    await recipient('ops@alarm.example');
    await recipient('ops@alarm.example', true);
    const refused = await cli(['send', await file('a', 'x'), '--to', 'ops@alarm.example']);
    expect([refused.code, refused.err.includes('recipient_key_changed')]).toEqual([1, true]);
    expect((await cli(['send', join(folder, 'a'), '--to', 'ops@alarm.example', '--accept-new-key'])).code).toBe(0);
  });

  test('a pin that cannot be read → refused, not taken for absent', async () => {
    await recipient('ops@damage.example');
    const path = await file('a', 'x');
    await cli(['send', path, '--to', 'ops@damage.example']);
    const pins = join(folder, 'state', 'pins');
    for (const name of await readdir(pins)) await writeFile(join(pins, name), '{"version":1');
    const refused = await cli(['send', path, '--to', 'ops@damage.example']);
    expect([refused.code, refused.err.includes('pin_unreadable')]).toEqual([1, true]);
  });

  test('a locked key file → opens with the passphrase of a file, not without and not with a wrong one', async () => {
    const phrase = await file('phrase', 'correct horse\nsecond line');
    const path = join(folder, 'locked.key');
    const made = await cli(['keygen', path, '--passphrase', '--passphrase-file', phrase, '--json']);
    expect(made.code).toBe(0);
    expect(await readFile(path, 'utf8')).toContain('fuselink_locked1_');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const sent = await cli(['send', await file('a', 'x'), '--to', JSON.parse(made.out).public_key]);
    const receive = ['receive', sent.out.trim(), '-i', path, '-o', join(folder, 'b')];
    expect((await cli(receive)).code).toBe(2);
    const wrong = await cli([...receive, '--passphrase-file', await file('wrong', 'wrong')]);
    expect([wrong.code, wrong.err.includes('passphrase_wrong')]).toEqual([1, true]);
    expect((await cli([...receive, '--passphrase-file', phrase])).code).toBe(0);
  });

  test('a policy of sealed files only → plain is refused with what to do, sealed passes', async () => {
    await changeAccount(server.deps, server.operator, { requireSealed: true });
    try {
      const path = await file('a', seededBytes(100_000));
      const plain = await cli(['send', path]);
      expect([plain.code, plain.err.includes('unsealed_refused')]).toEqual([3, true]);
      expect((await cli(['send', path, '--seal'])).code).toBe(0);
    } finally {
      await changeAccount(server.deps, server.operator, { requireSealed: false });
    }
  });
});

test('watch --once --seal, --to → each file of the folder sealed, its link with the key where --links says', async () => {
  const ops = await recipient('ops@watch.example');
  const inbox = join(folder, 'inbox');
  await mkdir(inbox);
  for (const name of ['a.csv', 'b.csv']) await writeFile(join(inbox, name), name);
  const links = join(folder, 'links.ndjson');
  const toLink = await cli(['watch', inbox, '--once', '--seal', '--links', links]);
  expect([toLink.code, toLink.out.includes('#k1.')]).toEqual([0, false]);
  const sent = (await readFile(links, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(sent.map(({ filename, sealed }) => [filename, sealed])).toEqual([
    ['a.csv', true],
    ['b.csv', true],
  ]);
  expect((await cli(['receive', sent[1].url, '-o', join(folder, 'back')])).code).toBe(0);
  expect(await readFile(join(folder, 'back'), 'utf8')).toBe('b.csv');
  await writeFile(join(inbox, 'c.csv'), 'c');
  const toOps = await cli(['watch', inbox, '--once', '--to', 'ops@watch.example', '--json', '--delete']);
  expect([toOps.code, await readdir(inbox)]).toEqual([0, []]);
  const { url } = JSON.parse(toOps.out);
  expect((await cli(['receive', url, '-i', ops.path, '-o', join(folder, 'c')])).code).toBe(0);
});

describe('signed', () => {
  test('send --sign, receive --signed-by the device → the key that is registered; another device or none → refused before any content', async () => {
    const other = await server.device('valve-2');
    const keys = { pump: join(folder, 'pump.key'), valve: join(folder, 'valve.key') };
    const pump = JSON.parse((await cli(['keygen', keys.pump, '--signing', '--register', '--json'])).out);
    await cli(['keygen', keys.valve, '--signing', '--algorithm', 'ml-dsa-65', '--register'], { key: other.key });
    const path = await file('log.csv', seededBytes(150_000, 8));
    const send = async (...more: string[]) => (await cli(['send', path, '--seal', ...more])).out.trim();
    const receive = async (url: string, ...more: string[]) => {
      const got = await cli(['receive', url, '-o', out(), '-f', ...more], { key: server.accountKey });
      return [got.code, got.err] as const;
    };
    await outFolder();

    const signed = await send('--signing-key', keys.pump);
    const [wrongCode, wrongErr] = await receive(signed, '--signed-by', 'valve-2');
    expect([wrongCode, wrongErr.includes('signer_untrusted'), await outFolder()]).toEqual([1, true, []]);
    const [code, err] = await receive(signed, '--signed-by', 'pump-7');
    expect([code, err.includes(pump.words), await outFolder()]).toEqual([0, true, ['log.csv']]);

    const unsigned = await send();
    const [missingCode, missingErr] = await receive(unsigned, '--signed');
    expect([missingCode, missingErr.includes('signature_missing')]).toEqual([1, true]);

    const byKey = await send('--signing-key', keys.valve);
    const verify = JSON.parse((await cli(['keygen', keys.valve, '--signing', '--show', '--json'])).out).public_key;
    expect((await receive(byKey, '--signed-by', pump.public_key, '--signed-by', verify))[0]).toBe(0);

    await removeSigningKey(server.deps, server.operator, device.deviceId as DeviceId);
    const fresh = await cli(['keygen', join(folder, 'new.key'), '--signing', '--register', '--json']);
    expect(fresh.code).toBe(0);
    const resigned = await send('--signing-key', join(folder, 'new.key'));
    const [changedCode, changedErr] = await receive(resigned, '--signed-by', 'pump-7');
    expect([changedCode, changedErr.includes('signing_key_changed')]).toEqual([1, true]);
    expect(changedErr).toContain(pump.words);
    expect((await receive(resigned, '--signed-by', 'pump-7', '--accept-new-key'))[0]).toBe(0);
  });

  test('--sign without a key, or with a recipient key → says so and sends nothing', async () => {
    const path = await file('a', 'x');
    const none = await cli(['send', path, '--seal', '--sign']);
    expect([none.code, none.err.includes('signing.key')]).toEqual([1, true]);
    await cli(['keygen', join(folder, 'r.key')]);
    const wrong = await cli(['send', path, '--seal', '--signing-key', join(folder, 'r.key')]);
    expect([wrong.code, wrong.err.includes('key_missing')]).toEqual([2, true]);
  });
});

describe('sealed, over a network that breaks', () => {
  test('every connection of an upload and of a download cut → each goes on where it was, one transfer', async () => {
    const content = seededBytes(3_000_000, 9);
    const path = await file('big.bin', content);
    const upload = await startFlakyProxy(server.port, (n) => (n < 4 ? { cutAfterUpBytes: 700_000 } : {}));
    const { rows } = await server.deps.store.count('transfers', { where: [] });
    const sent = await cli(['send', path, '--seal', '--wait', '1m'], { url: upload.url });
    expect([sent.code, upload.cuts >= 3]).toEqual([0, true]);
    expect((await server.deps.store.count('transfers', { where: [] })).rows).toBe(rows + 1);
    await upload.close();

    const download = await startFlakyProxy(server.port, (n) => (n < 4 ? { cutAfterDownBytes: 700_000 } : {}));
    const url = sent.out.trim().replace(upload.url, download.url);
    await outFolder();
    const got = await cli(['receive', url, '-o', out(), '--wait', '1m']);
    expect([got.code, download.cuts >= 3]).toEqual([0, true]);
    expect((await readFile(join(out(), 'big.bin'))).equals(content)).toBe(true);
    expect(await outFolder()).toEqual(['big.bin']);
    await download.close();
  });

  test('sent twice → no two files at rest begin alike: each has its own content key', async () => {
    const path = await file('same.bin', seededBytes(5000, 10));
    const starts = new Set<string>();
    for (let n = 0; n < 3; n++) {
      const sent = await cli(['send', path, '--seal']);
      const raw = join(folder, `raw-${n}.bin`);
      await cli(['receive', sent.out.trim().split('#')[0] ?? '', '-o', raw]);
      // After magic and version comes the salt, drawn with the content key.
      starts.add((await readFile(raw)).subarray(9, 41).toString('hex'));
    }
    expect(starts.size).toBe(3);
  });
});

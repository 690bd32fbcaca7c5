import { readdir } from 'node:fs/promises';
import { afterEach, expect, it } from 'vitest';
import { RawConnection } from '../support/raw-http.ts';
import { sha256Hex } from '../support/read-back.ts';
import { run } from '../support/run.ts';
import { prepareAccount, startServerChild } from '../support/server-child.ts';
import { findStored, storedFiles } from '../support/stored-bytes.ts';
import { startTestServer, temporaryFolder } from '../support/test-server.ts';
import { tusClient } from '../support/tus.ts';
import { until } from '../support/until.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  RawConnection.closeAll();
  for (const clean of cleanups.splice(0)) await clean();
});

const MARK = 'PLAINTEXT-OF-A-READING-21.5C ';
const NAME = 'secret-plant-layout.csv';
const RECIPIENT = 'plant.manager@secret-customer.example';
const NOTE = 'the note says where the valve is';
const content = (bytes: number) => Buffer.alloc(bytes, MARK);

interface Sender {
  server: { port: number; url: string };
  key: string;
  /** Everything that must be nowhere, by name. */
  needles: Record<string, string | Uint8Array>;
}

/** Notes a link's or Location's secret in its text form and as the bytes it spells. */
function note(sender: Sender, name: string, address: unknown): void {
  const text = String(address).split('/').pop() ?? '';
  sender.needles[`${name} text`] = text;
  sender.needles[`${name} bytes`] = Buffer.from(text, 'base64url');
}

/** Sends by every path there is: small and large, finished and not. */
async function sendByEveryPath(sender: Sender): Promise<void> {
  const { server, key } = sender;
  const described = [`X-Recipient: ${RECIPIENT}`, `X-Filename: ${NAME}`, `X-Note: ${NOTE}`];
  for (const bytes of [500, 65_536, 65_537, 3_000_000]) {
    const k = `the-idempotency-key-of-${bytes}`;
    sender.needles[`idempotency key of ${bytes}`] = k;
    sender.needles[`digest of ${bytes}`] = sha256Hex(content(bytes));
    sender.needles[`digest bytes of ${bytes}`] = Buffer.from(sha256Hex(content(bytes)), 'hex');
    const curl = (...args: string[]) =>
      run(
        'curl',
        ['-sS', '-H', `Authorization: Bearer ${key}`, ...described.flatMap((field) => ['-H', field]), ...args],
        {
          input: content(bytes),
        },
      );
    const raw = await curl('-H', `Idempotency-Key: ${k}`, '--data-binary', '@-', `${server.url}/v1/upload`);
    const put = await curl('-T', '-', `${server.url}/v1/upload/${NAME}`);
    const form = await curl(
      '-F',
      `file=@-;filename=${NAME}`,
      '-F',
      `recipient=${RECIPIENT}`,
      '-F',
      `note=${NOTE}`,
      `${server.url}/v1/upload`,
    );
    for (const [path, answer] of Object.entries({ raw, put, form }))
      note(sender, `token, ${path} of ${bytes}`, JSON.parse(answer.stdout).url);

    const tus = tusClient(server, key);
    const metadata = `filename ${Buffer.from(NAME).toString('base64')},recipient ${Buffer.from(RECIPIENT).toString('base64')}`;
    const fields = [`Upload-Length: ${bytes}`, `Upload-Metadata: ${metadata}`];
    const path = await tus.create([...fields, `Idempotency-Key: ${k}-resumable`]);
    note(sender, `upload secret of ${bytes}`, path);
    await tus.patch(path, 0, content(bytes).subarray(0, 300));
    const whole = await tus.patch(path, 300, content(bytes).subarray(300));
    note(sender, `token, tus of ${bytes}`, whole.headers['fuselink-url']);
    const unfinished = await tus.create(fields);
    note(sender, `unfinished upload secret of ${bytes}`, unfinished);
    await tus.patch(unfinished, 0, content(bytes).subarray(0, bytes - 1));
  }
}

/** Two that are on their way: bytes of theirs are in the store, and no end. */
async function leaveTwoUnderWay(sender: Sender): Promise<void> {
  const connection = await RawConnection.open(sender.server.port);
  const length = 'Content-Length: 9000000';
  await connection.head('POST /v1/upload HTTP/1.1', [
    'Host: x',
    `X-API-Key: ${sender.key}`,
    `X-Filename: ${NAME}`,
    length,
  ]);
  await connection.send(content(6_000_000));
  const tus = tusClient(sender.server, sender.key);
  const path = await tus.create(['Upload-Length: 9000000']);
  note(sender, 'upload secret under way', path);
  await tus.beginPatch(path, 0, 9_000_000, content(6_000_000));
}

const always = (key: string) => ({
  plaintext: MARK,
  'plaintext, further on': content(1_000).subarray(13, 60),
  name: NAME,
  recipient: RECIPIENT,
  note: NOTE,
  'API key': key,
  'API key bytes': Buffer.from(key, 'hex'),
});

it('every path, while the server runs and after it stopped → no plaintext, token, secret, key, name or digest at rest', async () => {
  const server = await startTestServer();
  cleanups.push(() => server.close());
  const { key } = await server.device();
  const sender: Sender = { server, key, needles: { ...always(key), 'account key': server.accountKey } };
  await sendByEveryPath(sender);
  await leaveTwoUnderWay(sender);
  await until('both under way in the store', async () => {
    let blobs = 0;
    for await (const _ of server.deps.blobs.list()) blobs++;
    return blobs >= 2 + 8;
  });
  const files = await storedFiles(server.dataFolder);
  expect(files.reduce((sum, file) => sum + file.bytes.length, 0)).toBeGreaterThan(12_000_000);
  expect(files.some(({ path }) => path.endsWith('-wal'))).toBe(true);
  expect(await findStored(server.dataFolder, sender.needles)).toEqual([]);
  RawConnection.closeAll();
  const again = await server.restart();
  cleanups.unshift(() => again.close());
  expect(await findStored(server.dataFolder, sender.needles)).toEqual([]);
});

it('after kill -9 in the middle, and after the start that follows it → the same', async () => {
  const folder = await temporaryFolder();
  cleanups.push(folder.remove);
  const data = `${folder.path}/data`;
  const { accountKey } = await prepareAccount(data);
  const child = await startServerChild(data, {}, { checkpointBytes: 1_000_000 });
  cleanups.unshift(child.kill);
  const sender: Sender = { server: child, key: accountKey, needles: always(accountKey) };
  await sendByEveryPath(sender);
  await leaveTwoUnderWay(sender);
  const stored = async () => (await storedFiles(data)).reduce((sum, file) => sum + file.bytes.length, 0);
  await until('their bytes on disk', async () => (await stored()) > 20_000_000);
  await child.kill();
  expect((await readdir(data)).length).toBeGreaterThan(1);
  expect(await findStored(data, sender.needles)).toEqual([]);
  const next = await startServerChild(data);
  cleanups.unshift(next.kill);
  expect(await findStored(data, sender.needles)).toEqual([]);
});

it('the search itself: what is known to stand there in the clear → found', async () => {
  const server = await startTestServer();
  cleanups.push(() => server.close());
  const { deviceId } = await server.device('valve-7');
  const found = await findStored(server.dataFolder, {
    'device id': deviceId ?? '',
    'sign-in e-mail': 'owner@example.com',
  });
  expect(found.length).toBeGreaterThanOrEqual(2);
});

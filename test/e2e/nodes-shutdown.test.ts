import { once } from 'node:events';
import { createConnection } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RawConnection } from '../support/raw-http.ts';
import { readLink } from '../support/read-back.ts';
import { seededBytes } from '../support/seeded-bytes.ts';
import { prepareAccount, type ServerChild, startServerChild } from '../support/server-child.ts';
import { temporaryFolder } from '../support/test-server.ts';
import { tusClient } from '../support/tus.ts';
import { until } from '../support/until.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: ServerChild;
let accountKey: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  ({ accountKey } = await prepareAccount(`${folder.path}/data`));
  server = await startServerChild(`${folder.path}/data`);
});
afterEach(async () => {
  RawConnection.closeAll();
  await server.kill();
  await folder.remove();
});

async function refused(port: number): Promise<boolean> {
  const socket = createConnection({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'connect');
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}

it('shutdown: SIGTERM while files come and go → nothing new begins, what is under way ends whole, and is so after the start', async () => {
  const content = seededBytes(2_000_000, 1);
  const head = ['Host: x', `X-API-Key: ${accountKey}`];
  const sent = await RawConnection.open(server.port);
  await sent.head('POST /v1/upload HTTP/1.1', [...head, `Content-Length: ${content.length}`]);
  await sent.send(content);
  const link = (await sent.answer()).json()['url'];

  const reading = await RawConnection.open(server.port);
  await reading.head(`GET ${new URL(link).pathname} HTTP/1.1`, [
    'Host: x',
    'User-Agent: curl/8.0',
    'Connection: close',
  ]);
  await until('bytes on their way', () => reading.unread.length > 1000);
  const sending = await RawConnection.open(server.port);
  await sending.head('POST /v1/upload HTTP/1.1', [...head, `Content-Length: ${content.length}`]);
  await sending.send(content.subarray(0, 1_000_000));
  const path = await tusClient(server, accountKey).create([`Upload-Length: ${content.length}`]);
  await tusClient(server, accountKey).patch(path, 0, content.subarray(0, 500_000));

  const stopped = server.stop();
  await until('nobody to listen any more', () => refused(server.port));
  await sending.send(content.subarray(1_000_000));
  const late = await sending.answer();
  expect(late.status).toBe(201);
  sending.close();
  sent.close();
  const answer = await reading.answer();
  expect(answer.body.equals(content)).toBe(true);
  reading.halfClose();
  await stopped;

  server = await startServerChild(`${folder.path}/data`);
  expect((await readLink(server, late.json()['url'])).bytes.equals(content)).toBe(true);
  // The delivery was proven in the very last moment, and recorded all the same.
  expect((await readLink(server, link)).status).toBe(410);
  expect(await tusClient(server, accountKey).offset(path)).toBe(500_000);
});

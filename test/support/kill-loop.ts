import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { readSettings, wire } from '#server';
import { sweepOnce } from '../../server/usecases/sweep.ts';
import { RawConnection } from './raw-http.ts';
import { readLink } from './read-back.ts';
import { seededBytes, seededChance } from './seeded-bytes.ts';
import { prepareAccount, startServerChild } from './server-child.ts';
import { halfDone } from './stored-bytes.ts';
import { temporaryFolder, testEnv } from './test-server.ts';
import { tusClient } from './tus.ts';
import { until } from './until.ts';

export interface KillLoopOptions {
  seed: number;
  /** Resumable uploads that go on through every kill. */
  uploads: number;
  bytesMax: number;
  kills: number;
}

/**
 * Sends files through a server that is killed (-9) at random moments, goes on from what HEAD tells, and compares
 * every byte at the end. Along the way: an offset once acknowledged never goes back, one-shot uploads that were cut
 * are gone after a start, and acknowledged ones are all there. Failures name the seed.
 */
export async function killLoop(options: KillLoopOptions): Promise<{ kills: number; resumes: number }> {
  const { seed } = options;
  const chance = seededChance(seed);
  const folder = await temporaryFolder();
  const data = `${folder.path}/data`;
  const { accountKey } = await prepareAccount(data);
  let begun = 0;
  const begin = async (): Promise<Upload> => {
    const content = seededBytes(1 + chance.next(options.bytesMax), seed * 100 + begun++);
    const size = chance.next(2) === 0 ? `Upload-Length: ${content.length}` : 'Upload-Defer-Length: 1';
    return { content, path: await tusClient(server, accountKey).create([size]), acknowledged: 0, url: '' };
  };
  let uploads: Upload[] = [];
  const whole: { url: string; content: Buffer }[] = [];
  let kills = 0;
  let resumes = 0;
  const start = () => startServerChild(data, {}, { checkpointBytes: 150_000 });
  let server = await start();
  try {
    while (kills < options.kills || uploads.some((upload) => upload.url === '')) {
      const killing = kills < options.kills;
      // What has become whole makes room for another: every kill finds as many under way.
      whole.push(...uploads.filter((upload) => upload.url !== ''));
      uploads = uploads.filter((upload) => upload.url === '');
      while (killing && uploads.length < options.uploads) uploads.push(await begin());
      // A fault at a random time behind the first piece that was acknowledged: on a busy machine, too, it finds work under way.
      const pauseMs = chance.next(60);
      const going = uploads.map((upload) => goOn(server, accountKey, upload, chance, seed).catch(refusalOnly));
      const began = Promise.race([until('a piece acknowledged', () => isHalf(uploads)), Promise.all(going)]);
      const killed = killing ? began.then(() => pause(pauseMs)).then(() => server.kill()) : Promise.resolve();
      await Promise.all([
        ...going,
        killing ? sendWhole(server, accountKey, seededBytes(1 + chance.next(300_000), kills), whole) : undefined,
      ]);
      await killed;
      if (!killing) continue;
      kills++;
      server = await start();
      resumes += uploads.filter((upload) => upload.acknowledged > 0 && upload.url === '').length;
    }
    for (const { url, content } of [...uploads, ...whole]) {
      const read = await readLink(server, url);
      expect(Buffer.compare(read.bytes, content), `seed ${seed}: bytes of ${content.length}`).toBe(0);
    }
  } finally {
    RawConnection.closeAll();
    await server.kill();
  }
  await expectTidy(data, seed);
  await folder.remove();
  return { kills, resumes };
}

interface Upload {
  content: Buffer;
  path: string;
  acknowledged: number;
  url: string;
}

function isHalf(uploads: readonly Upload[]): boolean {
  return uploads.some((upload) => upload.acknowledged > 0 && upload.url === '');
}

/** HEAD, then chunks of random size until the file is whole or the server dies. */
async function goOn(
  server: { port: number },
  key: string,
  upload: Upload,
  chance: { next(below: number): number },
  seed: number,
): Promise<void> {
  if (upload.url !== '') return;
  const tus = tusClient(server, key);
  const head = await tus.head(upload.path);
  let offset = Number(head.headers['upload-offset']);
  expect(offset, `seed ${seed}: the durable offset`).toBeGreaterThanOrEqual(upload.acknowledged);
  upload.url = head.headers['fuselink-url'] ?? '';
  while (upload.url === '') {
    const kind = chance.next(4);
    const size = kind === 0 ? 1 + chance.next(10) : 1 + chance.next(upload.content.length - offset + 1);
    const chunk = upload.content.subarray(offset, offset + size);
    const last = offset + chunk.length >= upload.content.length ? [`Upload-Length: ${upload.content.length}`] : [];
    const answer = await tus.patch(upload.path, offset, chunk, last);
    if (answer.status !== 204) throw new Error(`seed ${seed}: expected 204, got ${answer.status} ${answer.text()}`);
    offset += chunk.length;
    upload.acknowledged = offset;
    upload.url = answer.headers['fuselink-url'] ?? '';
  }
}

/** One-shot uploads, one after the other, until the server dies; those that were acknowledged are noted. */
async function sendWhole(
  server: { port: number },
  key: string,
  content: Buffer,
  whole: { url: string; content: Buffer }[],
): Promise<void> {
  try {
    for (;;) {
      const connection = await RawConnection.open(server.port);
      await connection.head('POST /v1/upload HTTP/1.1', [
        'Host: x',
        `X-API-Key: ${key}`,
        `Content-Length: ${content.length}`,
      ]);
      await connection.send(content);
      const answer = await connection.answer();
      connection.close();
      expect(answer.status).toBe(201);
      whole.push({ url: String(answer.json()['url']), content });
    }
  } catch (error) {
    refusalOnly(error);
  }
}

/** A dead server is what this is about; anything else is a failure. */
function refusalOnly(error: unknown): void {
  const text = String(error);
  if (/ECONNREFUSED|ECONNRESET|EPIPE|the connection ended/.test(text)) return;
  throw error;
}

/** After a last start's sweep nothing half-done is on disk or in the database. */
async function expectTidy(data: string, seed: number): Promise<void> {
  const wired = await wire(readSettings(testEnv(data)), () => {});
  try {
    await sweepOnce(wired.deps, { atStart: true });
    expect(await halfDone(wired.deps), `seed ${seed}`).toEqual([]);
  } finally {
    await wired.close();
  }
}

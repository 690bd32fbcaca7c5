import { createReadStream } from 'node:fs';
import { readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RawConnection, rawExchange } from '../support/raw-http.ts';
import { run } from '../support/run.ts';
import { prepareAccount, type ServerChild, startServerChild } from '../support/server-child.ts';
import { digestOfFile, digestOfLink, writeSparseFile } from '../support/sparse-file.ts';
import { storedFiles } from '../support/stored-bytes.ts';
import { temporaryFolder } from '../support/test-server.ts';
import { tusClient } from '../support/tus.ts';
import { tusJsUpload } from '../support/tus-js-upload.ts';
import { until } from '../support/until.ts';

const SIZE = 5_368_709_120;
/** What the server may take at any file size. */
const RSS_BYTES_MAX = 150 * 1_048_576;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let data: string;
let path: string;
let key: string;
let sha256: string;
let server: ServerChild;
beforeAll(async () => {
  folder = await temporaryFolder();
  data = `${folder.path}/data`;
  path = join(folder.path, 'five.bin');
  ({ accountKey: key } = await prepareAccount(data));
  await writeSparseFile(path, SIZE);
  sha256 = await digestOfFile(path);
});
afterAll(() => folder.remove());

/** A server of its own for each way up, so that each has its own peak of memory. */
async function measured(name: string, send: () => Promise<string>): Promise<void> {
  server = await startServerChild(data);
  try {
    const begun = performance.now();
    const url = await send();
    const upSeconds = (performance.now() - begun) / 1000;
    const upPeak = await server.peakRssBytes();
    const read = await digestOfLink(`${server.url}${new URL(url).pathname}`);
    expect(read).toEqual({ sha256, size: SIZE });
    const peak = await server.peakRssBytes();
    const mib = (bytes: number) => Math.round(bytes / 1_048_576);
    console.log(
      `${name}: ${Math.round(SIZE / 1e6 / upSeconds)} MB/s up, peak ${mib(upPeak)} MiB up, ${mib(peak)} MiB in all`,
    );
    expect(peak).toBeLessThan(RSS_BYTES_MAX);
  } finally {
    RawConnection.closeAll();
    await server.stop();
  }
}

const curl = (...args: string[]) => run('curl', ['-sS', '-H', `Authorization: Bearer ${key}`, ...args]);
const urlOf = (stdout: string) => {
  const answer = JSON.parse(stdout);
  expect(answer).toMatchObject({ size: SIZE, sha256 });
  return String(answer.url);
};

describe('a file of 5 GiB, up and down, in flat memory', () => {
  it('curl -T', () =>
    measured('curl -T', async () => urlOf((await curl('-T', path, `${server.url}/v1/upload/`)).stdout)));

  it('curl -F', () =>
    measured('curl -F', async () => urlOf((await curl('-F', `file=@${path}`, `${server.url}/v1/upload`)).stdout)));

  it('a raw POST, chunked', () =>
    measured('raw, chunked', async () => {
      const args = [
        '-X',
        'POST',
        '-H',
        'Content-Type: application/octet-stream',
        '-H',
        'Transfer-Encoding: chunked',
        '-T',
        path,
      ];
      return urlOf((await curl(...args, `${server.url}/v1/upload`)).stdout);
    }));

  it('tus-js-client, PATCHes of 256 MiB', () =>
    measured('tus', async () => {
      const { location } = await tusJsUpload(createReadStream(path, { highWaterMark: 1_048_576 }), {
        endpoint: `${server.url}/v1/uploads`,
        key,
        size: SIZE,
        chunkBytes: 256 * 1_048_576,
      });
      return (await tusClient(server, key).head(new URL(location).pathname)).headers['fuselink-url'] ?? '';
    }));

  it('tus by curl, in two PATCHes with a kill of the server in between → the digest is taken anew', () =>
    measured('tus after a kill', async () => {
      const tus = tusClient(server, key);
      const upload = await tus.create([`Upload-Length: ${SIZE}`]);
      const patch = (offset: number) => [
        ...['-X', 'PATCH', '-H', 'Tus-Resumable: 1.0.0', '-H', 'Content-Type: application/offset+octet-stream'],
        ...['-H', `Upload-Offset: ${offset}`, '-H', 'Expect:', '-T', '-', `${server.url}${upload}`],
      ];
      const before = await bytesOnDisk();
      const sending = run('sh', ['-c', `tail -c +1 "$0" | curl -sS -H "X-API-Key: ${key}" "$@"`, path, ...patch(0)]);
      await until('half of it on disk', async () => (await bytesOnDisk()) > before + SIZE / 2, 600_000);
      await server.kill();
      await sending;
      server = await startServerChild(data);
      const offset = await tusClient(server, key).offset(upload);
      expect(offset).toBeGreaterThan(SIZE / 4);
      await run('sh', [
        '-c',
        `tail -c +${offset + 1} "$0" | curl -sS -H "X-API-Key: ${key}" "$@"`,
        path,
        ...patch(offset),
      ]);
      return (await tusClient(server, key).head(upload)).headers['fuselink-url'] ?? '';
    }));
});

/** What the uploads under way have come to, seen from the disk so as not to take them over. */
async function bytesOnDisk(): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(`${data}/blobs`, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) sum += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return sum;
}

describe('5 GiB and one byte', () => {
  it('refused on every path, before the body where the size is known; nothing kept', async () => {
    await truncate(path, SIZE + 1);
    server = await startServerChild(data);
    try {
      const status = ['-o', '/dev/null', '-w', '%{http_code}'];
      for (const args of [
        ['-T', path, `${server.url}/v1/upload/`],
        ['-X', 'POST', '-T', path, `${server.url}/v1/upload`],
        ['-F', `file=@${path}`, `${server.url}/v1/upload`],
        ['-T', '-', `${server.url}/v1/upload/piped.bin`],
      ]) {
        const result = await run('sh', [
          '-c',
          'cat "$0" | curl "$@"',
          path,
          '-sS',
          '-H',
          `X-API-Key: ${key}`,
          ...status,
          ...args,
        ]);
        expect([args[0], result.stdout]).toEqual([args[0], '413']);
      }
      const declared = await rawExchange(server.port, {
        head: 'POST /v1/upload HTTP/1.1',
        fields: ['Host: x', `X-API-Key: ${key}`, 'Expect: 100-continue', `Content-Length: ${SIZE + 1}`],
      });
      expect([declared.status, declared.interim]).toEqual([413, []]);
      const tus = tusClient(server, key);
      expect((await tus.request('POST', '/v1/uploads', [`Upload-Length: ${SIZE + 1}`], '')).status).toBe(413);
      const deferred = await tus.create(['Upload-Defer-Length: 1']);
      expect((await tus.patch(deferred, 0, '', [`Upload-Length: ${SIZE + 1}`])).status).toBe(413);
      expect((await tus.request('DELETE', deferred)).status).toBe(204);
      expect(await server.peakRssBytes()).toBeLessThan(RSS_BYTES_MAX);
    } finally {
      await server.stop();
    }
    expect((await storedFiles(`${data}/blobs`)).filter(({ path: name }) => !name.endsWith('.probe'))).toEqual([]);
  });
});

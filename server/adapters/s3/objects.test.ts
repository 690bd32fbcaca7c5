import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StorageUnavailableError } from '../../ports/faults.ts';
import { openS3Blobs } from './blob-store.ts';
import { S3Objects } from './objects.ts';
import { optionsFor } from './testing.ts';

/** Answers as Amazon's documentation shows them, from a server that only plays them back. */
let server: Server;
let port: number;
let seen: string[];
let answer: (line: string) => { status?: number; headers?: Record<string, string>; body?: string };

beforeEach(async () => {
  seen = [];
  answer = () => ({});
  server = createServer((request, response) => {
    const line = `${request.method} ${request.url}`;
    seen.push(line);
    request.resume().on('end', () => {
      const { status = 200, headers = {}, body = '' } = answer(line);
      response.writeHead(status, { 'content-type': 'application/xml', ...headers }).end(body);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

const uploads = (...names: string[]) =>
  `<?xml version="1.0" encoding="UTF-8"?><ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>b</Bucket><IsTruncated>false</IsTruncated>${names
    .map(
      (name) =>
        `<Upload><Key>${name}</Key><UploadId>id-of-${name.at(-1)}</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>`,
    )
    .join('')}</ListMultipartUploadsResult>`;

describe('s3 objects', () => {
  it.each([
    ['none', [], []],
    ['one', ['blob-1/p-a'], ['id-of-a']],
    ['two and a stranger’s', ['blob-1/p-a', 'blob-1/p-b', 'blob-10/p-c'], ['id-of-a', 'id-of-b']],
  ])('deletion, uploads in parts left behind: %s → those are dropped', async (_, names, dropped) => {
    answer = (line) => {
      if (line.includes('uploads=')) return { body: uploads(...names) };
      if (line.includes('list-type=2'))
        return { body: '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>' };
      return { status: 204 };
    };
    await openS3Blobs(optionsFor(port)).delete('blob-1');
    const found = seen.filter((line) => line.startsWith('DELETE')).map((line) => /uploadId=([^&]*)/.exec(line)?.[1]);
    expect(found).toEqual(dropped);
    expect(seen.find((line) => line.includes('uploads='))).toContain('prefix=blob-1%2F');
  });

  it('a store that cannot list uploads → deletion succeeds without', async () => {
    answer = (line) => {
      if (line.includes('uploads=')) return { status: 501, body: '<Error><Code>NotImplemented</Code></Error>' };
      return { body: '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>' };
    };
    await openS3Blobs(optionsFor(port)).delete('blob-1');
    expect(seen).toHaveLength(2);
  });

  it('joining parts answered 200 with an error inside → tried again, then StorageUnavailableError', async () => {
    const objects = new S3Objects({ ...optionsFor(port), attemptsMax: 3 });
    answer = (line) =>
      line.startsWith('HEAD')
        ? { status: 404 }
        : { body: '<Error><Code>InternalError</Code><Message>again</Message></Error>' };
    const joining = objects.joinParts('blob-1/p-a', 'id', [{ partNumber: 1, etag: '"e"' }], 10);
    await expect(joining).rejects.toBeInstanceOf(StorageUnavailableError);
    expect(seen.filter((line) => line.startsWith('POST'))).toHaveLength(3);
  });

  it('joining parts that were joined by an attempt whose answer was lost → done', async () => {
    const objects = new S3Objects(optionsFor(port));
    answer = (line) =>
      line.startsWith('HEAD')
        ? { headers: { 'content-length': '10' } }
        : { status: 404, body: '<Error><Code>NoSuchUpload</Code></Error>' };
    await objects.joinParts('blob-1/p-a', 'id', [{ partNumber: 1, etag: '"e"' }], 10);
  });

  it('a listing of several pages → all keys below the prefix, in order', async () => {
    const page = (keys: string[], next: string) =>
      `<ListBucketResult>${keys.map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`).join('')}<IsTruncated>${next !== ''}</IsTruncated><NextContinuationToken>${next}</NextContinuationToken></ListBucketResult>`;
    answer = (line) => ({
      body: line.includes('continuation-token=more') ? page(['x/c'], '') : page(['x/a', 'x/b', 'y/d'], 'more'),
    });
    const keys: string[] = [];
    for await (const key of new S3Objects({ ...optionsFor(port), prefix: 'x/' }).list('')) keys.push(key);
    expect(keys).toEqual(['a', 'b', 'c']);
  });

  it('every body sent → with its digest, so that the store refuses what was damaged on the way', async () => {
    const digests: (string | string[] | undefined)[] = [];
    server.on('request', (request) => digests.push(request.headers['content-md5']));
    await new S3Objects(optionsFor(port)).put('a', new TextEncoder().encode('hello'));
    expect(digests).toEqual(['XUFAKrxLKna5cZ2REBfFkg==']);
  });
});

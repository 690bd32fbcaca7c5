import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { rawExchange } from './raw-http.ts';
import type { TestServer } from './test-server.ts';

export const sha256Hex = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

/** Reads a link as its receiver does (curl), and gives the bytes with the headers they came with. */
export async function readLink(
  server: { url: string },
  link: string,
): Promise<{ bytes: Buffer; headers: Headers; status: number }> {
  const path = new URL(link).pathname;
  const response = await fetch(`${server.url}${path}`, { headers: { 'user-agent': 'curl/8.0' } });
  return { bytes: Buffer.from(await response.arrayBuffer()), headers: response.headers, status: response.status };
}

/** Expects an answer to tell of a stored file, and the link to give exactly `content` under `name`. */
export async function expectStored(
  server: Pick<TestServer, 'url' | 'port'>,
  answer: Record<string, unknown>,
  expected: { content: Uint8Array; name?: string },
): Promise<void> {
  const { content } = expected;
  expect(answer).toMatchObject({ size: content.length, sha256: sha256Hex(content) });
  const link = String(answer['url']);
  if (expected.name !== undefined) {
    const head = await rawExchange(server.port, {
      head: `HEAD ${new URL(link).pathname} HTTP/1.1`,
      fields: ['Host: x', 'User-Agent: curl/8.0'],
    });
    expect(head.headers['content-disposition']).toContain(`filename*=UTF-8''${encodedName(expected.name)}`);
  }
  const read = await readLink(server, link);
  expect(read.status).toBe(200);
  expect(Buffer.compare(read.bytes, Buffer.from(content))).toBe(0);
}

function encodedName(name: string): string {
  return encodeURIComponent(name).replace(/['()*!]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

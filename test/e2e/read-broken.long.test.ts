import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../support/run.ts';
import { temporaryFolder } from '../support/test-server.ts';
import { AnswerReader, dial, getHead, type ReadServer, reset, sha256, startReadServer } from './read-kit.ts';

const SIZE = 150_000_000;
const TAKEN = 100_000_000;

describe.each([{ tls: false }, { tls: true }])('a read that breaks after 100 MB, TLS $tls', ({ tls }) => {
  let server: ReadServer;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  beforeAll(async () => {
    server = await startReadServer({ tls });
    folder = await temporaryFolder();
  });
  afterAll(async () => {
    await server.close();
    await folder.remove();
  });

  it.each(['reset', 'closed', 'stalled'])('%s → not burned; curl -C - goes on, and burns', async (how) => {
    const { url, id, sha256: digest } = await server.upload(SIZE, { lease_seconds: '5' });
    const partial = join(folder.path, 'partial.bin');
    const socket = await dial(url);
    socket.write(getHead(url));
    const reader = new AnswerReader(socket);
    expect((await reader.head()).status).toBe(200);
    await writeFile(partial, await reader.bytes(TAKEN));
    if (how === 'reset') reset(socket);
    if (how === 'closed') socket.destroy();
    expect(await server.settled(id)).toMatchObject({ state: 'ready', attempts: 1 });
    socket.destroy();
    expect(await run('curl', ['-sSkf', '-C', '-', '-o', partial, url])).toMatchObject({ code: 0 });
    expect(sha256(await readFile(partial))).toBe(digest);
    const receipt = await server.reaches(id, 'burned');
    expect(receipt).toMatchObject({ delivered_by: 'close', attempts: 2 });
    // Continued, not read again: what was handed to the lost connection and never arrived is all that went out twice.
    expect(receipt.bytes_served).toBeLessThan(SIZE + 30_000_000);
  });
});

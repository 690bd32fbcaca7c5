import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';

let kit: Kit;
let account: TestAccount;
beforeAll(async () => {
  kit = await startKit();
  account = await kit.account();
});
afterAll(() => kit.stop());

const ENTRIES = 4_000;
const DETAIL = { text: 'x'.repeat(8_000) };

async function append(count: number): Promise<void> {
  const { store } = kit.server.deps;
  const entry = { at_ms: 1, actor: 'test', action: 'test.done', subject: '', outcome: 'done' as const, from: 'local' };
  for (let i = 0; i < count; i++)
    await store.commit([{ kind: 'audit', entry: { chain: account.accountId, detail: DETAIL, ...entry } }]);
}

function listener(): Socket {
  const { hostname, port } = new URL(kit.url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET /v1/events?after=0 HTTP/1.1\r\nHost: x\r\nX-API-Key: ${account.apiKey}\r\n\r\n`);
  return socket;
}

test('slow listener: 32 MB of events for one who does not read → the chain is read no further than sockets hold, and all comes when it reads', async () => {
  await append(ENTRIES);
  const lists = vi.spyOn(kit.server.deps.store, 'list');
  const socket = listener();
  socket.pause();
  /** Places from which pages were read for the listener; the feed itself reads at the chain's end. */
  const pages = () =>
    lists.mock.calls.map(([, query]) => Number(query.after?.[0] ?? ENTRIES)).filter((at) => at < ENTRIES);
  await expect.poll(() => pages().length).toBeGreaterThan(2);
  await append(500);
  const held = pages().length;
  expect(Math.max(...pages())).toBeLessThan(ENTRIES / 2);
  await append(200);
  expect(pages()).toHaveLength(held);
  let text = '';
  socket.setEncoding('utf8').on('data', (part) => {
    text += part;
  });
  socket.resume();
  const seqs = () => [...text.matchAll(/^id: (\d+)\ndata/gm)].map(([, seq]) => Number(seq));
  await expect.poll(() => seqs().length, { timeout: 30_000 }).toBeGreaterThanOrEqual(ENTRIES + 700);
  expect(seqs()).toEqual(seqs().map((_, i) => i + 1));
  socket.destroy();
});

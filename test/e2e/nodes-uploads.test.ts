import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TransferId } from '../../server/domain/ids.ts';
import { type NodeGroup, pauseNode, startNodeGroup } from '../support/node-group.ts';
import { RawConnection } from '../support/raw-http.ts';
import { readLink, sha256Hex } from '../support/read-back.ts';
import { seededBytes } from '../support/seeded-bytes.ts';
import type { ServerChild } from '../support/server-child.ts';
import { tusClient } from '../support/tus.ts';
import { until } from '../support/until.ts';

const group: NodeGroup | null = await startNodeGroup();

describe.skipIf(group === null)('several nodes, one PostgreSQL, one S3: uploads', () => {
  let nodes: [ServerChild, ServerChild];
  const accountKey = group?.accountKey ?? '';
  beforeAll(async () => {
    const { node } = group as NodeGroup;
    nodes = [await node(), await node()];
  });
  afterAll(async () => {
    RawConnection.closeAll();
    await group?.close();
  });

  const upload = (node: ServerChild, key: string, body: Uint8Array, fields: Record<string, string> = {}) =>
    fetch(`${node.url}/v1/upload`, {
      method: 'POST',
      headers: { 'x-api-key': key, ...fields },
      body: Buffer.from(body),
    });

  it.each([
    ['small (in the database)', 4_000],
    ['large (in the object store)', 3_000_000],
  ])('nodes: a %s file sent to one → read whole from the other, once', async (_what, bytes) => {
    const content = seededBytes(bytes, bytes);
    const answer = await upload(nodes[0], accountKey, content);
    const { url, sha256 } = (await answer.json()) as { url: string; sha256: string };
    expect(sha256).toBe(sha256Hex(content));
    const read = await readLink(nodes[1], url);
    expect(read.bytes.equals(content)).toBe(true);
    await until(
      'the link to be burned on the first node, too',
      async () => (await readLink(nodes[0], url)).status === 410,
    );
  });

  it('nodes: a resumable upload begun on one, gone on with on the other, ended on a third → whole', async () => {
    const content = seededBytes(2_500_000, 7);
    const path = await tusClient(nodes[0], accountKey).create([`Upload-Length: ${content.length}`]);
    expect((await tusClient(nodes[0], accountKey).patch(path, 0, content.subarray(0, 1_200_000))).status).toBe(204);
    const middle = content.subarray(1_200_000, 1_900_001);
    expect((await tusClient(nodes[1], accountKey).patch(path, 1_200_000, middle)).status).toBe(204);
    // The first node has a running digest of 1,200,000 bytes: it must not be taken for one of all of them.
    const third = await (group as NodeGroup).node();
    const end = await tusClient(third, accountKey).patch(path, 1_900_001, content.subarray(1_900_001));
    expect(end.status).toBe(204);
    const head = await tusClient(nodes[0], accountKey).head(path);
    const read = await readLink(nodes[0], head.headers['fuselink-url'] ?? '');
    expect(read.bytes.equals(content)).toBe(true);
    await third.kill();
  });

  it('nodes: kill -9 of the one that receives → the other goes on from what was durable', async () => {
    const content = seededBytes(6_000_000, 9);
    const doomed = await (group as NodeGroup).node();
    const path = await tusClient(doomed, accountKey).create([`Upload-Length: ${content.length}`]);
    expect((await tusClient(doomed, accountKey).patch(path, 0, content.subarray(0, 2_000_000))).status).toBe(204);
    await tusClient(doomed, accountKey).beginPatch(path, 2_000_000, 4_000_000, content.subarray(2_000_000, 4_000_000));
    await doomed.kill();
    const offset = await tusClient(nodes[1], accountKey).offset(path);
    expect(offset).toBeGreaterThanOrEqual(2_000_000);
    const end = await tusClient(nodes[1], accountKey).patch(path, offset, content.subarray(offset));
    expect(end.status).toBe(204);
  });

  it('nodes: one is paused in the middle of an upload that another ends → what it still holds changes nothing', async () => {
    const content = seededBytes(5_000_001, 11);
    const other = seededBytes(5_000_001, 12);
    const paused = await (group as NodeGroup).node();
    const path = await tusClient(paused, accountKey).create([`Upload-Length: ${content.length}`]);
    const begun = await tusClient(paused, accountKey).beginPatch(path, 0, other.length, other.subarray(0, 3_000_000));
    await until('its first bytes to be on their way to the object store', async () => {
      const { deps } = group as NodeGroup;
      for await (const id of deps.blobs.list())
        if ((await deps.store.get('transfers', { id: id as TransferId }))?.size === content.length) return true;
      return false;
    });
    const pause = pauseNode(paused);
    expect((await tusClient(nodes[1], accountKey).patch(path, 0, content)).status).toBe(204);
    pause.resume();
    await begun.send(other.subarray(3_000_000));
    const late = await begun.answer();
    expect(late.status).toBe(409);
    expect(late.json()['code']).toBe('upload_preempted');
    const head = await tusClient(nodes[1], accountKey).head(path);
    const read = await readLink(nodes[1], head.headers['fuselink-url'] ?? '');
    expect(read.bytes.equals(content)).toBe(true);
    await paused.kill();
  });

  it('nodes: one starts while another receives → its sweep leaves the upload alone', async () => {
    const content = seededBytes(4_000_000, 13);
    const connection = await RawConnection.open(nodes[0].port);
    const fields = ['Host: x', `X-API-Key: ${accountKey}`, `Content-Length: ${content.length}`];
    await connection.head('POST /v1/upload HTTP/1.1', fields);
    await connection.send(content.subarray(0, 3_000_000));
    const { deps } = group as NodeGroup;
    await until('bytes in the object store', async () => {
      for await (const id of deps.blobs.list()) {
        const row = await deps.store.get('transfers', { id: id as TransferId });
        if (row?.state === 'uploading' && row.kind === 'one-shot') return true;
      }
      return false;
    });
    const starting = await (group as NodeGroup).node();
    await connection.send(content.subarray(3_000_000));
    const answer = await connection.answer();
    expect(answer.status).toBe(201);
    const read = await readLink(starting, answer.json()['url']);
    expect(read.bytes.equals(content)).toBe(true);
    await starting.kill();
  });

  it('nodes: two hundred uploads of one key raced over two nodes → exactly sixty', async () => {
    const limited = { FUSELINK_UPLOADS_PER_MINUTE: '60' };
    const { node } = group as NodeGroup;
    const pair = await Promise.all([node(limited), node(limited)]);
    const { key } = await (group as NodeGroup).device();
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => upload(pair[i % 2] as ServerChild, key, seededBytes(100, i))),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(60);
    expect(answers.filter(({ status }) => status !== 201 && status !== 429)).toHaveLength(0);
    await Promise.all(pair.map((child) => child.kill()));
  });
});

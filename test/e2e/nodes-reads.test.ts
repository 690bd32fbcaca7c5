import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeviceId } from '../../server/domain/ids.ts';
import { callServer, seedOf } from '../../server/testing/server-kit.ts';
import { SigningDevice } from '../../server/testing/signing-device.ts';
import { type NodeGroup, pauseNode, startNodeGroup } from '../support/node-group.ts';
import { RawConnection } from '../support/raw-http.ts';
import { sha256Hex } from '../support/read-back.ts';
import { seededBytes } from '../support/seeded-bytes.ts';
import type { ServerChild } from '../support/server-child.ts';
import { until } from '../support/until.ts';

/** The shortest there is. */
const LEASE_SECONDS = 5;

const group: NodeGroup | null = await startNodeGroup();

describe.skipIf(group === null)('several nodes, one PostgreSQL, one S3: reads and keys', () => {
  const { accountKey, device, node, deps, account } = (group ?? {}) as NodeGroup;
  let nodes: [ServerChild, ServerChild, ServerChild];
  beforeAll(async () => {
    nodes = await Promise.all([node(), node(), node()]);
  });
  afterAll(async () => {
    RawConnection.closeAll();
    await group?.close();
  });

  async function sent(content: Uint8Array, fields: Record<string, string> = {}): Promise<string> {
    const answer = await fetch(`${nodes[0].url}/v1/upload`, {
      method: 'POST',
      headers: { 'x-api-key': accountKey, ...fields },
      body: Buffer.from(content),
    });
    expect(answer.status).toBe(201);
    return new URL(((await answer.json()) as { url: string }).url).pathname;
  }
  const post = (at: ServerChild, path: string, json: unknown, headers: Record<string, string> = {}) =>
    fetch(at.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(json),
    });

  it('nodes: thirty claims of one link raced over three → one holds it, and only it reads and burns', async () => {
    const content = seededBytes(200_000, 1);
    const path = await sent(content);
    const claims = await Promise.all(
      Array.from({ length: 30 }, (_, i) => post(nodes[i % 3] as ServerChild, `${path}/claim`, {})),
    );
    const won = claims.filter(({ status }) => status === 200);
    expect(won).toHaveLength(1);
    expect(claims.filter(({ status }) => status === 423)).toHaveLength(29);
    const { claim } = (await (won[0] as Response).json()) as { claim: string };
    const read = await fetch(`${nodes[1].url}${path}/content`, { headers: { 'fuselink-claim': claim } });
    const bytes = Buffer.from(await read.arrayBuffer());
    expect(bytes.equals(content)).toBe(true);
    const ack = await post(nodes[2], `${path}/ack`, { sha256: sha256Hex(bytes) }, { 'fuselink-claim': claim });
    expect(ack.status).toBe(200);
    for (const at of nodes) expect((await post(at, `${path}/claim`, {})).status).toBe(410);
  });

  it('nodes: an ack to one right behind the last byte from another → never told that bytes are missing', async () => {
    const content = seededBytes(70_000, 8);
    const proof = { sha256: sha256Hex(content) };
    const paths = await Promise.all(Array.from({ length: 20 }, () => sent(content)));
    const statuses = await Promise.all(
      paths.map(async (path) => {
        const { claim } = (await (await post(nodes[0], `${path}/claim`, {})).json()) as { claim: string };
        const headers = { 'fuselink-claim': claim };
        await (await fetch(`${nodes[1].url}${path}/content`, { headers })).arrayBuffer();
        return (await post(nodes[2], `${path}/ack`, proof, headers)).status;
      }),
    );
    expect(statuses).toEqual(paths.map(() => 200));
  });

  it('nodes: kill -9 of the one that serves → the lease goes on elsewhere and the file is delivered once', async () => {
    const content = seededBytes(8_000_000, 2);
    const path = await sent(content);
    const doomed = await node();
    const { claim } = (await (await post(doomed, `${path}/claim`, {})).json()) as { claim: string };
    const connection = await RawConnection.open(doomed.port);
    await connection.head(`GET ${path}/content HTTP/1.1`, ['Host: x', `Fuselink-Claim: ${claim}`]);
    await until('bytes on their way', () => connection.unread.length > 100_000);
    await doomed.kill();
    connection.close();
    const again = await fetch(`${nodes[0].url}${path}/content`, { headers: { 'fuselink-claim': claim } });
    const bytes = Buffer.from(await again.arrayBuffer());
    expect(bytes.equals(content)).toBe(true);
    const ack = await post(nodes[1], `${path}/ack`, { sha256: sha256Hex(bytes) }, { 'fuselink-claim': claim });
    expect(ack.status).toBe(200);
  });

  it('nodes: one is paused for longer than the lease while another delivers → it lets no further bytes out', async () => {
    const content = seededBytes(30_000_000, 3);
    const path = await sent(content, { 'x-lease-seconds': String(LEASE_SECONDS) });
    const paused = await node();
    const { claim } = (await (await post(paused, `${path}/claim`, {})).json()) as { claim: string };
    const slow = await RawConnection.open(paused.port);
    await slow.head(`GET ${path}/content HTTP/1.1`, ['Host: x', `Fuselink-Claim: ${claim}`]);
    await until('bytes on their way', () => slow.unread.length > 100_000);
    slow.socket.pause();
    const pause = pauseNode(paused);
    // The lease is told by its own time, so it is asked for until it is free.
    const second = await until('the lease to run out', async () => {
      const answer = await post(nodes[0], `${path}/claim`, {});
      return answer.status === 200 ? ((await answer.json()) as { claim: string }) : null;
    });
    const read = await fetch(`${nodes[1].url}${path}/content`, { headers: { 'fuselink-claim': second.claim } });
    const bytes = Buffer.from(await read.arrayBuffer());
    expect(bytes.equals(content)).toBe(true);
    const proof = { sha256: sha256Hex(bytes) };
    pause.resume();
    slow.socket.resume();
    await slow.ended();
    expect(slow.unread.length).toBeLessThan(content.length);
    // Nor may what the first reader has count for the second, or take the file from it.
    expect((await post(nodes[2], `${path}/ack`, proof, { 'fuselink-claim': claim })).status).toBe(409);
    expect((await post(nodes[2], `${path}/ack`, proof, { 'fuselink-claim': second.claim })).status).toBe(200);
    await paused.kill();
  });

  it('nodes: a key revoked on one → the very next request on each of the others is refused', async () => {
    const { id, key } = await device();
    for (const at of nodes)
      expect((await fetch(`${at.url}/v1/transfers`, { headers: { 'x-api-key': key } })).status).toBe(200);
    const [row] = await deps.store.list('api_keys', {
      where: [
        ['device_id', '=', id as DeviceId],
        ['state', '=', 'active'],
      ],
      limit: 1,
    });
    const code = deps.totp.code(seedOf(account.totpUri), Math.floor(deps.clock.nowMs() / 30_000));
    const signIn = await post(nodes[0], '/v1/auth/login', { email: account.email, api_key: accountKey, totp: code });
    const { token } = (await signIn.json()) as { token: string };
    const gone = await fetch(`${nodes[0].url}/v1/keys/${row?.id}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}` },
    });
    expect(gone.status).toBe(200);
    for (const at of nodes) {
      const answer = await fetch(`${at.url}/v1/transfers`, { headers: { 'x-api-key': key } });
      expect(answer.status).toBe(401);
      expect(await answer.json()).toMatchObject({ code: 'key_revoked' });
    }
    // The code that signed in is spent on every node.
    const replays = await Promise.all(
      nodes.map((at) => post(at, '/v1/auth/login', { email: account.email, api_key: accountKey, totp: code })),
    );
    expect(replays.map(({ status }) => status).every((status) => status === 401 || status === 429)).toBe(true);
    // Nor does the session outlive its end anywhere.
    await fetch(`${nodes[2].url}/v1/auth/logout`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    for (const at of nodes)
      expect((await fetch(`${at.url}/v1/auth/session`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(
        401,
      );
  });

  it('nodes: one TOTP code, and one recovery code, raced over three → one session each', async () => {
    // The code of the next half minute, which is accepted too: this one's is spent.
    const totp = deps.totp.code(seedOf(account.totpUri), Math.floor(deps.clock.nowMs() / 30_000) + 1);
    for (const proof of [{ totp }, { recovery_code: account.recoveryCodes[0] }]) {
      const who = { email: account.email, api_key: accountKey, ...proof };
      const answers = await Promise.all(
        Array.from({ length: 15 }, (_, i) => post(nodes[i % 3] as ServerChild, '/v1/auth/login', who)),
      );
      const statuses = answers.map(({ status }) => status).sort();
      expect(statuses, Object.keys(proof)[0]).toEqual([200, ...Array(14).fill(401)]);
    }
  });

  it('nodes: one signed request, caught on its way and raced over three → done once, by one of them', async () => {
    const made = await device();
    const at = nodes.map(
      ({ url }) => new SigningDevice({ call: (...request) => callServer(url, ...request) }, made),
    ) as [SigningDevice, SigningDevice, SigningDevice];
    // The nonce is one node's; the others know it by the keyring they share.
    await at[0].call({ method: 'GET', target: '/v1/device' });
    const request = at[0].sign({ body: 'once', headers: { 'x-filename': 'once.txt' } });
    const answers = await Promise.all(Array.from({ length: 15 }, (_, i) => (at[i % 3] as SigningDevice).send(request)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status, json }) => status === 401 && json.code === 'nonce_used')).toHaveLength(14);
    const kept = await deps.store.count('transfers', { where: [['device_id', '=', made.id as DeviceId]] });
    expect(kept.rows).toBe(1);
    // Each refusal brought a nonce that another node gave, and any of them takes it.
    at[1].nonce = at[2].nonce;
    expect((await at[1].call({ body: 'next' })).status).toBe(201);
  });

  it('nodes: one Idempotency-Key sent to all three at once → one transfer, one link', async () => {
    const content = seededBytes(90_000, 5);
    const links = await Promise.all(
      [0, 1, 2, 0, 1, 2].map(async (i) => {
        const answer = await fetch(`${nodes[i]?.url}/v1/upload`, {
          method: 'POST',
          headers: { 'x-api-key': accountKey, 'idempotency-key': 'the-same-key-on-all-of-the-nodes' },
          body: Buffer.from(content),
        });
        return new URL(((await answer.json()) as { url: string }).url).pathname;
      }),
    );
    expect(new Set(links).size).toBe(1);
  });

  it('nodes: one with another keyring → refused at its start, with what to do', async () => {
    const keyring = JSON.stringify({ fuselink_secret: 1, current: 1, keys: { 1: '77'.repeat(32) } });
    await expect(node({ FUSELINK_SECRET: keyring })).rejects.toThrow(/Give every node the same keyring/);
  });
});

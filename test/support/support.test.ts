import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFlakyProxy } from './flaky-proxy.ts';
import { RawConnection, rawExchange } from './raw-http.ts';
import { prepareAccount, startServerChild } from './server-child.ts';
import { allTransfers, expectNothingHalfDone, findStored, halfDone } from './stored-bytes.ts';
import { startTestServer, type TestServer, temporaryFolder } from './test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const upload = (port: number, key: string, body: string) =>
  rawExchange(port, {
    head: 'POST /v1/upload HTTP/1.1',
    fields: ['Host: x', `X-API-Key: ${key}`, `Content-Length: ${body.length}`],
    body,
  });

describe('test support', () => {
  it('a server in this process: device and account keys → accepted; stored bytes are looked through', async () => {
    const device = await server.device();
    expect((await upload(server.port, device.key, 'by a device')).status).toBe(201);
    expect((await upload(server.port, server.accountKey, 'by a person')).status).toBe(201);
    await expectNothingHalfDone(server.deps, 2);
    const [row] = await allTransfers(server.deps);
    expect(await findStored(server.dataFolder, { id: row?.id ?? '' })).not.toEqual([]);
    await server.deps.store.commit([{ kind: 'delete', table: 'bodies', key: row?.id ?? '' }]);
    expect(await halfDone(server.deps)).toHaveLength(1);
  });

  it('a proxy: a planned cut → both sides see a reset, later connections pass', async () => {
    const proxy = await startFlakyProxy(server.port, (n) => (n === 0 ? { cutAfterUpBytes: 100 } : {}));
    try {
      const connection = await RawConnection.open(proxy.port);
      await connection.send(`POST /v1/upload HTTP/1.1\r\n${'X-Padding: 1\r\n'.repeat(20)}`);
      expect(await connection.ended()).toBeInstanceOf(Error);
      expect((await rawExchange(proxy.port, { head: 'GET /healthz HTTP/1.1', fields: ['Host: x'] })).status).toBe(200);
      expect([proxy.cuts, proxy.connections]).toEqual([1, 2]);
    } finally {
      await proxy.close();
    }
  });

  it('a server in a process of its own: killed and started again → the same data', async () => {
    const folder = await temporaryFolder();
    const data = `${folder.path}/data`;
    const { accountKey } = await prepareAccount(data);
    const first = await startServerChild(data);
    expect((await upload(first.port, accountKey, 'x')).status).toBe(201);
    expect(await first.peakRssBytes()).toBeGreaterThan(1e7);
    await first.kill();
    const second = await startServerChild(data);
    const list = await rawExchange(second.port, {
      head: 'GET /v1/transfers HTTP/1.1',
      fields: ['Host: x', `X-API-Key: ${accountKey}`],
    });
    expect(list.json().transfers).toHaveLength(1);
    await second.stop();
    await folder.remove();
  });
});

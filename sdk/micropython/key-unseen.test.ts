import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeviceId } from '../../server/domain/ids.ts';
import { enrolDevice } from '../../server/usecases/device/enrol-device.ts';
import { startTestServer, type TestServer, temporaryFolder } from '../../test/support/test-server.ts';
import { testCertificate } from '../node/testing/certificate.ts';
import { type ForgingProxy, startForgingProxy } from './testing/forging-proxy.ts';
import { INTERPRETERS, type Interpreter, literal } from './testing/interpreters.ts';

const [python3] = INTERPRETERS;

/** A signing device whose key the server knows by its digest alone: what it minted itself in a recovery. */
describe.skipIf(python3?.missing !== null)(`a key that was never seen (${python3?.missing ?? 'Python'})`, () => {
  let python: Interpreter;
  let secure: TestServer;
  let plain: TestServer;
  let line: ForgingProxy;
  let folder: { path: string; remove(): Promise<void> };
  const value = async (expression: string) => JSON.parse(await python.run(`print(testkit.show(${expression}))`));

  beforeAll(async () => {
    folder = await temporaryFolder();
    const certificate = testCertificate();
    await writeFile(join(folder.path, 'cert.pem'), certificate.cert);
    await writeFile(join(folder.path, 'tls.key'), certificate.key);
    secure = await startTestServer({
      FUSELINK_TLS_CERT: join(folder.path, 'cert.pem'),
      FUSELINK_TLS_KEY: join(folder.path, 'tls.key'),
    });
    plain = await startTestServer();
    line = await startForgingProxy(plain.port);
    python = await (python3 as (typeof INTERPRETERS)[number]).open();
  });
  afterAll(async () => {
    await python?.close();
    await line?.close();
    await plain?.close();
    await secure?.close();
    await folder?.remove();
  });

  const enrolled = async (server: TestServer, url: string, options: string) => {
    const made = await enrolDevice(server.deps, server.operator, { name: 'unseen' });
    const id = made.device.id as DeviceId;
    await python.run(`store = testkit.CutStore(); told = []
fuselink.provision(store, ${[made.key, id, made.recoverySecret].map(literal).join(', ')})
client = testkit.client(${literal(url)}, store=store, signed=True, tell=told.append, ${options})`);
    const [row] = await server.deps.store.list('api_keys', { where: [['device_id', '=', id]], limit: 1 });
    if (row === undefined) throw new Error('expected the key of the device');
    const unseen = { ...row, sealed_device_secret: null, version: row.version + 1 };
    await server.deps.store.commit([{ kind: 'update', table: 'api_keys', row: unseen, expectVersion: row.version }]);
    return { key: made.key, id };
  };

  test('over TLS that was checked → one request as Bearer, then signed ones again; nothing is left waiting', async () => {
    const options = `ca=open(${literal(join(folder.path, 'cert.pem'))}).read()`;
    const device = await enrolled(secure, `https://localhost:${secure.port}`, options);
    await python.run(`
plain = []
kept = client._exchange_plain
def exchange_plain(key, method, path, *rest):
    plain.append([method, path])
    return kept(key, method, path, *rest)
client._exchange_plain = exchange_plain
sent = [client.send(b"one", filename="1"), client.send(testkit.content(9000), filename="2"), client.send(b"three")]
`);
    expect(((await value('sent')) as { size: number }[]).map(({ size }) => size)).toEqual([3, 9000, 5]);
    expect((await value('plain')).length).toBe(1);
    const [row] = await secure.deps.store.list('api_keys', { where: [['device_id', '=', device.id]], limit: 1 });
    expect(row?.sealed_device_secret).not.toBeNull();
  });

  test('over a line that nobody protects → never as Bearer; kept, resumable, and sent once the server can check it', async () => {
    const device = await enrolled(plain, line.url, '');
    const refused = await value('testkit.json.loads(testkit.attempt(lambda: client.send(b"x", give_up_seconds=0)))');
    expect(refused).toMatchObject({ code: 'answer_unsigned', resumable: true });
    expect(refused.detail).toContain('signature_key_unseen');
    expect(line.seen.toLowerCase()).not.toContain(device.key);
    expect(line.seen.toLowerCase()).not.toContain('authorization');
    expect(await value('[record.generation for record in client.rotation.slots.pair()]')).toEqual([1, 1]);
  });
});

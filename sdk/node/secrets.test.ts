import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createClient, keyOfSecret, openCredentialSlots, Secret } from './index.ts';
import { type FakeRelay, fakeRelay } from './testing/fake-relay.ts';

let relay: FakeRelay;
let folder: string;
beforeEach(async () => {
  relay = await fakeRelay();
  folder = await mkdtemp(join(tmpdir(), 'fuselink-secrets-'));
});
afterEach(async () => {
  await relay.close();
  await rm(folder, { recursive: true, force: true });
});

const KEY = '5ec7e7'.padEnd(64, '0badcafe');

/** Everything of a value that a log could show: hidden fields, causes, JSON, text. */
function shown(value: unknown): string {
  const views = [inspect(value, { depth: 20, showHidden: true, getters: true }), String(value)];
  for (const plain of [value, value instanceof Error ? { ...value, cause: value.cause, message: value.message } : null])
    views.push(JSON.stringify(plain) ?? '');
  return views.join('\n');
}

async function onDisk(path: string): Promise<string> {
  const names = await readdir(path, { recursive: true, withFileTypes: true });
  const texts = names
    .filter((entry) => entry.isFile())
    .map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1'));
  return (await Promise.all(texts)).join('\n');
}

test.each(['key', 'function', 'store'] as const)(
  'a client given its key as %s: inspected, as JSON, its events, errors, metrics and state folder → the key in none of them',
  async (given) => {
    const store = join(folder, 'store');
    const parsed = keyOfSecret(new Secret(KEY));
    if (parsed !== null) openCredentialSlots(store).provision(parsed, 1);
    const how = given === 'key' ? { key: KEY } : given === 'function' ? { key: () => KEY } : { store };
    const client = createClient({ url: relay.url, ...how, stateFolder: join(folder, 'state'), readings: {} });
    const seen: unknown[] = [client];
    for (const event of ['sent', 'batch', 'dropped', 'retrying', 'warning', 'credentialRefused', 'rotation'] as const)
      client.on(event, (told: unknown) => void seen.push(told));
    const failed = async (sending: Promise<unknown>) => seen.push(await sending.catch((error: unknown) => error));
    // Refused by the server, broken on the way, not there at all.
    relay.revoked.set(KEY, '0011223344556677');
    await failed(client.send(Buffer.alloc(100_000)));
    relay.revoked.clear();
    relay.keys.add(KEY);
    client.credentialsChanged();
    relay.cutUploads.push(20_000);
    const path = join(folder, 'file');
    await writeFile(path, Buffer.alloc(200_000, 7));
    await failed(client.send(path));
    await failed(client.receive(`${relay.url}/get/none`));
    await client.record({ t: 1 });
    await client.flush();
    seen.push(client.metrics());
    await client.close();
    await failed(client.send(path));
    expect(seen.filter((one) => one instanceof Error).length).toBeGreaterThanOrEqual(2);
    expect(relay.finished().length).toBeGreaterThanOrEqual(1);
    for (const one of seen) expect(shown(one)).not.toContain(KEY.slice(0, 12));
    expect(await onDisk(join(folder, 'state'))).not.toContain(KEY.slice(0, 12));
  },
);

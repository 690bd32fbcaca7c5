import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type ApiKey, parseApiKey } from '#sdk/core';
import { openCredentialSlots } from '#sdk/node';
import { startKit } from '../server/testing/server-kit.ts';
import { operatorOf } from '../server/usecases/account/create-account.ts';
import { addGateway } from '../server/usecases/gateway/gateways.ts';
import { freePort } from '../test/support/free-port.ts';
import { startBridgeChild } from './testing/bridge-child.ts';
import { MqttDevice } from './testing/mqtt-device.ts';
import { sendFileOverMqtt } from './testing/mqtt-files.ts';

const BLOCK = 4096;
const BLOCKS = 128;
/** Parts of one run of the device after which the bridge is killed: early, in the middle, near the end. */
const KILLS = [9, 40, 60];

test('a file over MQTT, the bridge killed (-9) half way through again and again → goes on where it was, on the server once and whole', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-file-kill-'));
  const kit = await startKit();
  const account = await kit.account();
  const { id, key } = await account.device('pump');
  const operator = operatorOf(account.accountId, account.row);
  const gateway = await addGateway(kit.server.deps, operator, { name: 'hall', devices: [id] });
  openCredentialSlots(join(folder, id)).provision(parseApiKey(key) as ApiKey, 1);
  await writeFile(join(folder, 'gateway.key'), gateway.key);
  const config = join(folder, 'bridge.json');
  await writeFile(
    config,
    JSON.stringify({
      server: kit.url,
      gateway_key_file: 'gateway.key',
      data: 'data',
      listen: [`mqtt://127.0.0.1:${await freePort()}`],
      http: '127.0.0.1:0',
      files: { silence_ms: 300 },
    }),
  );
  const content = randomBytes(BLOCK * BLOCKS);
  const path = join(folder, 'log.bin');
  await writeFile(path, content);
  let bridge = await startBridgeChild(config);
  const boot = () =>
    MqttDevice.boot({
      device: id,
      broker: 'own',
      url: () => bridge.url,
      store: join(folder, id),
      answerMs: 500,
      repeats: () => false,
    });
  let parts = 0;
  /** One life of the device; null where it ended with the bridge's. */
  const send = async (killAt: number) => {
    const device = await boot();
    let killed: Promise<void> | null = null;
    const before = (part: number) => {
      if (part === killAt) killed = bridge.kill();
      if (part >= killAt) throw new Error('the bridge is gone');
      parts += 1;
    };
    const options = { name: 'log.bin', block: BLOCK, windowBytes: 8 * BLOCK, before };
    const state = await sendFileOverMqtt(device, path, options).catch(() => null);
    device.cut();
    await killed;
    return state;
  };
  try {
    for (const killAt of KILLS) {
      expect(await send(killAt)).toBeNull();
      bridge = await startBridgeChild(config);
    }
    expect(await send(Number.POSITIVE_INFINITY)).toMatchObject({ state: 'stored' });
    // A table and its blocks; what was under way at a kill, a window at most, may come once more.
    expect(parts).toBeGreaterThanOrEqual(BLOCKS + 1);
    expect(parts).toBeLessThanOrEqual(BLOCKS + 1 + KILLS.length * 8);
    const lines = (await readFile(join(folder, 'data/links.jsonl'), 'utf8')).trim().split('\n');
    const urls = new Map(lines.map((line) => JSON.parse(line)).map((link) => [link.id, link.url as string]));
    expect(urls.size).toBe(1);
    const listed = await kit.call('GET', '/v1/transfers', { apiKey: account.apiKey });
    expect(listed.json.transfers).toHaveLength(1);
    const read = await fetch(kit.url + new URL([...urls.values()][0] as string).pathname);
    expect(Buffer.from(await read.arrayBuffer()).equals(content)).toBe(true);
  } finally {
    await bridge.kill();
    await kit.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

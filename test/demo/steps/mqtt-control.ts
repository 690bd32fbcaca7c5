import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseApiKey } from '#sdk/core';
import { openCredentialSlots, receive } from '#sdk/node';
import { MqttDevice } from '../../../firmware-bridge/testing/mqtt-device.ts';
import { sendFileOverMqtt } from '../../../firmware-bridge/testing/mqtt-files.ts';
import { operator, type Step, type World } from '../world.ts';
import { startBridge } from './mqtt-devices.ts';

const NAME = 'pump-mqtt';
const FILE_BYTES = 300_000;
const WAIT_MS_MAX = 60_000;

/** A device behind a gateway gets a new key over MQTT, and sends a file although its power is cut half way. */
export const mqttControl: Step = {
  title: 'A key is rotated over MQTT, and a file is sent over MQTT although the power is cut half way',
  async run(world) {
    const folder = join(world.folder, 'annex');
    await mkdir(folder);
    const { device_id, api_key } = await operator(world.dataFolder, 'device', 'enrol', NAME);
    const first = parseApiKey(String(api_key));
    if (first === null) throw new Error('expected the device to be enrolled with an API key');
    const store = join(folder, 'device');
    openCredentialSlots(store).provision(first, 1);
    const gateway = await operator(world.dataFolder, 'gateway', 'add', 'demo-annex', '--device', NAME);
    await writeFile(join(folder, 'gateway.key'), String(gateway.api_key), { mode: 0o600 });
    const config = join(folder, 'bridge.json');
    const settings = { listen: ['mqtt://127.0.0.1:0'], http: '127.0.0.1:0', limits: { work_interval_ms: 200 } };
    await writeFile(
      config,
      JSON.stringify({ server: world.url, gateway_key_file: 'gateway.key', data: 'data', ...settings }),
    );
    const bridge = await startBridge(config);
    const boot = () => MqttDevice.boot({ device: String(device_id), broker: 'own', url: () => bridge.url, store });
    let device = await boot();
    try {
      await rotate(world, device);
      const refused = await fetch(`${world.url}/v1/device`, { headers: { 'X-API-Key': String(api_key) } });
      const { code } = (await refused.json()) as { code: string };
      if (code !== 'key_revoked') world.failures.push(`${NAME}: expected its old key to be revoked, got ${code}`);
      const path = join(folder, 'log.bin');
      const content = randomBytes(FILE_BYTES);
      await writeFile(path, content);
      const cutAt = 10;
      const options = { name: 'log.bin', block: 8192 };
      const before = (part: number) => {
        if (part === cutAt) throw new Error('the power is cut');
      };
      await sendFileOverMqtt(device, path, { ...options, before }).catch(() => {});
      device.cut();
      device = await boot();
      let parts = 0;
      await sendFileOverMqtt(device, path, {
        ...options,
        before: () => {
          parts += 1;
        },
      });
      await readBack(world, folder, content);
      world.say(
        `${FILE_BYTES} bytes read back; after the cut ${parts} blocks were sent, and ${cutAt} were there already`,
      );
    } finally {
      device.cut();
      await bridge.end('SIGTERM');
    }
  },
};

async function rotate(world: World, device: MqttDevice): Promise<void> {
  const settled = () => device.state.phase === 'SETTLED' && device.state.candidate === null;
  await waitFor('the device to be heard', settled);
  const before = device.state.base?.fingerprint;
  await operator(world.dataFolder, 'device', 'rotate', NAME, '--soak', '0s');
  await waitFor('the new key', async () => {
    const { state } = await operator(world.dataFolder, 'device', 'show', NAME);
    return state === 'IDLE' && settled() && device.state.base?.fingerprint !== before;
  });
  world.say(
    `${NAME} went from ${before} to ${device.state.base?.fingerprint} over MQTT; ${device.heard.length} messages to it, none with a key in it`,
  );
  if (JSON.stringify(device.heard).match(/"[0-9a-f]{64}"/) !== null)
    world.failures.push(`${NAME}: a key was in a message`);
}

async function waitFor(what: string, probe: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + WAIT_MS_MAX;
  while (!(await probe())) {
    if (performance.now() > end) throw new Error(`expected ${what} within ${WAIT_MS_MAX / 1000} s`);
    await pause(50);
  }
}

async function readBack(world: World, folder: string, content: Buffer): Promise<void> {
  const [line = ''] = (await readFile(join(folder, 'data/links.jsonl'), 'utf8')).split('\n');
  const { url } = JSON.parse(line) as { url: string };
  const { path } = await receive(url, { to: join(folder, 'received.bin'), stateFolder: null });
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  if (digest(await readFile(path)) !== digest(content))
    world.failures.push('log.bin: what was read is not what was sent');
}

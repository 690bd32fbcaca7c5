import { execFile, spawn } from 'node:child_process';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import mqtt from 'mqtt';
import { receive } from '#sdk/node';
import { startFlakyProxy } from '../../support/flaky-proxy.ts';
import { operator, ROOT, type Step, type World } from '../world.ts';

const BRIDGE = join(ROOT, 'dist/bridge/main.mjs');
const DEVICES = ['plc-1', 'plc-2', 'plc-3', 'plc-4'];
const BEFORE = 50;
const DURING = 100;
const DRAIN_MS_MAX = 60_000;

interface Device {
  id: string;
  key: string;
}

/** Four devices publish through the bridge; the WAN fails, the bridge is killed in the middle of it, and all arrives. */
export const mqttDevices: Step = {
  title: 'Four MQTT devices behind a gateway; the WAN fails, and the gateway is killed while it is down',
  async run(world) {
    const folder = join(world.folder, 'bridge');
    await mkdir(folder);
    const devices: Device[] = [];
    for (const name of DEVICES) {
      const { device_id, api_key } = await operator(world.dataFolder, 'device', 'enrol', name);
      devices.push({ id: String(device_id), key: String(api_key) });
    }
    const gateway = await operator(world.dataFolder, 'gateway', 'add', 'demo-hall', '--device', ...DEVICES);
    await writeFile(join(folder, 'gateway.key'), String(gateway.api_key), { mode: 0o600 });
    let down = false;
    const wan = await startFlakyProxy(Number(new URL(world.url).port), () => (down ? { cutAfterUpBytes: 0 } : {}));
    const config = join(folder, 'bridge.json');
    await writeFile(
      config,
      JSON.stringify({
        server: wan.url,
        gateway_key_file: 'gateway.key',
        data: 'data',
        listen: ['mqtt://127.0.0.1:0'],
        http: '127.0.0.1:0',
        uplink: { age_ms_max: 500, retry_delay_ms_max: 1000, spread_ms_max: 500 },
      }),
    );
    let bridge = await startBridge(config);
    try {
      await Promise.all(devices.map((device) => publish(bridge.url, device, 0, BEFORE)));
      down = true;
      wan.cutAll();
      await Promise.all(devices.map((device) => publish(bridge.url, device, BEFORE, BEFORE + DURING / 2)));
      await bridge.end('SIGKILL');
      bridge = await startBridge(config);
      await Promise.all(devices.map((device) => publish(bridge.url, device, BEFORE + DURING / 2, BEFORE + DURING)));
      world.say(
        `${DEVICES.length * (BEFORE + DURING)} readings acknowledged, ${DEVICES.length * DURING} of them while the WAN was down`,
      );
      down = false;
      await drained(bridge.httpUrl);
      await bridge.end('SIGTERM');
      await readBack(world, folder, devices);
    } finally {
      await bridge.end('SIGKILL');
      await wan.close();
    }
  },
};

async function publish(url: string, device: Device, from: number, to: number): Promise<void> {
  const client = await mqtt.connectAsync(url, { username: device.id, password: device.key, protocolVersion: 4 });
  const topic = `fuselink/v1/${device.id}/up/readings/temperature`;
  for (let n = from; n < to; n++) await client.publishAsync(topic, JSON.stringify({ n }), { qos: 1 });
  await client.endAsync();
}

async function drained(httpUrl: string): Promise<void> {
  const end = performance.now() + DRAIN_MS_MAX;
  for (;;) {
    const health = (await (await fetch(`${httpUrl}/healthz`)).json()) as { backlogReadings: number };
    if (health.backlogReadings === 0) return;
    if (performance.now() > end) throw new Error(`${health.backlogReadings} readings are still on the gateway`);
    await pause(50);
  }
}

/** Reads every link the bridge wrote down, and compares what the server had with what was published. */
async function readBack(world: World, folder: string, devices: Device[]): Promise<void> {
  const journal = await readFile(join(folder, 'data/links.jsonl'), 'utf8');
  const links = new Map(
    journal
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string; device: string; filename: string; url: string })
      .map((link) => [link.id, link]),
  );
  const arrived = new Map<string, number[]>();
  for (const { device, url, filename } of links.values()) {
    // The bridge knows the server by the address of its WAN.
    const link = `${world.url}${new URL(url).pathname}`;
    const { path } = await receive(link, { to: join(folder, filename), stateFolder: null });
    const lines = gunzipSync(await readFile(path))
      .toString()
      .trimEnd()
      .split('\n');
    arrived.set(device, [...(arrived.get(device) ?? []), ...lines.map((line) => JSON.parse(line).json.n as number)]);
  }
  const expected = Array.from({ length: BEFORE + DURING }, (_, n) => n).join();
  for (const [i, { id }] of devices.entries()) {
    if (arrived.get(id)?.join() === expected) continue;
    world.failures.push(
      `${DEVICES[i]}: expected ${BEFORE + DURING} readings in order, each once, got ${arrived.get(id)?.length ?? 0}`,
    );
  }
  const total = [...arrived.values()].reduce((sum, readings) => sum + readings.length, 0);
  world.say(`${total} readings read back from the server, in ${links.size} files`);
}

/** The bridge as it is shipped, in a process of its own. */
export async function startBridge(config: string) {
  await access(BRIDGE).catch(() =>
    promisify(execFile)(process.execPath, ['--import', 'tsx', join(ROOT, 'firmware-bridge/build.ts')], { cwd: ROOT }),
  );
  const child = spawn(process.execPath, [BRIDGE, '--config', config, '--json'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const told = await new Promise<{ listening: string; http: string }>((resolve, reject) => {
    const seen: Record<string, string> = {};
    child.once('exit', (code) => reject(new Error(`the bridge ended with ${code} before it listened`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      Object.assign(seen, JSON.parse(line));
      if (seen.http !== undefined) resolve({ listening: seen.listening ?? '', http: seen.http });
    });
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    url: told.listening,
    httpUrl: told.http,
    async end(signal: NodeJS.Signals) {
      child.kill(signal);
      await gone;
    },
  };
}

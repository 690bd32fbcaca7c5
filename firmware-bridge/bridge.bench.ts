import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import mqtt from 'mqtt';
import type { FileState } from '#sdk/protocol';
import { startKit } from '../server/testing/server-kit.ts';
import { operatorOf } from '../server/usecases/account/create-account.ts';
import { addGateway } from '../server/usecases/gateway/gateways.ts';
import { nextParts } from './files/file-sender.ts';
import { fileIdOf, makeManifest } from './files/make-manifest.ts';
import { type BridgeChild, startBridgeChild } from './testing/bridge-child.ts';

/*
 * npx tsx firmware-bridge/bridge.bench.ts
 * Readings a second from publish to acknowledged (QoS 1, 1 KB, on the disk), beside Mosquitto with persistence: ROUNDS of
 * each by turns, medians, and the CPU time of the broker's process a reading, which a busy machine does not change much. The
 * same from many devices at once, each with a spool of its own. A file's MB a second; and the bridge's resident memory with
 * CONNECTIONS idle and busy devices.
 */

const CONNECTIONS = Number(process.env['CONNECTIONS'] ?? 1000);
const MESSAGES = Number(process.env['MESSAGES'] ?? 10_000);
const ROUNDS = Number(process.env['ROUNDS'] ?? 5);
const IN_FLIGHT = 100;
const MANY = 200;
const FILE_BYTES = 64 * 2 ** 20;
const PAYLOAD = Buffer.alloc(1024, 'x');

interface Publisher {
  topic: string;
  credentials: object;
}

interface Rate {
  aSecond: number;
  cpuMicros: number;
}

/** CPU time of a process so far, in microseconds: the clock of /proc ticks a hundred times a second. */
async function cpuMicros(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

async function rate(url: string, pid: number, publishers: readonly Publisher[]): Promise<Rate> {
  const clients = await Promise.all(
    publishers.map(({ credentials }) => mqtt.connectAsync(url, { protocolVersion: 4, ...credentials })),
  );
  let next = 0;
  const cpuBefore = await cpuMicros(pid);
  const began = performance.now();
  const worker = async (i: number) => {
    const at = i % publishers.length;
    while (next < MESSAGES) {
      next += 1;
      await clients[at]?.publishAsync(publishers[at]?.topic ?? '', PAYLOAD, { qos: 1 });
    }
  };
  await Promise.all(Array.from({ length: Math.max(IN_FLIGHT, publishers.length) }, (_, i) => worker(i)));
  const seconds = (performance.now() - began) / 1000;
  const cpu = (await cpuMicros(pid)) - cpuBefore;
  await Promise.all(clients.map((client) => client.endAsync()));
  return { aSecond: MESSAGES / seconds, cpuMicros: cpu / MESSAGES };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

function say(what: string, ours: readonly Rate[], theirs: readonly Rate[]): void {
  const [a, b] = [ours, theirs].map((rates) => median(rates.map(({ aSecond }) => aSecond))) as [number, number];
  const [c, d] = [ours, theirs].map((rates) => median(rates.map((one) => one.cpuMicros))) as [number, number];
  const cpu = `${Math.round(c)} and ${Math.round(d)} us of CPU each`;
  console.log(`${what}: ${Math.round(a)}/s, Mosquitto ${Math.round(b)}/s: ratio ${(a / b).toFixed(2)}; ${cpu}`);
}

async function residentMb(pid: number): Promise<number> {
  return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** From the manifest to `complete`: every block on the gateway's disk, and the whole hashed. */
async function fileRate(url: string, { id, key }: { id: string; key: string }): Promise<number> {
  const path = join(folder, 'file');
  await writeFile(path, randomBytes(FILE_BYTES));
  const made = await makeManifest(path, { name: 'file', type: 'application/octet-stream', block: 65_536 });
  const file = fileIdOf(made.line);
  const client = await mqtt.connectAsync(url, { protocolVersion: 4, username: id, password: key });
  const root = `fuselink/v1/${id}`;
  let state: FileState = { state: 'unknown' };
  let came = () => {};
  client.on('message', (_topic, payload) => {
    state = JSON.parse(payload.toString()) as FileState;
    came();
  });
  await client.subscribeAsync(`${root}/down/file/${file}/state`, { qos: 1 });
  const ask = async (what: string, payload: string) => {
    const next = new Promise<void>((resolve) => {
      came = resolve;
    });
    await client.publishAsync(`${root}/up/file/${file}/${what}`, payload, { qos: 1 });
    await next;
  };
  const began = performance.now();
  await ask('manifest', made.line);
  while (state.state === 'receiving') {
    const sent: Promise<unknown>[] = [];
    for await (const { hash, bytes } of nextParts(path, made, state, 4_194_304)) {
      sent.push(client.publishAsync(`${root}/up/file/${file}/${hash}`, bytes, { qos: 1 }));
    }
    await Promise.all(sent);
    if (state.state === 'receiving') await ask('ask', '');
  }
  const seconds = (performance.now() - began) / 1000;
  await client.endAsync();
  return FILE_BYTES / 2 ** 20 / seconds;
}

const folder = await mkdtemp(join(tmpdir(), 'fuselink-bench-'));
const kit = await startKit();
let bridge: BridgeChild | null = null;
let mosquitto: ChildProcess | null = null;
try {
  const account = await kit.account();
  const devices: { id: string; key: string }[] = [];
  for (let i = 0; i < CONNECTIONS; i++) devices.push(await account.device(`d${i}`));
  const ids = devices.map(({ id }) => id);
  const operator = operatorOf(account.accountId, account.row);
  const gateway = await addGateway(kit.server.deps, operator, { name: 'bench', devices: ids });
  await writeFile(join(folder, 'gateway.key'), gateway.key);
  const config = {
    server: kit.url,
    gateway_key_file: 'gateway.key',
    data: 'data',
    listen: ['mqtt://127.0.0.1:0'],
    http: '127.0.0.1:0',
    // The rate that one connection is held to is not what is measured.
    limits: { packets_per_second: 100_000, packets_burst: 100_000 },
  };
  await writeFile(join(folder, 'bridge.json'), JSON.stringify(config));
  bridge = await startBridgeChild(join(folder, 'bridge.json'));
  const first = devices[0] as { id: string; key: string };
  try {
    execFileSync('mosquitto_pub', ['--help'], { stdio: 'ignore' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new Error('expected Mosquitto to be installed');
  }
  const conf = [
    'listener 18991 127.0.0.1',
    'allow_anonymous true',
    'user root',
    'persistence true',
    `persistence_location ${folder}/`,
  ];
  await writeFile(join(folder, 'm.conf'), `${conf.join('\n')}\n`);
  mosquitto = spawn('/usr/sbin/mosquitto', ['-c', join(folder, 'm.conf')], { stdio: 'ignore' });
  await pause(500);
  const rounds = async (what: string, count: number) => {
    const ours: Rate[] = [];
    const theirs: Rate[] = [];
    const some = devices.slice(0, count);
    const own = some.map(({ id, key }) => ({
      topic: `fuselink/v1/${id}/up/readings/t`,
      credentials: { username: id, password: key },
    }));
    const anybody = some.map(({ id }) => ({ topic: `bench/${id}`, credentials: {} }));
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(await rate((bridge as BridgeChild).url, (bridge as BridgeChild).pid, own));
      theirs.push(await rate('mqtt://127.0.0.1:18991', mosquitto?.pid as number, anybody));
    }
    say(what, ours, theirs);
  };
  await rounds(`one device, ${IN_FLIGHT} in flight`, 1);
  await rounds(`${MANY} devices, one in flight each`, MANY);
  console.log(
    `file over MQTT, ${FILE_BYTES / 2 ** 20} MB: ${(await fileRate(bridge.url, first)).toFixed(1)} MB/s to the gateway's disk`,
  );
  await bridge.kill();
  bridge = await startBridgeChild(join(folder, 'bridge.json'));
  console.log(`RSS at start: ${Math.round(await residentMb(bridge.pid))} MB`);
  const clients: mqtt.MqttClient[] = [];
  for (let at = 0; at < devices.length; at += 50) {
    const url = bridge.url;
    const some = devices
      .slice(at, at + 50)
      .map((d) => mqtt.connectAsync(url, { username: d.id, password: d.key, protocolVersion: 4 }));
    clients.push(...(await Promise.all(some)));
  }
  await pause(1000);
  console.log(`RSS with ${clients.length} idle: ${Math.round(await residentMb(bridge.pid))} MB`);
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      clients.map((client, i) => client.publishAsync(`fuselink/v1/${ids[i]}/up/readings/t`, PAYLOAD, { qos: 1 })),
    );
  }
  console.log(`RSS with ${clients.length} that published 5 x 1 KB: ${Math.round(await residentMb(bridge.pid))} MB`);
  for (const client of clients) client.end(true);
} finally {
  await bridge?.kill();
  if (mosquitto !== null) {
    const gone = once(mosquitto, 'exit');
    mosquitto.kill();
    await gone;
  }
  await kit.stop();
  await rm(folder, { recursive: true, force: true });
}

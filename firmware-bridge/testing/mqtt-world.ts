import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Aedes } from 'aedes';
import { type ApiKey, parseApiKey } from '#sdk/core';
import { openCredentialSlots } from '#sdk/node';
import { type Kit, startKit, type TestAccount } from '../../server/testing/server-kit.ts';
import { operatorOf } from '../../server/usecases/account/create-account.ts';
import type { Caller } from '../../server/usecases/caller.ts';
import { addGateway } from '../../server/usecases/gateway/gateways.ts';
import { type ConnectionPlan, type FlakyProxy, startFlakyProxy } from '../../test/support/flaky-proxy.ts';
import { type RunningBridge, startBridge } from '../program/bridge.ts';
import { readConfig } from '../program/config.ts';
import { MqttDevice } from './mqtt-device.ts';

export type BrokerKind = 'own' | 'joined';

interface Plant {
  broker: Aedes;
  server: Server;
  port: number;
}

export interface Gateway {
  bridge: RunningBridge;
  /** Between the devices and this gateway's broker. */
  lan: FlakyProxy;
  /** Stops and begins again on what is on its disk. */
  restart(): Promise<void>;
}

/**
 * Devices over MQTT → a LAN that cuts → bridges → a WAN that cuts → a real server. Nothing between is a fake; the broker
 * that is joined is one that knows nothing of Fuselink.
 */
export class MqttWorld {
  readonly folder: string;
  readonly kit: Kit;
  readonly account: TestAccount;
  readonly operator: Caller;
  readonly wan: FlakyProxy;
  readonly how: BrokerKind;
  /** What comes over the lines: everything, nothing, or cuts by chance. */
  wanPlan: () => ConnectionPlan = () => ({});
  lanPlan: () => ConnectionPlan = () => ({});
  /** Whether the next message of a device is delivered twice. */
  repeats: () => boolean = () => false;
  /** All that the joined broker was asked to carry. */
  readonly carried: { topic: string; payload: string; retain: boolean }[] = [];
  plant: Plant | null = null;
  readonly gateways: Gateway[] = [];
  readonly #devices: MqttDevice[] = [];
  /** Of each gateway's configuration, beside what is the world's own. */
  readonly more: { files?: Record<string, number>; firmware_keys?: string[]; plcs?: object[] };

  private constructor(
    how: BrokerKind,
    parts: { folder: string; kit: Kit; account: TestAccount; wan: FlakyProxy },
    more: MqttWorld['more'],
  ) {
    this.how = how;
    this.folder = parts.folder;
    this.kit = parts.kit;
    this.account = parts.account;
    this.operator = operatorOf(parts.account.accountId, parts.account.row);
    this.wan = parts.wan;
    this.more = more;
  }

  static async start(how: BrokerKind, more: MqttWorld['more'] = {}): Promise<MqttWorld> {
    const folder = await mkdtemp(join(tmpdir(), 'fuselink-mqtt-'));
    const kit = await startKit();
    const wan = await startFlakyProxy(Number(new URL(kit.url).port), () => world.wanPlan());
    const world: MqttWorld = new MqttWorld(how, { folder, kit, account: await kit.account(), wan }, more);
    if (how === 'joined') world.plant = await world.#startPlant();
    return world;
  }

  /** Enrols devices; their first keys are in their slots. */
  async enrol(...names: string[]): Promise<{ id: string; key: string }[]> {
    const made = await Promise.all(names.map((name) => this.account.device(name)));
    for (const { id, key } of made) openCredentialSlots(join(this.folder, id)).provision(parseApiKey(key) as ApiKey, 1);
    return made;
  }

  async gateway(name: string, devices: readonly string[]): Promise<Gateway> {
    const folder = join(this.folder, name);
    await mkdir(folder, { recursive: true });
    const made = await addGateway(this.kit.server.deps, this.operator, { name, devices });
    await writeFile(join(folder, 'gateway.key'), made.key);
    const broker = {
      url: `mqtt://127.0.0.1:${this.plant?.port}`,
      client_id: name,
      topics: [{ filter: 'x/+', device: '{1}', channel: 'x' }],
    };
    const config = {
      server: this.wan.url,
      gateway_key_file: 'gateway.key',
      data: 'data',
      http: '127.0.0.1:0',
      limits: { work_interval_ms: 100, review_interval_ms: 200 },
      files: { silence_ms: 300, ...this.more.files },
      uplink: { age_ms_max: 50, retry_delay_ms_max: 200, spread_ms_max: 100 },
      ...(this.more.firmware_keys === undefined ? {} : { firmware_keys: this.more.firmware_keys }),
      ...(this.more.plcs === undefined ? {} : { plcs: this.more.plcs }),
      ...(this.plant === null ? { listen: ['mqtt://127.0.0.1:0'] } : { broker }),
    };
    await writeFile(join(folder, 'bridge.json'), JSON.stringify(config));
    const start = () => startBridge(readConfig(join(folder, 'bridge.json')), () => {});
    const portOf = (bridge: RunningBridge) => this.plant?.port ?? Number(new URL(bridge.urls[0] as string).port);
    const lanTo = (bridge: RunningBridge) => startFlakyProxy(portOf(bridge), () => this.lanPlan());
    const bridge = await start();
    const gateway: Gateway = {
      bridge,
      lan: await lanTo(bridge),
      async restart() {
        await gateway.bridge.stop();
        await gateway.lan.close();
        gateway.bridge = await start();
        gateway.lan = await lanTo(gateway.bridge);
      },
    };
    this.gateways.push(gateway);
    return gateway;
  }

  /** The device begins, on what is in its slots, at this gateway. */
  async boot(id: string, at: () => Gateway = () => this.gateways[0] as Gateway): Promise<MqttDevice> {
    const device = await MqttDevice.boot({
      device: id,
      broker: this.how,
      url: () => at().lan.url.replace('http:', 'mqtt:'),
      store: join(this.folder, id),
      answerMs: 500,
      repeats: () => this.repeats(),
    });
    this.#devices.push(device);
    return device;
  }

  async metrics(gateway: Gateway): Promise<string> {
    return (await fetch(`${gateway.bridge.httpUrl}/metrics`)).text();
  }

  async audit(): Promise<{ action: string; actor: string }[]> {
    const listed = await this.kit.call('GET', '/v1/audit?limit=200', { apiKey: this.account.apiKey });
    return listed.json.entries;
  }

  async stop(): Promise<void> {
    for (const device of this.#devices) device.cut();
    for (const { bridge, lan } of this.gateways) {
      await bridge.stop();
      await lan.close();
    }
    this.plant?.broker.close();
    this.plant?.server.close();
    await this.wan.close();
    await this.kit.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #startPlant(): Promise<Plant> {
    const broker = new Aedes();
    await broker.listen();
    const server = createServer((socket: Socket) => {
      socket.on('error', () => {});
      broker.handle(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    broker.on('publish', ({ topic, payload, retain }) => {
      if (!topic.startsWith('$SYS')) this.carried.push({ topic, payload: payload.toString('latin1'), retain });
    });
    return { broker, server, port: (server.address() as { port: number }).port };
  }
}

/** The same chances for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

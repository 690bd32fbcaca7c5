import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseApiKey } from '#sdk/core';
import { createTransport, parseServerUrl } from '#sdk/node';
import { type JoinedBroker, joinBroker } from '../broker/joined-broker.ts';
import { type Listener, listen, parseListenAddress } from '../broker/listeners.ts';
import type { MessageSink } from '../broker/message.ts';
import { createOwnBroker } from '../broker/own-broker.ts';
import type { Publish } from '../control/control.ts';
import { HeldKeys } from '../plc/held-keys.ts';
import { createRelay, type Relay } from '../relay/relay.ts';
import { openKeyCache } from '../sign-in/key-cache.ts';
import { SignIn } from '../sign-in/sign-in.ts';
import { openLinkJournal } from '../uplink/links.ts';
import { Uplink } from '../uplink/uplink.ts';
import { Witness } from '../uplink/witness.ts';
import { type BridgeConfig, ConfigError } from './config.ts';
import { openControlRoom } from './control-room.ts';
import { listenForHealth } from './health.ts';
import { BridgeMetrics } from './metrics.ts';

export interface RunningBridge {
  /** Where devices connect, as bound. */
  urls: string[];
  /** Address of /healthz and /metrics. */
  httpUrl: string | null;
  uplink: Uplink;
  stop(): Promise<void>;
}

/** The gateway's key from its file. Throws ConfigError, which never repeats what is in it. */
export async function readGatewayKey(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError([`gateway_key_file: ${path} cannot be read (${error.code})`]);
  });
  if (parseApiKey(text.trim()) !== null) return text.trim();
  throw new ConfigError([
    `gateway_key_file: expected an API key in ${path}, got ${text.trim().length} other characters`,
  ]);
}

export async function relayOf(
  config: BridgeConfig,
): Promise<{ relay: Relay; base: URL; transport: ReturnType<typeof createTransport>; gatewayKey: () => string }> {
  const key = await readGatewayKey(config.gatewayKeyFile);
  const base = parseServerUrl(config.server);
  const ca = config.caFile === null ? {} : { ca: await readFile(config.caFile, 'utf8') };
  const transport = createTransport(ca);
  const gatewayKey = () => key;
  return { relay: createRelay({ base, transport, gatewayKey }), base, transport, gatewayKey };
}

/** Starts everything a configuration asks for; what began is ended again where something cannot. */
export async function startBridge(
  config: BridgeConfig,
  log: (detail: string) => void,
  passed: (bytes: number) => void = () => {},
): Promise<RunningBridge> {
  const ends: (() => Promise<void> | void)[] = [];
  const stop = async () => {
    for (const end of ends.reverse().splice(0)) await end();
  };
  try {
    return await begin(config, { log, passed }, ends, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function begin(
  config: BridgeConfig,
  { log, passed }: { log(detail: string): void; passed(bytes: number): void },
  ends: (() => Promise<void> | void)[],
  stop: () => Promise<void>,
): Promise<RunningBridge> {
  const metrics = new BridgeMetrics();
  const { relay, base, transport, gatewayKey } = await relayOf(config);
  ends.push(() => transport.close());
  await mkdir(config.data, { recursive: true, mode: 0o700 });
  const links = await openLinkJournal(config.linksFile);
  ends.push(() => links.close());
  const witness = new Witness({ relay, note: log });
  const plcs = await HeldKeys.open({
    plcs: config.plcs,
    folder: join(config.data, 'plcs'),
    base,
    transport,
    warn: log,
  }).catch((error: unknown) => {
    throw new ConfigError([error instanceof Error ? error.message : String(error)]);
  });
  ends.push(() => plcs.close());
  const uplink = await Uplink.open({
    asDevice: (device) => plcs.transportOf(device),
    folder: join(config.data, 'spool'),
    base,
    transport,
    gatewayKey,
    settings: config.uplink,
    ttlSeconds: config.ttlSeconds,
    recipient: config.recipient,
    devicesMax: config.limits.connectionsMax,
    events: {
      async sent(device, file, link) {
        const { channel, filename, readings } = file;
        await links.add(device, { channel, filename, readings }, link);
        await witness.stored(device, file.last, link.id);
        metrics.add('batches_sent');
        metrics.add('readings_sent', '', file.readings);
      },
      dropped(device, reason, readings) {
        metrics.add('readings_dropped', reason, readings);
        log(`${device}: ${readings} readings were not kept (${reason})`);
      },
      returned: (_device, reason, readings) => metrics.add('readings_returned', reason, readings),
      warn: log,
      retrying: (_device, code) => metrics.add('retries', code),
    },
  });
  ends.push(() => uplink.close());
  const sink: MessageSink = {
    connected: (device, session) => uplink.connected(device, session),
    async accept(message) {
      passed(message.payload.length);
      const accepted = await uplink.accept(message);
      if (accepted.kept) metrics.add(accepted.repeat ? 'repeats' : 'readings');
      if (accepted.kept && accepted.sequence !== undefined) {
        witness.kept(message.device, message.keySha256 ?? null, accepted.sequence);
      }
      return accepted;
    },
  };
  const cache = await openKeyCache(join(config.data, 'keys.json'), log);
  const signIn = new SignIn({
    ...{ relay, cache, warn: log },
    held: (device, password) => plcs.signsIn(device, password),
    revoked: (device, hash) => broker.disconnect(device, hash),
  });
  const count = (name: string, label?: string) => metrics.add(name, label);
  const publish: Publish = (...what) => {
    broker.publish(...what);
    joined?.publish(...what);
  };
  const room = await openControlRoom({
    ...{ config, base, transport, relay, uplink, links, plcs, publish, count, log },
    signIn: () => signIn,
  });
  ends.push(() => room.close());
  let joined: JoinedBroker | null = null;
  const broker = await createOwnBroker({
    ...{ limits: config.limits, signIn, sink, control: room, count, note: log },
    listens: (device) => room.listens(device),
  });
  // What is under way is acknowledged or not before the disk is closed.
  ends.push(() => broker.close());
  const review = setInterval(() => void signIn.review(), config.limits.reviewIntervalMs);
  ends.push(() => clearInterval(review));

  const listeners: Listener[] = [];
  for (const text of config.listen) {
    const address = parseListenAddress(text);
    const { cert = null, key = null } = config.tls ?? {};
    const listener = await listen({
      address,
      limits: config.limits,
      certFile: cert,
      keyFile: key,
      handle: (socket) => broker.handle(socket),
    });
    listeners.push(listener);
    ends.push(() => listener.close());
  }

  if (config.broker !== null) {
    const { url, username, passwordFile, clientId, version, topics } = config.broker;
    const password = passwordFile === null ? null : (await readFile(passwordFile, 'utf8')).trim();
    const ca = config.caFile === null ? undefined : await readFile(config.caFile, 'utf8');
    const session = { url, username, password, clientId, version, topics, ca };
    const client = joinBroker({ ...session, sink, control: room, back: () => room.back(), count, note: log });
    joined = client;
    ends.push(() => client.close());
  }
  room.start();

  const gauges = () => {
    const { devices, backlogReadings, spoolBytes } = uplink.stats();
    return {
      connections: { help: 'MQTT connections', value: broker.connections },
      devices: { help: 'Devices with a spool', value: devices },
      backlog_readings: { help: 'Readings not yet on the server', value: backlogReadings },
      spool_bytes: { help: 'Bytes of the spools', value: spoolBytes },
      server_away: { help: '1 while the server cannot be asked about keys', value: signIn.away ? 1 : 0 },
      resident_bytes: { help: 'Resident memory', value: process.memoryUsage.rss() },
    };
  };
  let httpUrl: string | null = null;
  if (config.http !== null) {
    const health = await listenForHealth(config.http, {
      metrics: () => metrics.text(gauges()),
      health: () => ({
        status: 'ok',
        server: signIn.away ? 'away' : 'reachable',
        ...uplink.stats(),
        files: room.files,
      }),
    });
    httpUrl = health.url;
    ends.push(() => health.close());
  }
  return { urls: listeners.map(({ url }) => url), httpUrl, uplink, stop };
}

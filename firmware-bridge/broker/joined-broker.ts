import { randomInt } from 'node:crypto';
import mqtt from 'mqtt';
import type { ControlSink, Publish } from '../control/control.ts';
import type { MessageSink } from './message.ts';
import { mapTopic, type TopicMapping } from './topic-mapping.ts';
import { CONTROL_FILTERS, controlTopic, TOPIC_ROOT } from './topics.ts';

export interface JoinedBrokerOptions {
  url: string;
  username: string | null;
  password: string | null;
  /** Names the session that the broker keeps while this gateway is away: one gateway, one id. */
  clientId: string;
  /** 4 is MQTT 3.1.1. */
  version: 4 | 5;
  topics: readonly TopicMapping[];
  ca?: string | undefined;
  sink: MessageSink;
  /** Takes what is no reading; absent: nothing but readings is asked for. */
  control?: ControlSink;
  /** The broker is there (again): what was to be published meanwhile was not. */
  back?(): void;
  count(name: string, label?: string): void;
  note(detail: string): void;
}

export interface JoinedBroker {
  readonly connected: boolean;
  publish: Publish;
  close(): Promise<void>;
}

/** As long as an outage of the gateway may last with the broker keeping its messages (MQTT 5; 3.1.1 leaves it to the broker). */
const SESSION_SECONDS = 604_800;
/** Messages the broker may send ahead of our acknowledgements (MQTT 5). */
const RECEIVE_MAX = 100;

/**
 * Joins an existing broker as a client with a session of its own. A message is acknowledged when it is on this
 * gateway's disk, and one that was not kept is not: the connection is ended, and the broker sends it again.
 */
export function joinBroker(options: JoinedBrokerOptions): JoinedBroker {
  const { sink, topics, clientId, count, note } = options;
  const session = `joined:${clientId}`;
  const devices = new Set<string>();
  const client = mqtt.connect(options.url, {
    clientId,
    clean: false,
    protocolVersion: options.version,
    // Not the same second for every gateway that lost the same broker.
    reconnectPeriod: 1000 + randomInt(4000),
    reconnectOnConnackError: true,
    resubscribe: false,
    queueQoSZero: false,
    manualConnect: true,
    ...(options.username === null ? {} : { username: options.username }),
    ...(options.password === null ? {} : { password: options.password }),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.version === 5
      ? { properties: { sessionExpiryInterval: SESSION_SECONDS, receiveMaximum: RECEIVE_MAX } }
      : {}),
  } as mqtt.IClientOptions);

  const publish: Publish = (device, topic, payload, { retain } = { retain: false }) => {
    // Not kept for later: the client keeps without a bound, and whoever waits for an answer asks again.
    if (!client.connected || client.disconnecting) return;
    client.publish(`${TOPIC_ROOT}${device}/${topic}`, payload, { qos: 1, retain }, (error) => {
      if (error) note(`${device}: ${topic} could not be published: ${error.message}`);
    });
  };

  client.handleMessage = (packet, done) => {
    const control = options.control === undefined || packet.retain ? null : controlTopic(packet.topic);
    if (control !== null) {
      const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
      // Nobody signed in here: what it is worth is for its MAC to say.
      options.control?.control({ ...control, payload, keySha256: null, reply: publish }).then(
        () => done(),
        (error: unknown) => {
          note(`a message of ${control.device} was not taken (${String(error)}); the broker will send it again`);
          client.stream.destroy();
        },
      );
      return;
    }
    const mapped = mapTopic(topics, packet.topic);
    if (mapped === null) {
      count('unmapped');
      done();
      return;
    }
    const { qos, messageId, dup } = packet;
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    // A retained message comes at every subscription: it is the broker's memory and no new reading.
    if (packet.retain) {
      count('retained_ignored');
      done();
      return;
    }
    devices.add(mapped.device);
    const delivery = qos > 0 && messageId !== undefined ? { session, packetId: messageId, dup } : null;
    sink.accept({ ...mapped, payload, delivery }).then(
      (accepted) => {
        if (accepted.kept || qos === 0) {
          done();
          return;
        }
        note(`a message of ${mapped.device} was not kept (${accepted.reason}); the broker will send it again`);
        client.stream.destroy();
      },
      (error: unknown) => {
        note(`a message failed: ${error instanceof Error ? error.message : String(error)}`);
        client.stream.destroy();
      },
    );
  };
  client.on('connect', () => {
    for (const device of devices) sink.connected(device, session);
    client.subscribe(
      [...topics.map(({ filter }) => filter), ...(options.control === undefined ? [] : CONTROL_FILTERS)],
      { qos: 1 },
      (error, granted) => {
        // 128 and above: the broker's own access rules do not let us.
        const refused = granted?.filter(({ qos }) => qos > 2).map(({ topic }) => topic) ?? [];
        if (error || refused.length > 0) {
          note(`subscribing failed: ${error?.message ?? ''} ${refused.join(', ')}`);
        }
        options.back?.();
      },
    );
  });
  client.on('error', (error) => note(`broker: ${error.message}`));
  client.on('offline', () => note('the broker is away'));
  client.connect();
  return {
    get connected() {
      return client.connected;
    },
    publish,
    close: () => client.endAsync(true).catch(() => {}),
  };
}

import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { Aedes, type AedesPublishPacket, type Client } from 'aedes';
import type { ControlSink, Publish } from '../control/control.ts';
import type { BridgeLimits } from '../limits.ts';
import type { SignIn } from '../sign-in/sign-in.ts';
import { GuardedConnection } from '../wire/guarded-connection.ts';
import type { MessageSink } from './message.ts';
import { boundedPersistence } from './persistence.ts';
import { isDeviceId, maySubscribe, publishTopic, TOPIC_ROOT } from './topics.ts';

export interface OwnBrokerOptions {
  limits: BridgeLimits;
  signIn: Pick<SignIn, 'check'>;
  sink: MessageSink;
  /** Takes what is no reading; absent: devices may publish readings and their status alone. */
  control?: ControlSink;
  /** A session of the device listens to topics of its own from now on. */
  listens?(device: string): void;
  /** Counts by name and label; names are in metrics.ts. */
  count(name: string, label?: string): void;
  /** For the log: what was refused and why, with no key and no payload. */
  note(detail: string): void;
}

interface Session {
  device: string;
  keySha256: string;
}

export interface OwnBroker {
  /** Takes over a connection of any transport. */
  handle(socket: Duplex): void;
  /** Ends every connection that signed in with this key. */
  disconnect(device: string, keySha256: string): void;
  /** To the sessions of this device that listen; retained for those that come later. */
  publish: Publish;
  readonly connections: number;
  close(): Promise<void>;
}

/** An error that makes the broker library answer CONNACK with this code. */
function refusal(returnCode: number, message: string): Error & { returnCode: number } {
  return Object.assign(new Error(message), { returnCode });
}

/** MQTT 3.1 and 3.1.1 over whatever transport, for devices of this gateway alone. */
export async function createOwnBroker(options: OwnBrokerOptions): Promise<OwnBroker> {
  const { limits, signIn, sink, count } = options;
  const sessions = new WeakMap<Client, Session>();
  const open = new Set<GuardedConnection>();
  const perDevice = new Map<string, Set<Client>>();
  /** Clients whose will is not theirs to have; told so when they sign in. */
  const willRefused = new WeakSet<Client>();
  let connecting = 0;

  const broker = new Aedes({
    // The guard has a timer of its own, which begins with the connection and not with the library.
    connectTimeout: limits.connectTimeoutMs * 2,
    // Writing never waits (see GuardedConnection), so nothing is to be drained.
    drainTimeout: 0,
    // What comes before CONNACK has been noted as sent; the guard lets no more than one read's worth through.
    queueLimit: 10_000,
    maxClientsIdLength: 65_535,
    maxTopicLevels: limits.topicLevelsMax,
    concurrency: 1000,
    preConnect(client, packet, done) {
      const device = packet.username ?? '';
      // Client ids of different devices never meet: else one device could throw another out by taking its id.
      if (packet.clientId !== '') packet.clientId = `${device}:${packet.clientId}`;
      const topic = packet.will?.topic;
      if (topic !== undefined && publishTopic(device, topic)?.kind !== 'status') {
        willRefused.add(client);
      }
      done(null, true);
    },
    authenticate(client, username, password, done) {
      const device = username ?? '';
      const refuse = (returnCode: number, reason: string) => {
        count('refused_sign_ins', String(returnCode));
        options.note(`sign-in of ${isDeviceId(device) ? device : 'a client'} refused: ${reason}`);
        done(refusal(returnCode, reason), null);
      };
      if (!isDeviceId(device)) return refuse(4, 'the user name is not a device id');
      if (willRefused.has(client)) return refuse(5, 'a will is for the status topic of the device');
      signIn.check(device, password).then(
        (verdict) => {
          if (!verdict.ok) return refuse(verdict.returnCode, verdict.reason);
          const others = perDevice.get(device) ?? new Set<Client>();
          // Its own earlier connection under the same client id is taken over and does not count.
          const besides = [...others].filter((one) => one.id !== client.id).length;
          if (besides >= limits.connectionsPerDeviceMax) return refuse(3, 'it has as many connections as it may');
          sessions.set(client, { device, keySha256: verdict.keySha256 });
          others.add(client);
          perDevice.set(device, others);
          sink.connected(device, client.id);
          count('sign_ins');
          done(null, true);
        },
        (error: unknown) => {
          options.note(`sign-in failed: ${error instanceof Error ? error.message : String(error)}`);
          refuse(3, 'the sign-in could not be checked');
        },
      );
    },
    authorizePublish(client, packet, done) {
      const session = client === null ? undefined : sessions.get(client);
      if (client === null || session === undefined) return done(new Error('not signed in'));
      const topic = publishTopic(session.device, packet.topic);
      if (topic === null) {
        count('refused_topics');
        return done(new Error('the topic is not one this device may publish to'));
      }
      if (topic.kind === 'status') {
        if (packet.payload.length <= limits.statusBytesMax) return done(null);
        return done(new Error(`a status has at most ${limits.statusBytesMax} bytes`));
      }
      // What goes up would be kept in memory for ever, and be nothing new any more.
      packet.retain = false;
      const { messageId, qos, dup } = packet as AedesPublishPacket & { messageId?: number };
      const delivery = qos > 0 && messageId !== undefined ? { session: client.id, packetId: messageId, dup } : null;
      const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
      if (topic.kind === 'control') {
        if (options.control === undefined) return done(new Error('this gateway takes readings alone'));
        const { device, keySha256 } = session;
        options.control.control({ device, keySha256, topic: topic.topic, payload, reply: publish }).then(
          () => done(null),
          (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
        );
        return;
      }
      const { device, keySha256 } = session;
      sink.accept({ device, channel: topic.channel, payload, delivery, keySha256 }).then(
        (accepted) => {
          if (accepted.kept || qos === 0) return done(null);
          // Not acknowledged: the device still has it and sends it again.
          done(new Error(`the reading was not kept: ${accepted.reason}`));
        },
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
      );
    },
    authorizeSubscribe(client, subscription, done) {
      const session = sessions.get(client);
      const held = Object.keys((client as Client & { subscriptions: object }).subscriptions).length;
      const allowed =
        session !== undefined && maySubscribe(session.device, subscription.topic) && held < limits.filtersMax;
      if (!allowed) count('refused_subscriptions');
      // Null becomes 0x80 in SUBACK for this filter alone [MQTT-3.9.3].
      done(null, allowed ? subscription : null);
    },
    authorizeForward(client, packet) {
      const session = sessions.get(client);
      // Readings go up, not around: nobody on the gateway is sent them.
      return session !== undefined && packet.topic.startsWith(`fuselink/v1/${session.device}/`) ? packet : null;
    },
  });
  const publish: Publish = (device, topic, payload, { retain } = { retain: false }) => {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    const packet = { cmd: 'publish', topic: `${TOPIC_ROOT}${device}/${topic}`, payload: bytes } as const;
    broker.publish({ ...packet, qos: 1, retain, dup: false }, (error) => {
      if (error) options.note(`${device}: ${topic} could not be published: ${error.message}`);
    });
  };
  await broker.listen();
  boundedPersistence(broker, limits.offlineMessagesMax);

  const gone = (client: Client) => {
    const session = sessions.get(client);
    if (session === undefined) return;
    const others = perDevice.get(session.device);
    others?.delete(client);
    if (others?.size === 0) perDevice.delete(session.device);
  };
  broker.on('subscribe', (_subscriptions, client) => {
    const session = sessions.get(client);
    if (session !== undefined) options.listens?.(session.device);
  });
  broker.on('clientDisconnect', gone);
  broker.on('clientError', (client, error) => {
    gone(client);
    options.note(`connection of ${sessions.get(client)?.device ?? 'a client'} ended: ${error.message}`);
  });
  broker.on('connectionError', (_client, error) => options.note(`connection ended: ${error.message}`));
  (broker as EventEmitter).on('error', (error: unknown) => options.note(`broker: ${String(error)}`));

  return {
    get connections() {
      return open.size;
    },
    handle(socket) {
      if (open.size >= limits.connectionsMax || connecting >= limits.connectingMax) {
        count('refused_connections', open.size >= limits.connectionsMax ? 'full' : 'connecting');
        socket.on('error', () => {});
        socket.destroy();
        return;
      }
      const connection = new GuardedConnection(socket, {
        limits,
        refused(reason) {
          count('refused_packets');
          options.note(`connection refused: ${reason}`);
        },
      });
      open.add(connection);
      connecting += 1;
      const client = broker.handle(connection);
      let waiting = true;
      const settled = () => {
        if (waiting) connecting -= 1;
        waiting = false;
      };
      client.on('connected', settled);
      connection.on('error', () => {});
      connection.once('close', () => {
        settled();
        open.delete(connection);
        gone(client);
      });
    },
    publish,
    disconnect(device, keySha256) {
      for (const client of perDevice.get(device) ?? []) {
        if (sessions.get(client)?.keySha256 !== keySha256) continue;
        count('disconnected_revoked');
        client.close();
      }
    },
    close: () =>
      new Promise((resolve) => {
        broker.close(() => {
          for (const connection of open) connection.destroy();
          resolve();
        });
      }),
  };
}

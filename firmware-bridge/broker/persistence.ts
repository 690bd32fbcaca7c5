import { Readable } from 'node:stream';
import type { Aedes } from 'aedes';

interface Stored {
  cmd: string;
  /** Given when it was sent; absent: it is still to be sent for the first time. */
  messageId?: number;
  dup: boolean;
}

interface Queueing {
  outgoingEnqueueCombi(subscriptions: { clientId: string }[], packet: object): Promise<void>;
  outgoingStream(client: { id: string }): Readable;
}

/**
 * Bounds what the broker library keeps for sessions that are away: its store is memory without a limit, and one device
 * could fill it with messages to a second session of its own. Over `messagesMax` the newest are not queued. And what was sent to a
 * session before and is sent again says so [MQTT-3.3.1-1], which the library does not.
 */
export function boundedPersistence(broker: Aedes, messagesMax: number): void {
  const store = (broker as Aedes & { persistence: Queueing }).persistence;
  const enqueue = store.outgoingEnqueueCombi.bind(store);
  const stream = store.outgoingStream.bind(store);
  store.outgoingStream = (client) => Readable.from(again(stream(client)));
  store.outgoingEnqueueCombi = async (subscriptions, packet) => {
    const room: typeof subscriptions = [];
    for (const subscription of subscriptions) {
      if ((await queued(stream({ id: subscription.clientId }), messagesMax)) < messagesMax) room.push(subscription);
    }
    if (room.length > 0) await enqueue(room, packet);
  };
}

async function* again(stored: AsyncIterable<Stored>): AsyncGenerator<Stored> {
  for await (const packet of stored) {
    if (packet.cmd === 'publish' && packet.messageId) packet.dup = true;
    yield packet;
  }
}

async function queued(stored: AsyncIterable<unknown>, most: number): Promise<number> {
  let count = 0;
  for await (const _ of stored) {
    count += 1;
    if (count >= most) break;
  }
  return count;
}

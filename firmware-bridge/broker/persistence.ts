import type { Aedes } from 'aedes';

interface Queueing {
  outgoingEnqueueCombi(subscriptions: { clientId: string }[], packet: object): Promise<void>;
  outgoingStream(client: { id: string }): AsyncIterable<unknown>;
}

/**
 * Bounds what the broker library keeps for sessions that are away: its store is memory without a limit, and one device
 * could fill it with messages to a second session of its own. Over `messagesMax` the newest are not queued.
 */
export function boundedPersistence(broker: Aedes, messagesMax: number): void {
  const store = (broker as Aedes & { persistence: Queueing }).persistence;
  const enqueue = store.outgoingEnqueueCombi.bind(store);
  store.outgoingEnqueueCombi = async (subscriptions, packet) => {
    const room: typeof subscriptions = [];
    for (const subscription of subscriptions) {
      if ((await queued(store, subscription.clientId, messagesMax)) < messagesMax) room.push(subscription);
    }
    if (room.length > 0) await enqueue(room, packet);
  };
}

async function queued(store: Queueing, clientId: string, most: number): Promise<number> {
  let count = 0;
  for await (const _ of store.outgoingStream({ id: clientId })) {
    count += 1;
    if (count >= most) break;
  }
  return count;
}

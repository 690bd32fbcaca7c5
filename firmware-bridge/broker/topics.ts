/** `fuselink/v1/<device>/`: under it stands everything that belongs to a device. */
export const TOPIC_ROOT = 'fuselink/v1/';
const DEVICE_ID = /^[A-Za-z0-9_-]{1,64}$/;
const CHANNEL = /^[^\u0000-\u001f\u007f]{1,128}$/u;

/** A text that can be a device's id: nothing that means something in a topic or a path. */
export function isDeviceId(text: string): boolean {
  return DEVICE_ID.test(text);
}

export type DeviceTopic = { kind: 'readings'; channel: string } | { kind: 'status' };

/** What a device may publish to, and what it means; null for everything else. */
export function publishTopic(device: string, topic: string): DeviceTopic | null {
  const prefix = `${TOPIC_ROOT}${device}/`;
  if (!topic.startsWith(prefix)) return null;
  const rest = topic.slice(prefix.length);
  if (rest === 'status') return { kind: 'status' };
  if (rest.startsWith('up/readings/')) {
    const channel = rest.slice('up/readings/'.length);
    return isChannel(channel) ? { kind: 'readings', channel } : null;
  }
  return null;
}

/** A channel has levels of its own (`line1/temperature`) and no control characters: it becomes part of a file name. */
export function isChannel(channel: string): boolean {
  return (
    CHANNEL.test(channel) && Buffer.byteLength(channel) <= 128 && !channel.startsWith('/') && !channel.endsWith('/')
  );
}

/** Whether a device may subscribe to a filter: only inside its own topics, whatever wildcards come after. */
export function maySubscribe(device: string, filter: string): boolean {
  return filter.startsWith(`${TOPIC_ROOT}${device}/`) && filter.length > TOPIC_ROOT.length + device.length + 1;
}

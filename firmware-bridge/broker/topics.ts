/** `fuselink/v1/<device>/`: under it stands everything that belongs to a device. */
export const TOPIC_ROOT = 'fuselink/v1/';
const DEVICE_ID = /^[A-Za-z0-9_-]{1,64}$/;
const CHANNEL = /^[^\u0000-\u001f\u007f]{1,128}$/u;

/** A text that can be a device's id: nothing that means something in a topic or a path. */
export function isDeviceId(text: string): boolean {
  return DEVICE_ID.test(text);
}

export type DeviceTopic =
  | { kind: 'readings'; channel: string }
  | { kind: 'status' }
  /** Behind the device's prefix: `up/rotation`, `up/file/…`. */
  | { kind: 'control'; topic: string };

const FILE_TOPIC = /^up\/file\/[0-9a-f]{32}\/(manifest|ask|state|[0-9a-f]{64})$/;

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
  return rest === 'up/rotation' || FILE_TOPIC.test(rest) ? { kind: 'control', topic: rest } : null;
}

/** Device and topic of a control message on a broker that others use as well; null for everything else. */
export function controlTopic(topic: string): { device: string; topic: string } | null {
  const device = topic.startsWith(TOPIC_ROOT) ? (topic.slice(TOPIC_ROOT.length).split('/')[0] ?? '') : '';
  const found = isDeviceId(device) ? publishTopic(device, topic) : null;
  return found?.kind === 'control' ? { device, topic: found.topic } : null;
}

/** What a gateway subscribes to on such a broker, beside the plant's own topics. */
export const CONTROL_FILTERS: readonly string[] = [`${TOPIC_ROOT}+/up/rotation`, `${TOPIC_ROOT}+/up/file/#`];

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

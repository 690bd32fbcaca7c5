import { isChannel, isDeviceId } from './topics.ts';

/** How a plant's own topics become devices and channels. */
export interface TopicMapping {
  /** MQTT filter. What its wildcards stood for is {1}, {2}, … in their order; `#` is {#}, with its slashes. */
  filter: string;
  device: string;
  channel: string;
}

/** Device and channel of a topic by the first mapping that fits, or null. */
export function mapTopic(mappings: readonly TopicMapping[], topic: string): { device: string; channel: string } | null {
  for (const mapping of mappings) {
    const caught = match(mapping.filter, topic);
    if (caught === null) continue;
    const fill = (text: string) => text.replace(/\{([1-9#])\}/g, (_, name: string) => caught.get(name) ?? '');
    const device = fill(mapping.device);
    const channel = fill(mapping.channel);
    return isDeviceId(device) && isChannel(channel) ? { device, channel } : null;
  }
  return null;
}

/** What the wildcards of a filter stood for, or null where it does not match [MQTT-4.7]. */
function match(filter: string, topic: string): Map<string, string> | null {
  const wanted = filter.split('/');
  const levels = topic.split('/');
  const caught = new Map<string, string>();
  // [MQTT-4.7.2-1]: wildcards at the beginning do not match the broker's own topics.
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return null;
  for (const [i, level] of wanted.entries()) {
    if (level === '#') {
      caught.set('#', levels.slice(i).join('/'));
      return levels.length >= i ? caught : null;
    }
    const found = levels[i];
    if (found === undefined || (level !== '+' && level !== found)) return null;
    if (level === '+') caught.set(String(caught.size + 1), found);
  }
  return levels.length === wanted.length ? caught : null;
}

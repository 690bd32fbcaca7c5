/** Every number the bridge decides by. Configuration may change those people have reason to; tests shrink them. */
export interface BridgeLimits {
  /** Connections at once; FACTS: 1,000 idle ones are about 116 MB in the broker library alone. */
  connectionsMax: number;
  /** Connections that have not been let in yet: what a flood of half-open ones may hold. */
  connectingMax: number;
  /** Of one device: its own client, one that is about to take over, and a person looking. */
  connectionsPerDeviceMax: number;
  /** From TCP accept to a whole CONNECT. */
  connectTimeoutMs: number;
  /** CONNECT: ids, a will and an API key fit many times over. */
  connectBytesMax: number;
  /** Any other packet: a reading has a place in the spool up to 262,144 bytes, header included. */
  packetBytesMax: number;
  /** Bytes waiting for a subscriber that does not read, before it is cut off. */
  queueBytesMax: number;
  /** Packets a connection may send, as a bucket: refilled at this rate, this many at once. Over it, it is read later. */
  packetsPerSecond: number;
  packetsBurst: number;
  /** Filters in one SUBSCRIBE, and in one session. */
  filtersMax: number;
  topicLevelsMax: number;
  topicBytesMax: number;
  clientIdBytesMax: number;
  /** A `status` message: it may be retained, in memory. */
  statusBytesMax: number;
  /** Messages kept for a session that is away; it is only `status` and `down` that can be meant for it. */
  offlineMessagesMax: number;
  /** How often the server is asked what it waits for at the devices here. */
  workIntervalMs: number;
  /** How often what is remembered of keys is checked: so long may a revoked key still be used on the LAN. */
  reviewIntervalMs: number;
}

export const BRIDGE_LIMITS: BridgeLimits = {
  connectionsMax: 2000,
  connectingMax: 500,
  connectionsPerDeviceMax: 3,
  connectTimeoutMs: 10_000,
  connectBytesMax: 16_384,
  packetBytesMax: 261_632,
  queueBytesMax: 1_048_576,
  packetsPerSecond: 2000,
  packetsBurst: 4000,
  filtersMax: 32,
  topicLevelsMax: 16,
  topicBytesMax: 512,
  clientIdBytesMax: 128,
  statusBytesMax: 4096,
  offlineMessagesMax: 100,
  workIntervalMs: 15_000,
  reviewIntervalMs: 30_000,
};

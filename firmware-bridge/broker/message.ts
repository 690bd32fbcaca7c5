/** One reading as it came from a device, whichever broker it came through. */
export interface DeviceMessage {
  device: string;
  channel: string;
  payload: Uint8Array;
  /** What tells a repeat from a new message; null for QoS 0, which is never repeated. */
  delivery: Delivery | null;
  /** SHA-256 of the key its session was signed in with here; absent where nobody signed in. */
  keySha256?: string;
}

export interface Delivery {
  /** The MQTT session it came in: packet ids mean something only within one. */
  session: string;
  packetId: number;
  /** The sender says that it may have been delivered before [MQTT-3.3.1-1]. */
  dup: boolean;
}

/** `kept`: it is on the gateway's disk and may be acknowledged. `repeat`: it was there already.
 * `sequence`: what the spool calls it. */
export type Acceptance = { kept: true; repeat: boolean; sequence?: number } | { kept: false; reason: string };

/** Where messages go. Waits as long as there is no room: that is how publishers come to feel it. */
export interface MessageSink {
  accept(message: DeviceMessage): Promise<Acceptance>;
  /** A session of a device begins a new connection: what it repeats is of the one before. */
  connected(device: string, session: string): void;
}

/** What a device publishes that is no reading: a call of its own to the server, or a part of a file. */
export interface ControlMessage {
  device: string;
  /** Behind `fuselink/v1/<device>/`. */
  topic: string;
  payload: Buffer;
  /** SHA-256 of the key its session was signed in with on our own broker; null where another broker carried it. */
  keySha256: string | null;
  /** Publishes to this device, through the broker the message came by. */
  reply: Publish;
}

/** Publishes behind `fuselink/v1/<device>/`, with QoS 1. */
export type Publish = (device: string, topic: string, payload: string | Buffer, options?: { retain: boolean }) => void;

export interface ControlSink {
  /** Resolves when the message may be acknowledged; rejects where it was not taken and is to come again. */
  control(message: ControlMessage): Promise<void>;
}

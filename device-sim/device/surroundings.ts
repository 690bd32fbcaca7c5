import type { RelayAnswer, RelayRequest } from '#server';

/** How to call off what was asked for. */
export interface CallOff {
  run: (() => void) | null;
}

/** What a device has around it: time, chance, and a network. Virtual in the swarm, real in `live`. */
export interface Surroundings {
  /** Monotonic ms. */
  nowMs(): number;
  after(delayMs: number, run: () => void): CallOff;
  /** In [0, 1). */
  random(): number;
  bytes(count: number): Uint8Array;
  /** Calls `answered` exactly once, null where no answer came. */
  send(device: number, request: RelayRequest, answered: (answer: RelayAnswer | null) => void): void;
}

/** What looks on from outside the device: the oracle, the trace, the report. Everything is optional to nobody. */
export interface Watcher {
  /** A request leaves the device. */
  sent(device: number, request: RelayRequest): void;
  /** An answer (or the lack of one) reached the device and was believed. */
  heard(device: number, request: RelayRequest, answer: RelayAnswer | null): void;
  /** The slots may read differently now. */
  slotsChanged(device: number): void;
  /** The agent was given an event in a phase. */
  stepped(device: number, phase: string, event: string, after: string): void;
  recorded(device: number, reading: number, kept: boolean, durable: boolean): void;
  /** Readings were taken out of the spool to be sent: what is leased is durable. */
  leased(device: number, body: Uint8Array): void;
  dropped(device: number, reason: string, readings: number): void;
  /** The device looked at its wall clock. */
  lookedAtClock(device: number): void;
  /** What the device writes to its log. */
  logged(device: number, text: string): void;
}

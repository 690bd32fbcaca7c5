/*
 * What a device says to the server through a gateway, and is answered (firmware-bridge/SPEC.md): a line of JSON, and behind
 * a line feed the fingerprint of a key and a MAC, which a broker that others use as well makes necessary.
 *
 *   {"id":"…","call":"status","boot":5,"sequence":12,"boot_tag":"8f3a01bc","phase":"PROVING","holds":["…"],"body":{…}}
 *   0011223344556677 <64 hex characters>
 *
 * MAC key = HMAC-SHA-256(D, label); MAC = HMAC-SHA-256(MAC key, device id ‖ line feed ‖ the line of JSON).
 */
export const GATEWAY_UP_LABEL = 'fuselink mqtt up v1';
export const GATEWAY_DOWN_LABEL = 'fuselink mqtt down v1';

/** The device secret of a key that a device made itself travels wrapped under HMAC-SHA-256(D of the present key, label). */
export const SECRET_WRAP_LABEL = 'fuselink secret wrap v1';

/** Bytes of a message's line of JSON: every call fits several times over. */
export const GATEWAY_MESSAGE_BYTES_MAX = 4096;

/** A device's calls that may come through a gateway. */
export type GatewayCall = 'device' | 'status' | 'rotation' | 'firmware';

/** The line of JSON a device sends. `boot` and `sequence` are the counter: they never fall under one key. */
export interface GatewayMessage {
  /** Names the message; its answer says it again as `re`. */
  id: string;
  call: GatewayCall;
  boot: number;
  sequence: number;
  boot_tag: string;
  /** As the server last told it in an answer of its own; 0: it has told none. */
  epoch: number;
  phase: string;
  /** Fingerprints of the keys in its slots: it is told which of them is revoked. */
  holds: string[];
  body: Record<string, unknown>;
}

/** The line of JSON it is answered with. */
export interface GatewayAnswer {
  re: string;
  status: number;
  /** As `Fuselink-Rotation` says it. */
  told: string;
  /** Of the keys the device holds, those that are revoked. Only ever in an answer under another key. */
  revoked: string[];
  /** How often the server was restored from a backup; absent: never. What is under another one was heard before. */
  epoch?: number;
  body: Record<string, unknown>;
}

/** What a gateway tells in a retained message: a hint to ask, and nothing to act upon by itself. */
export interface RetainedWish {
  gen: number;
  base: string;
  wanted: boolean;
}

import { type Fields, NO_BASE, rawSlots } from '#sdk/core';
import { askIn, feed, hear, keyFor, nextAsked, phaseName, recordOf, start } from './agent.ts';
import { slotsInFlash } from './flash.ts';
import { fromHex, sha256 } from './native.ts';
import type { NativeE, Server } from './platform.ts';
import { type Done, enqueue, hearOfJob, mayGo, type Source, uploadIn } from './queue.ts';
import { call } from './signed.ts';

declare const $x: { connect: unknown };
declare const E: NativeE;
declare const setTimeout: (run: () => void, ms: number) => number;
declare const clearTimeout: (timer: number) => void;

export interface ConnectOptions extends Server {
  /** The device's first key, 64 hex characters: taken where flash holds none, and never again. */
  key?: string;
  /** Address of two flash pages that the firmware leaves alone; the last two free ones unless given. */
  flash?: number;
}

export interface Client {
  /**
   * Sends text (a character a byte), bytes, or a source that is read in pieces. False: the queue is full and nothing was
   * taken. `said`: what is said of the file, by header (`{ 'x-filename': 'a.csv', 'x-ttl': '3600' }`).
   */
  send(data: string | Uint8Array | Source, said: Fields, done?: Done): boolean;
  /** EMPTY, SETTLED, STAGED, PROVING, PROVEN or LIMBO. */
  rotation(): string;
}

$x.connect = function (options: ConnectOptions): Client {
  let busy = false;
  let dueTimer: number | undefined;
  let draws = 0;

  /** Another for every device: on an ESP32 `Math.random` begins with the same seed after every boot. */
  const random = function (): number {
    return (sha256(E.toUint8Array(options.device + draws++ + Math.random()))[0] as number) / 256;
  };
  /** One request at a time, the agent's first. */
  const pump = function (): void {
    if (busy) return;
    const next = nextAsked();
    if (!next && !mayGo()) return;
    const key = keyFor(next);
    if (!key) {
      // Without a key that could vouch for it, what the agent asks for has failed.
      if (next) feed({ kind: 'failed' });
      return;
    }
    busy = true;
    call(
      options,
      key,
      phaseName(),
      (fields) => (next ? askIn(options, next) : uploadIn(options, fields, pump)),
      (status, code, told, json) => {
        busy = false;
        const whole = next ? next.kind === 'report' : hearOfJob(random(), pump, status, code, told);
        // Every refusal tells the wish again: a device that asked at once would ask without end.
        if (told && next && status > 299) told['fuselink-rotation'] = '';
        hear(key, whole, status, code, told, json);
        pump();
      },
    );
  };

  const slots = rawSlots(slotsInFlash(options.flash));
  const pair = slots.pair();
  if (!pair[0] && !pair[1] && options.key) {
    const record = recordOf(fromHex(options.key), 1, NO_BASE);
    slots.put(0, record);
    slots.put(1, record);
  }
  start(slots, (delayMsMax) => {
    // The interpreter throws for a timer that never was.
    if (dueTimer) clearTimeout(dueTimer);
    dueTimer = setTimeout(() => {
      feed({ kind: 'due' });
      pump();
    }, delayMsMax * random());
  });
  pump();

  return {
    send: function (data, said, done) {
      const isSource = (data as { read?: unknown }).read;
      const text = typeof data === 'string' ? data : isSource ? '' : E.toString(data as Uint8Array);
      const own: Source = { size: text.length, read: (offset, length) => text.substring(offset, offset + length) };
      const taken = enqueue(isSource ? (data as Source) : own, said, done);
      pump();
      return taken;
    },
    rotation: phaseName,
  };
};

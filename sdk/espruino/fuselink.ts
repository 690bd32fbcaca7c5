import type { Fields, SlotRecord } from '#sdk/core';
import {
  type Asked,
  asked,
  askIn,
  boot,
  feed,
  feedDue,
  hear,
  isBooted,
  keyFor,
  phaseName,
  takeAsked,
  wakeIsSet,
  wantsWakeWithin,
} from './agent.ts';
import { exchange } from './exchange.ts';
import { sha256 } from './native.ts';
import type { NativeE, Server } from './platform.ts';
import { hearOfNonce, position, takeNonce } from './position.ts';
import { type Done, enqueue, hearOfJob, hearOfTime, nextPiece, type Source, uploadIn } from './queue.ts';
import { server, serverIs } from './server.ts';
import { type Answer, vouch } from './signed.ts';

declare const $x: { connect: unknown };
declare const E: NativeE;
declare const setTimeout: (run: (what?: number) => void, ms: number, what?: number) => number;
declare const clearTimeout: (timer: number) => void;

export interface Client {
  /**
   * Sends text (a character a byte), bytes, or a source that is read in pieces. False: the queue is full and nothing was
   * taken. `said`: what is said of the file, by header (`{ 'x-filename': 'a.csv', 'x-ttl': '3600' }`).
   */
  send(data: string | Uint8Array | Source, said: Fields, done?: Done): boolean;
  /** EMPTY, SETTLED, STAGED, PROVING, PROVEN or LIMBO. */
  rotation(): string;
}

/** What the agent's timer says. */
const DUE = 1;
/** A device with nothing to send looks this often, and twice as often on average, whether there is a wish for it. */
const LOOK_MS_MAX = 86400000;

/** The key of the request that is out. */
let out: SlotRecord | null = null;
/** What came of it, until that is heard. */
let answer: Answer | null = null;
/** The agent is to hear that its time has come. */
let due = false;
let dueTimer: number | undefined;
let draws = 0;

/** In [0, 1). Another for every device: on an ESP32 `Math.random` begins with the same seed after every boot. */
function random(): number {
  return (sha256(server.device + draws++ + Math.random())[0] as number) / 256;
}

/** All that timers call: they may outlive what has set them by weeks, so they hold nothing of it. */
function tick(what?: number): void {
  if (what === DUE) {
    due = true;
    // In case what is done now comes to no end, for want of memory say, and sets no other.
    dueTimer = setTimeout(tick, LOOK_MS_MAX, DUE);
  }
  hearOfTime(what);
  const by = out;
  const heard = answer;
  if (by && !heard) return;
  // First: whatever goes wrong now, the next tick begins afresh.
  out = answer = null;
  out = work(by, heard);
  // By now all that has made the request is gone from RAM.
  if (out) exchange(out, over);
}

/**
 * Does what an answer says, and then what is next: the key that it is to be signed with, or null. All that the module can do but
 * keys and lines is in here, and the build puts it there in fact: what stands in this function lies in RAM only while it runs.
 */
function work(by: SlotRecord | null, heard: Answer | null): SlotRecord | null {
  if (!isBooted()) boot();
  if (by && heard && !hearOfNonce(heard)) {
    const asker = takeAsked();
    const whole = asker ? asker.kind === 'report' : hearOfJob(random(), tick, heard);
    // Every refusal tells the wish again: a device that asked at once would ask without end.
    hear(by, whole, heard, !asker || heard.status < 300);
  }
  if (due) feedDue(LOOK_MS_MAX);
  const next = asked();
  const piece = next ? '' : nextPiece(tick);
  let signer: SlotRecord | null = null;
  if (piece !== null) {
    signer = keyFor(next);
    if (signer) prepare(next, piece);
    // Without a key that could vouch for it, what the agent asks for has failed.
    else if (takeAsked()) feed({ kind: 'failed' });
  }
  const delayMsMax = wantsWakeWithin();
  if (delayMsMax) {
    due = false;
    // The interpreter throws for a timer that never was.
    if (dueTimer) clearTimeout(dueTimer);
    dueTimer = setTimeout(tick, delayMsMax * random(), DUE);
    wakeIsSet();
  }
  return signer;
}

/** Says in `server` what is asked: of the agent's or the first upload; without a nonce, what brings one and nothing else. */
function prepare(next: Asked | null, piece: string): void {
  const fields: Fields = {};
  const nonce = takeNonce();
  server.headers = fields;
  server.method = 'GET';
  server.path = '/v1/device';
  server.nonce = nonce;
  server.content = '';
  if (nonce) {
    server.content = next ? askIn(next) : piece;
    if (!next) uploadIn(fields, tick);
  }
  fields['fuselink-device'] = position() + ';phase=' + phaseName();
}

/** What came of the request. What it says is heard when all that this one has left in RAM is gone. */
function over(status: string, headers: Fields, content: string): void {
  // What it is if nothing is made of it, for want of memory say: none that anybody vouches for.
  answer = {} as Answer;
  setTimeout(tick, 1);
  answer = vouch(out as SlotRecord, status, headers, content);
}

$x.connect = function (options: Server): Client {
  serverIs(options);
  tick();
  return {
    send: function (data, said, done) {
      const taken = enqueue(
        typeof data === 'string' || (data as Source).read ? (data as string | Source) : E.toString(data as Uint8Array),
        said,
        done,
      );
      tick();
      return taken;
    },
    rotation: phaseName,
  };
};

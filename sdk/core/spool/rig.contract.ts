import type { Reading } from '../batch/index.ts';
import type {
  LaneOptions,
  RecordOutcome,
  SpoolEffect,
  SpoolEvent,
  SpoolOptions,
  SpoolState,
  SpoolStorage,
} from './index.ts';
import { laneOfSpool, readLane, recoverSpool, stepSpool } from './index.ts';

export const laneOptions = (lane: number, change: Partial<LaneOptions> = {}): LaneOptions => ({
  lane,
  whenFull: 'drop-oldest',
  sync: 'every',
  syncIntervalMs: 1000,
  bytesMax: 65536,
  ...change,
});

export const spoolOptions = (change: Partial<SpoolOptions> = {}): SpoolOptions => ({
  lanes: [laneOptions(0, { whenFull: 'never-drop' }), laneOptions(1)],
  bytesPerDayMax: 1e9,
  segmentBytesMax: 1024,
  spoolId: '00112233aabbccdd',
  ...change,
});

/** Drives a spool over a storage whose answers come at once: virtual time, no waiting. */
export class SpoolRig {
  readonly state: SpoolState;
  readonly storage: SpoolStorage;
  readonly effects: SpoolEffect[] = [];
  readonly outcomes = new Map<number, RecordOutcome>();
  readonly flushed = new Set<number>();
  nowMs: number;
  tickets = 0;

  constructor(storage: SpoolStorage, options: SpoolOptions, nowMs = 0) {
    this.storage = storage;
    this.nowMs = nowMs;
    this.state = recoverSpool(storage, options, nowMs);
  }

  step(event: SpoolEvent): void {
    const queue = [event];
    for (let next = queue.shift(); next; next = queue.shift()) {
      for (const effect of stepSpool(this.state, next)) {
        this.effects.push(effect);
        if (effect.type === 'recorded') this.outcomes.set(effect.ticket, effect.outcome);
        if (effect.type === 'flushed' && effect.durable) this.flushed.add(effect.ticket);
        if (effect.type === 'perform') {
          this.storage.perform(effect.operations, (fault) => {
            queue.push({ type: 'performed', nowMs: this.nowMs, fault });
          });
        }
      }
    }
  }

  record(text: string | Uint8Array, lane = 1): RecordOutcome | undefined {
    const ticket = ++this.tickets;
    const bytes = typeof text === 'string' ? new Uint8Array(Buffer.from(text)) : text;
    const base = { nowMs: this.nowMs, monotonicMs: this.nowMs, wallMs: 0, trust: 'none' as const };
    this.step({ type: 'record', ticket, lane, bytes, ...base });
    return this.outcomes.get(ticket);
  }

  flush(): boolean {
    const ticket = ++this.tickets;
    this.step({ type: 'flush', nowMs: this.nowMs, ticket });
    return this.flushed.has(ticket);
  }

  tick(nowMs: number): void {
    this.nowMs = nowMs;
    this.step({ type: 'tick', nowMs });
  }

  read(
    lane = 1,
    limits: { count?: number; bytes?: number; through?: number } = {},
  ): { readings: Reading[]; through: number } {
    const found = readLane(this.state, this.storage, laneOfSpool(this.state, lane)!, {
      count: 1e9,
      bytes: 1e9,
      boots: 1e9,
      through: 1e15,
      ...limits,
    });
    return found;
  }

  texts(lane = 1): string[] {
    return this.read(lane).readings.map((reading) => Buffer.from(reading.bytes).toString());
  }

  /** Takes the next readings as one batch and acknowledges it; what it held. */
  send(lane = 1, count = 1e9): string[] {
    const { readings, through } = this.read(lane, { count });
    if (through === 0) return [];
    const texts = readings.map((reading) => Buffer.from(reading.bytes).toString());
    this.step({
      type: 'lease',
      nowMs: this.nowMs,
      lane,
      last: through,
      readings: readings.length,
      random: 'ab'.repeat(16),
    });
    this.flush();
    this.step({ type: 'acknowledge', nowMs: this.nowMs, lane, reason: null });
    return texts;
  }

  dropped(lane = 1): { [reason: string]: number } {
    return laneOfSpool(this.state, lane)!.dropped;
  }
}

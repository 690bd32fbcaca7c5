import type { UploadLimits } from './limits.ts';
import { UPLOAD_LIMITS } from './limits.ts';
import { idleUploader, stepUploader } from './step.ts';
import type { AnswerEvent, JobSpec, LinkAnswer, SentReport, UploadEffect, UploadEvent, UploadState } from './types.ts';

type Request = Extract<UploadEffect, { type: 'request' }>;

/** What the network does to one request; `null` of the script means: nothing. */
export type Fate =
  | 'ok'
  | 'lose-request'
  | 'lose-answer'
  | 'late-twice'
  | 'half'
  | 'busy'
  | 'limited'
  | 'restart-server';

interface Held {
  id: string;
  /** Version of the source each byte range was read from; more than one = a torn file. */
  versions: Set<number>;
  sizeBytes: number | null;
  offset: number;
  done: boolean;
  removed: boolean;
  location: string;
}

export interface Source {
  version: number;
  sizeBytes: number;
  /** The version the driver opened; a change is noticed by comparing. */
  opened: number;
  versionsRead: Set<number>;
}

export function jobSpec(over: Partial<JobSpec>): JobSpec {
  return {
    id: 'job',
    lane: 1,
    sizeBytes: 1000,
    idempotencyKey: 'device.boot.1.00112233445566778899aabbccddeeff',
    replayable: true,
    durable: false,
    resume: null,
    whenRefused: 'wait',
    giveUpAfterMs: null,
    ...over,
  };
}

/** A Fuselink server, a network with a script of faults, and a driver without I/O: all in virtual time. */
export class World {
  nowMs = 0;
  readonly held = new Map<string, Held>();
  readonly outcomes: UploadEffect[] = [];
  readonly log: UploadEffect[] = [];
  readonly sources = new Map<string, Source>();
  state: UploadState;
  private readonly late: Request[] = [];
  private readonly queue: Request[] = [];
  private wakeAtMs: number | null = null;
  private nextId = 1;
  private seed = 1;
  fates: Fate[];

  constructor(fates: Fate[], limits: Partial<UploadLimits> = {}) {
    this.fates = fates;
    this.state = idleUploader({ ...UPLOAD_LIMITS, removalsMax: 1000, ...limits });
  }

  private random(): number {
    this.seed = (this.seed * 48271) % 2147483647;
    return this.seed / 2147483647;
  }

  dispatch(event: UploadEvent): void {
    const { state, effects } = stepUploader(this.state, event);
    this.state = state;
    this.wakeAtMs = null;
    for (const effect of effects) {
      this.log.push(effect);
      if (effect.type === 'request') this.queue.push(effect);
      if (effect.type === 'wake') this.wakeAtMs = effect.atMs;
      if (effect.type === 'done' || effect.type === 'failed') this.outcomes.push(effect);
      if (effect.type === 'reopen') {
        const source = this.sources.get(effect.job);
        if (source) {
          source.opened = source.version;
          source.versionsRead = new Set();
        }
      }
    }
  }

  submit(spec: JobSpec, sizeBytes = spec.sizeBytes ?? 0): void {
    this.sources.set(spec.id, { version: 1, sizeBytes, opened: 1, versionsRead: new Set() });
    this.dispatch({ type: 'submit', spec, nowMs: this.nowMs });
  }

  private link(held: Held): LinkAnswer {
    const sha256 = [...held.versions].join('+');
    return { id: held.id, url: `u/${held.id}`, state: 'ready', expiresAt: null, sizeBytes: held.sizeBytes, sha256 };
  }

  /** The server's part: what it does with a request, and what it answers. */
  private serve(request: Request, source: Source, bytes: number): Partial<AnswerEvent> {
    const byKey = this.held.get(request.idempotencyKey);
    const byLocation = [...this.held.values()].find((h) => h.location === request.location && !h.removed);
    switch (request.kind) {
      case 'one-shot': {
        if (byKey?.removed) return { status: 410, code: 'idempotency_gone' };
        if (byKey && !byKey.versions.has(source.opened)) return { status: 422, code: 'idempotency_mismatch' };
        const held = byKey ?? this.store(request.idempotencyKey, source.sizeBytes);
        held.versions.add(source.opened);
        held.done = true;
        return { status: 201, link: this.link(held) };
      }
      case 'create': {
        if (byKey?.removed) return { status: 410, code: 'idempotency_gone' };
        const held = byKey ?? this.store(request.idempotencyKey, request.sizeBytes);
        return { status: 201, location: held.location };
      }
      case 'probe':
        if (!byLocation) return { status: 404 };
        return { status: 200, offsetBytes: byLocation.offset, link: byLocation.done ? this.link(byLocation) : null };
      case 'patch': {
        if (!byLocation) return { status: 404, code: 'upload_unknown' };
        if (byLocation.offset !== request.offsetBytes) return { status: 409, code: 'tus_offset_mismatch' };
        byLocation.sizeBytes = byLocation.sizeBytes ?? source.sizeBytes;
        byLocation.offset = Math.min(byLocation.sizeBytes, byLocation.offset + bytes);
        byLocation.versions.add(source.version);
        byLocation.done = byLocation.offset === byLocation.sizeBytes;
        const link = byLocation.done ? this.link(byLocation) : null;
        return { status: 204, offsetBytes: byLocation.offset, link };
      }
      case 'remove': {
        const held = [...this.held.values()].find(
          (h) => h.id === request.transferId || (request.location !== null && h.location === request.location),
        );
        if (!held || held.removed) return { status: 404 };
        held.removed = true;
        return { status: 204 };
      }
    }
  }

  private store(key: string, sizeBytes: number | null): Held {
    const id = `t${this.nextId++}`;
    const held = {
      id,
      versions: new Set<number>(),
      sizeBytes,
      offset: 0,
      done: false,
      removed: false,
      location: `/${id}`,
    };
    this.held.set(key, held);
    return held;
  }

  private answer(request: Request, over: Partial<AnswerEvent>, sent: SentReport | null): void {
    const base: AnswerEvent = {
      type: 'answer',
      request: request.request,
      nowMs: this.nowMs,
      random: this.random(),
      status: 200,
      code: null,
      detail: '',
      fingerprint: null,
      retryAfterMs: null,
      location: null,
      offsetBytes: null,
      link: null,
      remaining: null,
      resetMs: null,
      sent,
    };
    this.dispatch({ ...base, ...over });
  }

  private lose(request: Request): void {
    const sizeBytes = request.kind === 'patch' ? (this.sources.get(request.job)?.sizeBytes ?? null) : null;
    const { nowMs } = this;
    const lost = { type: 'lost', request: request.request, nowMs, random: this.random(), permanent: false } as const;
    this.dispatch({ ...lost, code: 'ECONNRESET', detail: 'the connection broke', sizeBytes });
  }

  private perform(request: Request): void {
    const source = this.sources.get(request.job) as Source;
    const fate = this.fates.shift() ?? 'ok';
    const changed = source.version !== source.opened;
    const rest = source.sizeBytes - request.offsetBytes;
    const bytes = Math.min(request.bytesMax ?? rest, fate === 'half' ? Math.ceil(rest / 2) : rest);
    if (request.kind === 'patch' && changed) {
      this.dispatch({ type: 'source-changed', job: request.job, sizeBytes: source.sizeBytes, nowMs: this.nowMs });
      return;
    }
    if (fate === 'busy') {
      this.answer(request, { status: 503, code: 'shutting_down' }, null);
      return;
    }
    if (fate === 'limited') {
      this.answer(request, { status: 429, code: 'upload_limit_exceeded', retryAfterMs: 7000 }, null);
      return;
    }
    if (fate === 'lose-request') {
      this.lose(request);
      return;
    }
    if (fate === 'restart-server') {
      for (const held of this.held.values()) if (!held.done) held.offset = Math.floor(held.offset / 2);
      this.lose(request);
      return;
    }
    if (fate === 'late-twice') {
      this.late.push(request);
      this.lose(request);
      return;
    }
    if (request.kind === 'patch') source.versionsRead.add(source.version);
    const over = this.serve(request, source, bytes);
    const sent = { sizeBytes: source.sizeBytes, sha256: String(source.opened), changed };
    if (fate === 'lose-answer' || (fate === 'half' && request.kind === 'patch')) this.lose(request);
    else this.answer(request, over, request.kind === 'create' || request.kind === 'remove' ? null : sent);
  }

  /** Run until nothing is left to do. Throws when it takes more steps than any sound run could. */
  run(between: (world: World, step: number) => void = () => {}): void {
    for (let step = 0; step < 5000; step++) {
      between(this, step);
      const request = this.queue.shift();
      if (request) {
        this.nowMs += 10;
        this.perform(request);
        // What the network kept back reaches the server after the next request did; its answer comes for nobody.
        const stale = this.queue.length % 2 === 0 ? this.late.shift() : undefined;
        if (stale) {
          const source = this.sources.get(stale.job) as Source;
          if (source.version === source.opened) this.answer(stale, this.serve(stale, source, source.sizeBytes), null);
        }
      } else if (this.wakeAtMs !== null) {
        this.nowMs = Math.max(this.nowMs, this.wakeAtMs);
        this.dispatch({ type: 'tick', nowMs: this.nowMs });
      } else return;
    }
    throw new Error(`still busy after 5000 steps: ${JSON.stringify(this.state.jobs)}`);
  }

  finished(): Held[] {
    return [...this.held.values()].filter((h) => h.done && !h.removed);
  }
}

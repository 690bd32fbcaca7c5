import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UPLOAD_LIMITS } from './limits.ts';
import { idleUploader, stepUploader } from './step.ts';
import type { AnswerEvent, UploadEffect, UploadEvent, UploadState } from './types.ts';
import { type Fate, jobSpec, World } from './world.contract.ts';

const fate = fc.constantFrom<Fate>(
  'ok',
  'lose-request',
  'lose-answer',
  'late-twice',
  'half',
  'busy',
  'limited',
  'restart-server',
);

describe('uploader: any interleaving of losses', () => {
  test('one file of any size → exactly one transfer, with the right bytes', () => {
    fc.assert(
      fc.property(
        fc.array(fate, { maxLength: 30 }),
        fc.constantFrom(0, 1, 65_536, 65_537, 9_000_000),
        (fates, size) => {
          const world = new World(fates);
          world.submit(jobSpec({ sizeBytes: size }));
          world.run();
          expect(world.outcomes.map((o) => o.type)).toEqual(['done']);
          expect(world.finished()).toHaveLength(1);
          expect([...(world.finished()[0]?.versions ?? [])]).toEqual([1]);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a file that changes at any moment → one transfer of one version, or an explicit failure', () => {
    const run = fc.property(
      fc.array(fate, { maxLength: 25 }),
      fc.constantFrom(1000, 70_000, 9_000_000),
      fc.array(fc.nat(20), { maxLength: 8 }),
      fc.constantFrom(500, 80_000),
      (fates, size, moments, next) => {
        const world = new World(fates);
        world.submit(jobSpec({ sizeBytes: size }));
        world.run((w, step) => {
          const source = w.sources.get('job');
          if (!source || !moments.includes(step) || w.outcomes.length > 0) return;
          source.version += 1;
          source.sizeBytes = next;
        });
        expect(world.outcomes).toHaveLength(1);
        const [outcome] = world.outcomes;
        const finished = world.finished();
        if (outcome?.type === 'done') {
          expect(finished.map((h) => h.id)).toEqual([outcome.link.id]);
          expect(finished[0]?.versions.size).toBe(1);
        } else if (outcome?.type === 'failed') {
          // The one failure that may leave a stored file behind says so by its name: the key stands for other bytes.
          expect(['source_changed', 'idempotency_mismatch', 'digest_mismatch', 'idempotency_gone']).toContain(
            outcome.failure.code,
          );
        }
      },
    );
    fc.assert(run, { numRuns: 500 });
  });

  test('many files at once → each exactly once, and never more than 50 starts in a window', () => {
    fc.assert(
      fc.property(fc.array(fate, { maxLength: 60 }), fc.integer({ min: 1, max: 80 }), (fates, count) => {
        const world = new World(fates);
        const starts: number[] = [];
        for (let i = 0; i < count; i++) {
          world.submit(jobSpec({ id: `j${i}`, idempotencyKey: `device.boot.${i}.00112233445566778899aabbccddeeff` }));
        }
        let seen = 0;
        world.run((w) => {
          for (; seen < w.log.length; seen++) {
            const effect = w.log[seen] as UploadEffect;
            if (effect.type === 'request' && effect.kind === 'one-shot') starts.push(w.nowMs);
          }
        });
        expect(world.outcomes.filter((o) => o.type === 'done')).toHaveLength(count);
        expect(world.finished()).toHaveLength(count);
        for (const at of starts)
          expect(starts.filter((t) => t > at - 60_000 && t <= at).length).toBeLessThanOrEqual(50);
      }),
      { numRuns: 60 },
    );
  });
});

function answerTo(effects: UploadEffect[], over: Partial<AnswerEvent>, nowMs = 0): AnswerEvent {
  const request = effects.find((e) => e.type === 'request');
  if (request?.type !== 'request') throw new Error('expected a request among the effects');
  return {
    type: 'answer',
    request: request.request,
    nowMs,
    random: 0.5,
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
    sent: null,
    ...over,
  };
}

function start(...events: UploadEvent[]): { state: UploadState; effects: UploadEffect[] } {
  let state = idleUploader(UPLOAD_LIMITS);
  let effects: UploadEffect[] = [];
  for (const event of events) ({ state, effects } = stepUploader(state, event));
  return { state, effects };
}

const submit = (over: Parameters<typeof jobSpec>[0] = {}, nowMs = 0): UploadEvent => ({
  type: 'submit',
  spec: jobSpec(over),
  nowMs,
});
const types = (effects: UploadEffect[]) => effects.map((e) => e.type);
const kinds = (effects: UploadEffect[]) => effects.flatMap((e) => (e.type === 'request' ? [e.kind] : []));

describe('uploader: first request', () => {
  test.each([
    [0, 'one-shot'],
    [65_536, 'one-shot'],
    [65_537, 'create'],
    [5_368_709_120, 'create'],
    [null, 'create'],
  ])('uploader: a file of %s bytes → %s', (sizeBytes, kind) => {
    expect(kinds(start(submit({ sizeBytes })).effects)).toEqual([kind]);
  });

  test('uploader: 5 GiB and one byte → refused before any request, naming both sizes', () => {
    const { effects } = start(submit({ sizeBytes: 5_368_709_121 }));
    expect(effects).toEqual([
      {
        type: 'failed',
        job: 'job',
        failure: {
          code: 'payload_too_large',
          detail: 'a file may have at most 5368709120 bytes, and this one has 5368709121',
          status: null,
          resumable: false,
        },
      },
    ]);
  });

  test('uploader: durable job → remembered before the first request, with its Location before the first byte, forgotten when done', () => {
    const first = start(submit({ sizeBytes: 100_000, durable: true }));
    expect(types(first.effects)).toEqual(['remember', 'request']);
    const created = stepUploader(first.state, answerTo(first.effects, { status: 201, location: '/v1/uploads/s' }));
    expect(types(created.effects)).toEqual(['remember', 'request']);
    expect(created.effects[0]).toMatchObject({ location: '/v1/uploads/s' });
    const link = { id: 't', url: 'u', state: 'ready', expiresAt: null, sizeBytes: 100_000, sha256: 'aa' };
    const sent = { sizeBytes: 100_000, sha256: 'aa', changed: false };
    const done = stepUploader(
      created.state,
      answerTo(created.effects, { status: 204, offsetBytes: 100_000, link, sent }),
    );
    expect(types(done.effects)).toEqual(['done', 'forget']);
    expect(done.state.jobs).toEqual([]);
  });

  test('uploader: resumed job → asks for the offset first; without a Location creates again under the same key, then asks', () => {
    const known = start(submit({ sizeBytes: 100_000, resume: { location: '/v1/uploads/s', restarts: 1 } }));
    expect(kinds(known.effects)).toEqual(['probe']);
    const unknown = start(submit({ sizeBytes: 100_000, resume: { location: null, restarts: 1 } }));
    expect(unknown.effects[0]).toMatchObject({ kind: 'create', idempotencyKey: expect.stringMatching(/\.r1$/) });
    const created = stepUploader(unknown.state, answerTo(unknown.effects, { status: 201, location: '/v1/uploads/s' }));
    expect(kinds(created.effects)).toEqual(['probe']);
  });
});

describe('uploader: a refused credential', () => {
  const revoked = { status: 401, code: 'key_revoked', fingerprint: '0011223344556677' };

  test.each(['key_unknown', 'key_not_yet_valid', 'key_revoked', 'credentials_malformed'])(
    'uploader: %s to a daemon → data kept, told to the rotation agent, tried again slowly',
    (code) => {
      const first = start(submit());
      const next = stepUploader(first.state, answerTo(first.effects, { ...revoked, code }, 1000));
      expect(types(next.effects)).toEqual(['credential-refused', 'retrying', 'wake']);
      expect(next.state.jobs).toHaveLength(1);
      expect(next.state.jobs[0]?.notBeforeMs).toBeGreaterThanOrEqual(31_000);
    },
  );

  test('uploader: refused, then another key → goes out at once', () => {
    const first = start(submit());
    const refused = stepUploader(first.state, answerTo(first.effects, revoked, 1000));
    const next = stepUploader(refused.state, { type: 'credentials', nowMs: 1001 });
    expect(kinds(next.effects)).toEqual(['one-shot']);
  });

  test('uploader: refused → other lanes wait with it, lane 0 does not', () => {
    const first = start(submit());
    const refused = stepUploader(first.state, answerTo(first.effects, revoked, 1000));
    const other = stepUploader(refused.state, submit({ id: 'other' }, 1001));
    expect(kinds(other.effects)).toEqual([]);
    const proof = stepUploader(other.state, submit({ id: 'proof', lane: 0 }, 1002));
    expect(kinds(proof.effects)).toEqual(['one-shot']);
  });

  test('uploader: refused while a person waits → fails at once with the code, still resumable', () => {
    const first = start(submit({ whenRefused: 'fail', durable: true }));
    const next = stepUploader(first.state, answerTo(first.effects, revoked));
    expect(types(next.effects)).toEqual(['credential-refused', 'failed']);
    expect(next.effects[1]).toMatchObject({ failure: { code: 'key_revoked', status: 401, resumable: true } });
  });
});

describe('uploader: trouble', () => {
  const lost = (effects: UploadEffect[], nowMs: number, over = {}): UploadEvent => ({
    ...{ type: 'lost', code: 'ECONNREFUSED', detail: 'refused', random: 0.999, permanent: false, sizeBytes: null },
    ...{ request: (effects.find((e) => e.type === 'request') as { request: number }).request, nowMs },
    ...over,
  });

  test('uploader: server down for long → waits grow to the cap and no further, and never a second request beside', () => {
    let { state, effects } = start(submit(), submit({ id: 'two' }));
    ({ state, effects } = start(submit()));
    let nowMs = 0;
    const waits: number[] = [];
    for (let i = 0; i < 12; i++) {
      ({ state, effects } = stepUploader(state, lost(effects, nowMs)));
      const wake = effects.find((e) => e.type === 'wake') as { atMs: number };
      waits.push(wake.atMs - nowMs);
      nowMs = wake.atMs;
      ({ state, effects } = stepUploader(state, { type: 'tick', nowMs }));
    }
    expect(waits.slice(0, 4)).toEqual([999, 1998, 3996, 7992].map((ms) => expect.closeTo(ms, -1)));
    expect(Math.max(...waits)).toBeLessThanOrEqual(120_000);
  });

  test('uploader: outage with a queue → one request at a time tries the path, and its answer lets the others go', () => {
    let { state, effects } = start(submit());
    for (let i = 0; i < 9; i++) ({ state } = stepUploader(state, submit({ id: `q${i}` })));
    const inFlight = () => state.jobs.filter((j) => j.inFlight !== null);
    expect(inFlight()).toHaveLength(4);
    let nowMs = 0;
    while (state.failures < 4) {
      const request = inFlight()[0]?.inFlight ?? 0;
      ({ state, effects } = stepUploader(state, {
        ...(lost([{ type: 'request', request } as UploadEffect], nowMs) as object),
      } as UploadEvent));
    }
    nowMs += 500_000;
    while (inFlight().length > 0) {
      const request = inFlight()[0]?.inFlight ?? 0;
      ({ state } = stepUploader(state, lost([{ type: 'request', request } as UploadEffect], nowMs, { random: 0.5 })));
    }
    nowMs += 500_000;
    ({ state, effects } = stepUploader(state, { type: 'tick', nowMs }));
    expect(inFlight()).toHaveLength(1);
    ({ state } = stepUploader(state, answerTo(effects, { status: 503, code: 'shutting_down' }, nowMs)));
    expect(inFlight()).toHaveLength(4);
  });

  test('uploader: outage ended → the first attempt waits a random slot', () => {
    const first = start({ type: 'outage-ended', nowMs: 100, random: 0.25 }, submit({}, 101));
    expect(kinds(first.effects)).toEqual([]);
    expect(first.effects).toEqual([{ type: 'wake', atMs: 100 + 15_000 }]);
  });

  test('uploader: Retry-After → nobody goes before it, lane 0 included, and a year is cut to an hour', () => {
    const first = start(submit());
    const limited = { status: 429, code: 'upload_limit_exceeded', retryAfterMs: 5000 };
    const next = stepUploader(first.state, answerTo(first.effects, limited, 1000));
    const proof = stepUploader(next.state, submit({ id: 'proof', lane: 0 }, 2000));
    expect(kinds(proof.effects)).toEqual([]);
    expect(proof.state.holdUntilMs).toBeGreaterThanOrEqual(6000);
    const long = stepUploader(first.state, answerTo(first.effects, { ...limited, retryAfterMs: 3e10 }, 1000));
    expect(long.state.holdUntilMs).toBeLessThanOrEqual(1000 + 3_600_000 + 120_000);
  });

  test('uploader: RateLimit says fewer than 10 are left → lane 1 waits for the window, lane 0 does not', () => {
    const first = start(submit(), submit({ id: 'b' }));
    const state = first.state;
    const link = { id: 't', url: 'u', state: 'ready', expiresAt: null, sizeBytes: 1000, sha256: null };
    const next = stepUploader(state, answerTo(first.effects, { status: 201, link, remaining: 9, resetMs: 20_000 }, 10));
    expect(kinds(stepUploader(next.state, submit({ id: 'c' }, 20)).effects)).toEqual([]);
    expect(kinds(stepUploader(next.state, submit({ id: 'd', lane: 0 }, 20)).effects)).toEqual(['one-shot']);
  });

  test('uploader: no progress for as long as the caller waits → fails as what went wrong, resumable', () => {
    const first = start(submit({ giveUpAfterMs: 10_000 }));
    let { state, effects } = first;
    let nowMs = 0;
    for (let i = 0; i < 20 && !types(effects).includes('failed'); i++) {
      ({ state, effects } = stepUploader(state, lost(effects, nowMs)));
      const wake = effects.find((e) => e.type === 'wake');
      if (wake?.type === 'wake') {
        nowMs = wake.atMs;
        ({ state, effects } = stepUploader(state, { type: 'tick', nowMs }));
      }
    }
    expect(effects).toMatchObject([{ type: 'failed', failure: { code: 'ECONNREFUSED', resumable: true } }]);
    expect(nowMs).toBeLessThanOrEqual(10_000);
  });

  test('uploader: untrusted certificate → a person is told at once, a daemon keeps the data and waits (its clock may be wrong)', () => {
    const person = start(submit({ whenRefused: 'fail' }));
    const told = stepUploader(person.state, lost(person.effects, 0, { permanent: true, code: 'tls_untrusted' }));
    expect(types(told.effects)).toEqual(['failed']);
    const daemon = start(submit());
    const waits = stepUploader(daemon.state, lost(daemon.effects, 0, { permanent: true, code: 'tls_untrusted' }));
    expect(types(waits.effects)).toEqual(['retrying', 'wake']);
  });

  test('uploader: a proxy that refuses large bodies → smaller PATCHes until they pass', () => {
    let { state, effects } = start(submit({ sizeBytes: 100_000_000 }));
    ({ state, effects } = stepUploader(state, answerTo(effects, { status: 201, location: '/l' })));
    const sizes: (number | null)[] = [];
    for (;;) {
      const patch = effects.find((e) => e.type === 'request');
      if (patch?.type !== 'request') throw new Error(`expected a request, got ${types(effects)}`);
      if (patch.kind === 'probe') {
        ({ state, effects } = stepUploader(state, answerTo(effects, { status: 200, offsetBytes: 0 })));
        continue;
      }
      sizes.push(patch.bytesMax);
      if (patch.bytesMax !== null && patch.bytesMax <= 1_000_000) break;
      ({ state, effects } = stepUploader(state, answerTo(effects, { status: 413 })));
    }
    expect(sizes).toEqual([null, 8_388_608, 2_097_152, 524_288]);
  });

  test('uploader: a captive portal answers 200 with a page → never taken for a transfer', () => {
    const person = start(submit({ whenRefused: 'fail' }));
    let { state, effects } = person;
    let nowMs = 0;
    for (let i = 0; i < 5; i++) {
      ({ state, effects } = stepUploader(state, answerTo(effects, { status: 200 }, nowMs)));
      const wake = effects.find((e) => e.type === 'wake');
      if (wake?.type !== 'wake') break;
      nowMs = wake.atMs;
      ({ state, effects } = stepUploader(state, { type: 'tick', nowMs }));
    }
    expect(effects).toMatchObject([{ type: 'failed', failure: { code: 'not_fuselink' } }]);
  });

  test('uploader: the server holds other bytes than were sent → removed, then sent again under a new key', () => {
    const first = start(submit());
    const link = { id: 't1', url: 'u', state: 'ready', expiresAt: null, sizeBytes: 3, sha256: 'xx' };
    const sent = { sizeBytes: 1000, sha256: 'aa', changed: false };
    const removing = stepUploader(first.state, answerTo(first.effects, { status: 201, link, sent }));
    expect(removing.effects).toMatchObject([{ type: 'request', kind: 'remove', transferId: 't1' }]);
    const again = stepUploader(removing.state, answerTo(removing.effects, { status: 204 }));
    expect(again.effects).toMatchObject([
      { type: 'reopen', reason: 'digest_mismatch' },
      { type: 'request', kind: 'one-shot', idempotencyKey: expect.stringMatching(/\.r1$/) },
    ]);
  });

  test('uploader: a stream that cannot be read again and whose upload is gone → an explicit failure', () => {
    let { state, effects } = start(submit({ sizeBytes: null, replayable: false }));
    ({ state, effects } = stepUploader(state, answerTo(effects, { status: 201, location: '/l' })));
    ({ effects } = stepUploader(state, answerTo(effects, { status: 404, code: 'upload_unknown' })));
    expect(effects).toMatchObject([{ type: 'failed', failure: { code: 'upload_gone' } }]);
  });

  test('uploader: source unreadable half way → what is on the server is removed, then the failure', () => {
    let { state, effects } = start(submit({ sizeBytes: 100_000 }));
    ({ state, effects } = stepUploader(state, answerTo(effects, { status: 201, location: '/l' })));
    const failed: UploadEvent = { type: 'source-failed', job: 'job', code: 'EIO', detail: 'bad sector', nowMs: 5 };
    ({ state, effects } = stepUploader(state, failed));
    expect(types(effects)).toEqual(['abort', 'request']);
    ({ effects } = stepUploader(state, answerTo(effects, { status: 204 })));
    expect(effects).toMatchObject([{ type: 'failed', failure: { code: 'EIO', detail: 'bad sector' } }]);
  });

  test('uploader: cancelled → request aborted, job gone, its late answer changes nothing', () => {
    const first = start(submit());
    const cancelled = stepUploader(first.state, { type: 'cancel', job: 'job', nowMs: 1 });
    expect(types(cancelled.effects)).toEqual(['abort', 'failed']);
    const late = stepUploader(cancelled.state, answerTo(first.effects, { status: 500, code: 'internal' }, 2));
    expect(late.effects).toEqual([]);
  });
});

test('uploader: events in any order, also senseless ones → never throws, never writes to the state it was given', () => {
  const event = fc.oneof(
    fc.record({ type: fc.constant('tick' as const), nowMs: fc.nat(1e6) }),
    fc.record({ type: fc.constant('cancel' as const), job: fc.constantFrom('job', 'x'), nowMs: fc.nat(1e6) }),
    fc.record({ type: fc.constant('credentials' as const), nowMs: fc.nat(1e6) }),
    fc.record({
      type: fc.constant('source-changed' as const),
      job: fc.constantFrom('job', 'x'),
      sizeBytes: fc.nat(1e6),
      nowMs: fc.nat(1e6),
    }),
    fc.nat(1e6).map((nowMs) => submit({}, nowMs)),
    fc
      .record({ request: fc.nat(12), status: fc.integer({ min: 100, max: 599 }), nowMs: fc.nat(1e6) })
      .map((over) => ({ ...answerTo([{ type: 'request', request: 1 } as UploadEffect], {}), ...over })),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      let state = idleUploader(UPLOAD_LIMITS);
      for (const one of events) {
        const before = JSON.stringify(state);
        const next = stepUploader(state, one as UploadEvent);
        expect(JSON.stringify(state)).toBe(before);
        state = next.state;
      }
    }),
  );
});

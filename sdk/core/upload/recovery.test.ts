import { describe, expect, test } from 'vitest';
import { UPLOAD_LIMITS } from './limits.ts';
import { idleUploader, stepUploader } from './step.ts';
import type { AnswerEvent, JobSpec, UploadEffect, UploadEvent, UploadState } from './types.ts';
import { jobSpec } from './world.contract.ts';

/** One uploader with one job, driven by hand: each call is one event, and gives the effects it had. */
class Hand {
  state: UploadState = idleUploader(UPLOAD_LIMITS);
  nowMs = 0;
  request = 0;

  step(event: UploadEvent): UploadEffect[] {
    const { state, effects } = stepUploader(this.state, event);
    this.state = state;
    for (const effect of effects) if (effect.type === 'request') this.request = effect.request;
    return effects;
  }

  submit(spec: Partial<JobSpec>): UploadEffect[] {
    return this.step({ type: 'submit', spec: jobSpec(spec), nowMs: this.nowMs });
  }

  answer(over: Partial<AnswerEvent>): UploadEffect[] {
    return this.step({
      ...{ type: 'answer', request: this.request, nowMs: this.nowMs, random: 0.5, status: 200, code: null, detail: '' },
      ...{ fingerprint: null, retryAfterMs: null, location: null, offsetBytes: null, link: null },
      ...{ remaining: null, resetMs: null, sent: null },
      ...over,
    });
  }

  /** The request gets no answer, and the wait that follows passes. */
  lose(): UploadEffect[] {
    const { request, nowMs } = this;
    const lost = { type: 'lost', request, nowMs, random: 0.5, code: 'connection_lost', detail: 'cut' } as const;
    const wake = this.step({ ...lost, permanent: false, sizeBytes: null }).find((effect) => effect.type === 'wake');
    this.nowMs = wake?.type === 'wake' ? wake.atMs : this.nowMs;
    return this.step({ type: 'tick', nowMs: this.nowMs });
  }
}

const request = (effects: UploadEffect[]) => effects.find((effect) => effect.type === 'request');
const link = { id: 't', url: 'u', state: 'ready', expiresAt: null, sizeBytes: 100_000, sha256: 'aa' };
const sent = { sizeBytes: 100_000, sha256: 'aa', changed: false };

describe('uploader: what the server says it holds', () => {
  const cases = [
    ['the same', {}, {}, 'done'],
    ['another size', { sizeBytes: 99_999 }, {}, 'request'],
    ['another digest', { sha256: 'bb' }, {}, 'request'],
    ['the same, but the file changed meanwhile', {}, { changed: true, sha256: null }, 'request'],
    ['nothing but that it was read already', { url: null, sizeBytes: null, sha256: null, state: 'burned' }, {}, 'done'],
  ] as const;

  test.each(cases)('uploader: %s → as it should be', (_, held, read, expected) => {
    const hand = new Hand();
    hand.submit({ sizeBytes: 100_000 });
    hand.answer({ status: 201, location: '/l' });
    const effects = hand.answer({
      status: 204,
      offsetBytes: 100_000,
      link: { ...link, ...held },
      sent: { ...sent, ...read },
    });
    expect(effects.map(({ type }) => type)).toEqual([expected]);
    if (expected === 'request') expect(effects[0]).toMatchObject({ kind: 'remove', transferId: 't' });
  });
});

describe('uploader: after a break', () => {
  test('uploader: PATCH lost → asks for the offset before it sends a byte, then goes on from there', () => {
    const hand = new Hand();
    hand.submit({ sizeBytes: 100_000 });
    hand.answer({ status: 201, location: '/l' });
    expect(request(hand.lose())).toMatchObject({ kind: 'probe' });
    expect(request(hand.answer({ status: 200, offsetBytes: 40_000 }))).toMatchObject({
      kind: 'patch',
      offsetBytes: 40_000,
    });
  });

  test('uploader: create lost → created again under the same key, then asks how far it is: it may be the first one', () => {
    const hand = new Hand();
    const first = request(hand.submit({ sizeBytes: 100_000 })) as { idempotencyKey: string };
    expect(request(hand.lose())).toMatchObject({ kind: 'create', idempotencyKey: first.idempotencyKey });
    expect(request(hand.answer({ status: 201, location: '/l' }))).toMatchObject({ kind: 'probe' });
  });

  test('uploader: PATCHes that break without progress → smaller ones; one that moves → as large as before', () => {
    const hand = new Hand();
    hand.submit({ sizeBytes: 100_000_000 });
    hand.answer({ status: 201, location: '/l' });
    const sizes: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      hand.lose();
      sizes.push((request(hand.answer({ status: 200, offsetBytes: 0 })) as { bytesMax: number | null }).bytesMax);
    }
    expect(sizes).toEqual([8_388_608, 2_097_152, 524_288]);
    hand.lose();
    expect(request(hand.answer({ status: 200, offsetBytes: 300_000 }))).toMatchObject({ bytesMax: 524_288 });
  });

  test('uploader: the file changes again while its upload is being removed → one removal, one fresh start', () => {
    const hand = new Hand();
    hand.submit({ sizeBytes: 100_000 });
    hand.answer({ status: 201, location: '/l' });
    const changed: UploadEvent = { type: 'source-changed', job: 'job', sizeBytes: 70_000, nowMs: 0 };
    expect(hand.step(changed).map(({ type }) => type)).toEqual(['abort', 'request']);
    expect(hand.step({ ...changed, sizeBytes: 80_000 })).toEqual([]);
    expect(hand.answer({ status: 204 }).map(({ type }) => type)).toEqual(['reopen', 'request']);
  });

  test('uploader: removal that is never answered → given up after five tries, the fresh start goes ahead', () => {
    const hand = new Hand();
    hand.submit({ sizeBytes: 100_000 });
    hand.answer({ status: 201, location: '/l' });
    hand.step({ type: 'source-changed', job: 'job', sizeBytes: 70_000, nowMs: 0 });
    const kinds: unknown[] = [];
    for (let i = 0; i < 5; i++) kinds.push((request(hand.lose()) as { kind: string } | undefined)?.kind);
    expect(kinds.filter((kind) => kind === 'remove')).toHaveLength(4);
    expect(hand.state.jobs[0]).toMatchObject({ restarts: 1, next: 'create' });
  });

  test('uploader: offset past the end of the file → not believed: removed, started afresh', () => {
    const hand = new Hand();
    hand.submit({ sizeBytes: 100_000, resume: { location: '/l', restarts: 0 } });
    expect(request(hand.answer({ status: 200, offsetBytes: 100_001 }))).toMatchObject({ kind: 'remove' });
  });
});

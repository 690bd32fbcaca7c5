import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Subject } from '../../domain/ids.ts';
import { ActiveUploads, type Place } from './active-uploads.ts';

const one = 'dev_1' as Subject;
const other = 'dev_2' as Subject;
const limits = { max: 3, newMax: 2 };
const never = new Promise<void>(() => {});

describe('active uploads: places', () => {
  it('limits in all and of the new ones → null beyond them, each subject for itself', () => {
    const active = new ActiveUploads();
    const places = [active.tryPlace(one, 'new', limits), active.tryPlace(one, 'new', limits)];
    expect(active.tryPlace(one, 'new', limits)).toBeNull();
    places.push(active.tryPlace(one, 'resumed', limits));
    expect(active.tryPlace(one, 'resumed', limits)).toBeNull();
    expect(active.tryPlace(other, 'new', limits)).not.toBeNull();
    expect([active.count(one), active.count(other), active.total]).toEqual([3, 1, 4]);
    expect([...active.subjects()]).toContainEqual({ subject: one, underWay: 3, waiting: 0 });
    for (const place of places) place?.release();
    expect(active.count(one)).toBe(0);
  });

  it('a release, also a second one of the same place → one place free', () => {
    const active = new ActiveUploads();
    const first = active.tryPlace(one, 'new', limits);
    active.tryPlace(one, 'new', limits);
    first?.release();
    first?.release();
    expect(active.count(one)).toBe(1);
  });

  it('waiting: a release of the same subject → ended; of another → goes on waiting; patience → over', async () => {
    const active = new ActiveUploads();
    const mine = active.tryPlace(one, 'new', limits);
    const theirs = active.tryPlace(other, 'new', limits);
    let seen = '';
    const waiting = active.placeMayBeFree(one, never).then((how) => {
      seen = how;
    });
    theirs?.release();
    await Promise.resolve();
    expect([seen, active.waiting(one)]).toEqual(['', 1]);
    mine?.release();
    await waiting;
    expect([seen, active.waiting(one)]).toEqual(['ended', 0]);
    expect(await active.placeMayBeFree(one, Promise.resolve())).toBe('over');
    expect(active.remembered).toBe(0);
  });

  it('property: any order of taking and giving back → never beyond the limits, nothing remembered in the end', () => {
    const step = fc.record({ kind: fc.constantFrom('new' as const, 'resumed' as const), release: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const active = new ActiveUploads();
        const held: { kind: string; place: Place }[] = [];
        for (const { kind, release } of steps) {
          const place = active.tryPlace(one, kind, limits);
          const news = held.filter((item) => item.kind === 'new').length;
          expect(place === null).toBe(held.length >= limits.max || (kind === 'new' && news >= limits.newMax));
          if (place !== null) held.push({ kind, place });
          if (release < held.length) held.splice(release, 1)[0]?.place.release();
          expect(active.count(one)).toBe(held.length);
        }
        for (const { place } of held) place.release();
        expect([active.total, active.remembered]).toEqual([0, 0]);
      }),
    );
  });
});

describe('active uploads: holding one upload', () => {
  it('a newer request → the older is told, and the newer goes on only when it has ended', async () => {
    const active = new ActiveUploads();
    const first = await active.hold('upload a');
    const order: string[] = [];
    first.signal.onAbort(() => order.push('told'));
    const second = active.hold('upload a').then((hold) => {
      order.push('taken');
      return hold;
    });
    await Promise.resolve();
    expect([order, first.signal.aborted]).toEqual([['told'], true]);
    order.push('ended');
    first.release();
    const hold = await second;
    expect(order).toEqual(['told', 'ended', 'taken']);
    expect(hold.signal.aborted).toBe(false);
    first.release();
    hold.release();
    expect(active.remembered).toBe(0);
  });

  it('twenty at once → one after the other, each but the last told to stop', async () => {
    const active = new ActiveUploads();
    let inside = 0;
    let told = 0;
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const hold = await active.hold('upload a');
        expect(++inside).toBe(1);
        await new Promise<void>((resolve) => {
          hold.signal.onAbort(() => {
            told++;
            resolve();
          });
          setImmediate(resolve);
        });
        inside--;
        hold.release();
      }),
    );
    expect(told).toBeGreaterThan(0);
    expect(active.remembered).toBe(0);
  });

  it('other names → not touched; a listener that comes late → called at once', async () => {
    const active = new ActiveUploads();
    const a = await active.hold('upload a');
    const b = await active.hold('upload b');
    void active.hold('upload a').then((hold) => hold.release());
    let late = false;
    a.signal.onAbort(() => {
      late = true;
    });
    expect([late, b.signal.aborted]).toEqual([true, false]);
    a.release();
    b.release();
  });
});

import { describe, expect, it } from 'vitest';
import { ActiveUploads } from './active-uploads.ts';
import { untilAborted } from './until-aborted.ts';

const reason = () => new Error('told to stop');

/** A source under the test's hand: `give` and `end` answer the pending `next`. */
function source() {
  let answer: (result: IteratorResult<string>) => void = () => {};
  const state = { returned: 0, asked: 0 };
  const iterator: AsyncIterator<string> = {
    next: () => {
      state.asked++;
      return new Promise((resolve) => {
        answer = resolve;
      });
    },
    return: async () => {
      state.returned++;
      return { done: true, value: undefined };
    },
  };
  return {
    state,
    iterable: { [Symbol.asyncIterator]: () => iterator },
    give: (value: string) => answer({ done: false, value }),
    end: () => answer({ done: true, value: undefined }),
  };
}

async function signalled() {
  const active = new ActiveUploads();
  const hold = await active.hold('x');
  return { signal: hold.signal, abort: () => void active.hold('x') };
}

describe('untilAborted', () => {
  it('no abort → every piece, then the end', async () => {
    const { signal } = await signalled();
    const from = source();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const piece of untilAborted(from.iterable, signal, reason)) seen.push(piece);
    })();
    for (const piece of ['a', 'b']) {
      await Promise.resolve();
      from.give(piece);
      await new Promise(setImmediate);
    }
    from.end();
    await reading;
    expect([seen, from.state.returned]).toEqual([['a', 'b'], 0]);
  });

  it('an abort while a piece is awaited that never comes → rejects at once, and the source is told', async () => {
    const { signal, abort } = await signalled();
    const from = source();
    const next = untilAborted(from.iterable, signal, reason)[Symbol.asyncIterator]().next();
    abort();
    await expect(next).rejects.toThrow('told to stop');
    expect(from.state.returned).toBe(1);
  });

  it('an abort between two pieces → the next one rejects without asking the source', async () => {
    const { signal, abort } = await signalled();
    const from = source();
    const iterator = untilAborted(from.iterable, signal, reason)[Symbol.asyncIterator]();
    const first = iterator.next();
    from.give('a');
    expect(await first).toEqual({ done: false, value: 'a' });
    abort();
    await expect(iterator.next()).rejects.toThrow('told to stop');
    expect(from.state.asked).toBe(1);
  });

  it('a source that fails → its own error; a reader that leaves → the source is told', async () => {
    const { signal } = await signalled();
    const failing = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('cut')) }) };
    await expect(untilAborted(failing, signal, reason)[Symbol.asyncIterator]().next()).rejects.toThrow('cut');
    const from = source();
    await untilAborted(from.iterable, signal, reason)[Symbol.asyncIterator]().return?.();
    expect(from.state.returned).toBe(1);
  });
});

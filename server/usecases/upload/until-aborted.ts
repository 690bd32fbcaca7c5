import type { AbortSignalLike } from './active-uploads.ts';

/**
 * `source` until `signal` aborts: then the pending `next()` rejects at once with `reason()`, although a dead peer
 * will never send another byte. The source is told by `return()` and not waited for. (A race of promises per piece
 * would keep every piece alive until the end.)
 */
export function untilAborted<T>(
  source: AsyncIterable<T>,
  signal: AbortSignalLike,
  reason: () => Error,
): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const inner = source[Symbol.asyncIterator]();
      let rejectPending: ((error: Error) => void) | null = null;
      const leave = () => {
        inner.return?.().catch(() => {});
      };
      signal.onAbort(() => {
        rejectPending?.(reason());
        leave();
      });
      return {
        next() {
          if (signal.aborted) return Promise.reject(reason());
          return new Promise<IteratorResult<T>>((resolve, reject) => {
            rejectPending = reject;
            inner.next().then(resolve, reject);
          });
        },
        return() {
          leave();
          return Promise.resolve({ done: true as const, value: undefined });
        },
      };
    },
  };
}

/** Does `act` to every item, `width` at a time, until all are done or `signal` aborts. Rejects with the first failure. */
export async function each<T>(
  items: readonly T[],
  width: number,
  act: (item: T) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length && signal?.aborted !== true) await act(items[next++] as T);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
}

/** Over this a view for `set` costs less than going byte by byte. */
const COPY_BY_BYTE_MAX = 256;

/** Copies `source[from, to)` to `target` at `at`. Of the short it makes no view that would have to be collected. */
export function copyInto(target: Uint8Array, at: number, source: Uint8Array, from: number, to: number): void {
  if (to - from > COPY_BY_BYTE_MAX) target.set(source.subarray(from, to), at);
  else for (let i = from; i < to; i++) target[at + i - from] = source[i] as number;
}

/** Byte arrays side by side. Typed arrays' own `.slice` is avoided: on Espruino it gives a plain array. */

/** A copy of `bytes[from, to)` that shares no memory with it. */
export function copyBytes(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const copy = new Uint8Array(to - from);
  for (let i = from; i < to; i++) copy[i - from] = bytes[i] as number;
  return copy;
}

export function concatBytes(first: Uint8Array, second: Uint8Array): Uint8Array {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first, 0);
  whole.set(second, first.length);
  return whole;
}

/** Equal length and content. Looks at every byte whatever it finds, so that its time tells nothing about a key. */
export function equalBytes(first: Uint8Array, second: Uint8Array): boolean {
  if (first.length !== second.length) return false;
  let difference = 0;
  for (let i = 0; i < first.length; i++) difference |= (first[i] as number) ^ (second[i] as number);
  return difference === 0;
}

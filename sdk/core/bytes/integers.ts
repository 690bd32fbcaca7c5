/** Fixed-width integers in byte arrays. Offsets are not checked: the codecs that call these check lengths first. */

export function readU32le(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}

export function writeU32le(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

export function readU32be(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}

export function writeU32be(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** The largest integer 48 bits hold: milliseconds until the year 10889, or 281 trillion sequence numbers. */
export const U48_MAX = 281474976710655;

/** 48 bits because JavaScript's integers are exact to 53 and its bit operations to 32. */
export function readU48le(bytes: Uint8Array, at: number): number {
  return readU32le(bytes, at) + ((bytes[at + 4] as number) | ((bytes[at + 5] as number) << 8)) * 4294967296;
}

export function writeU48le(bytes: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 4294967296);
  writeU32le(bytes, at, value - high * 4294967296);
  bytes[at + 4] = high;
  bytes[at + 5] = high >>> 8;
}

import { readFileSync } from 'node:fs';

/** A test vector file under `test/conformance/vectors`, parsed. The caller names its shape. */
export function readVectors<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(`vectors/${path}`, import.meta.url), 'utf8')) as T;
}

/** Bytes of hexadecimal text of either case. */
export function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}

/** One Wycheproof file: groups of tests, with the group's own properties. */
export interface Wycheproof<Test, Group = unknown> {
  readonly testGroups: readonly (Group & { readonly tests: readonly (Test & WycheproofTest)[] })[];
}

/** What every Wycheproof test has. */
export interface WycheproofTest {
  readonly tcId: number;
  readonly result: 'valid' | 'invalid' | 'acceptable';
}

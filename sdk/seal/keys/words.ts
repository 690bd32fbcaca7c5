import { SEAL_WORDS } from '#sdk/protocol';

/** The word of each byte value, for reading a fingerprint aloud (SPEC §2.4). */
export const WORDS: readonly string[] = SEAL_WORDS.split(' ');

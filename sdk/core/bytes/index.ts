/** Small shared helpers over byte arrays: checksums, integers, text. */
export * from './arrays.ts';
export * from './copy-into.ts';
export * from './crc32.ts';
export * from './integers.ts';
export * from './text.ts';

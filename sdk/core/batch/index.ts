/** Streams of readings become files: by bytes, count and age, as NDJSON, CSV or raw, each with its manifest. */
export * from './batcher.ts';
export * from './format.ts';
export * from './manifest.ts';
export * from './reading.ts';

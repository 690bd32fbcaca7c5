/** The durable queue of readings: a segmented log, its policies, and what is recovered of it after anything. */
export * from './cut-storage.ts';
export * from './frame.ts';
export * from './read.ts';
export { LANES_MAX, recoverSpool, segmentName } from './recover.ts';
export { PENDING_BYTES_MAX } from './room.ts';
export * from './scan.ts';
export * from './snapshot.ts';
export * from './spool-subject.ts';
export * from './step.ts';
export * from './types.ts';
export * from './wear.ts';

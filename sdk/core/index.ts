/** The device's logic without its I/O: every platform performs the effects these machines ask for. */
export * from './batch/index.ts';
export * from './bytes/index.ts';
export * from './credentials/index.ts';
export * from './rotation/index.ts';
export * from './signed/index.ts';
export * from './spool/index.ts';
export * from './upload/index.ts';

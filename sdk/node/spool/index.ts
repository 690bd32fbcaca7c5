/** The spool on Node: files in a folder under the log of `sdk/core`. */
export * from './file-storage.ts';
export * from './spool.ts';
export * from './spool-error.ts';

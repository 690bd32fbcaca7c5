/** The credential store on Node: a file of mode 0600 under the two slots of `sdk/core`. */
export * from './credential-error.ts';
export * from './credential-files.ts';
export * from './credential-store.ts';
export * from './secret.ts';

/** The device SDK for Node: zero run-time dependencies. Types in `api.ts`. */
export * from './api.ts';
export { createClient, receive } from './client.ts';
export { FuselinkError } from './errors.ts';
export { defaultStateFolder } from './record-store.ts';
export { credentialFolder, storedKey } from './stored-key.ts';

/** What the built package `dist/sdk/node` exports; its types are `api.ts` and the declarations of `sdk/build.ts`. */
export * from './api.ts';
export { createClient, receive } from './client.ts';
export { FuselinkError } from './errors.ts';

/**
 * End-to-end sealing, for every environment: nothing here touches a file, a clock or a global but
 * `crypto.getRandomValues` in `webRandom`. `node.ts` is the same over `node:crypto`, with files. The bytes are in `sdk/SPEC.md`.
 */
export { nobleCrypto, webRandom } from './crypto/noble.ts';
export * from './sealing-library.ts';

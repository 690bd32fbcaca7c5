/** What Node adds to `index.ts`: `node:crypto`, the operating system's randomness, and files. */
export { nodeCrypto, nodeRandom } from './crypto/node.ts';
export * from './index.ts';

/** What Node adds to `index.ts`: `node:crypto`, the operating system's randomness, and files. */
export { nodeCrypto, nodeRandom } from './crypto/node.ts';
export * from './index.ts';
export { readKeyFile, writeKeyFile } from './node/key-files.ts';
export { type OpenToFileRequest, openToFile } from './node/open-to-file.ts';
export { openSealedSource, type SealedSource } from './node/sealed-source.ts';

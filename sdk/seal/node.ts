/** Sealing on Node: by `node:crypto`, with the operating system's randomness, and files. */
export { nodeCrypto, nodeRandom } from './crypto/node.ts';
export { readKeyFile, writeKeyFile } from './node/key-files.ts';
export { type OpenToFileRequest, openToFile } from './node/open-to-file.ts';
export { openSealedSource, type SealedSource } from './node/sealed-source.ts';
export * from './sealing-library.ts';

/** The face of the server for the simulator, the demo and the tests: start it, or drive its use cases directly. */
export { createMemoryBlobs } from './adapters/memory/blob-store.ts';
export { createMemoryStore } from './adapters/memory/metadata-store.ts';
export { nodeCrypto } from './adapters/node/crypto.ts';
export {
  enrolled,
  GUARDS,
  judgeKey,
  type LooseServerRow,
  type RotationCommand,
  type RotationOutcome,
  type RotationRow,
  SERVER_MACHINE,
  type ServerMachine,
  tellDevice,
  transitionWith,
} from './domain/rotation/index.ts';
export { copyRows } from './in-process/copy-store.ts';
export type { RelayContent, RelayRead } from './in-process/read-content.ts';
export {
  createRelay,
  openRelayAccount,
  type Relay,
  type RelayAnswer,
  type RelayOptions,
  type RelayRequest,
} from './in-process/relay.ts';
export type { BlobStore } from './ports/blob-store.ts';
export type { Clock, Crypto, Random } from './ports/crypto.ts';
export type { CommitOutcome, MetadataStore, Write } from './ports/metadata-store.ts';
export { readSettings, SETTINGS, type ServerSettings, SettingsError } from './settings.ts';
export { type RunningServer, startServer, VERSION } from './start.ts';
export { settleRestored } from './usecases/backup/settle-restored.ts';
export type { Caller } from './usecases/caller.ts';
export type { Deps, Settings } from './usecases/deps.ts';
export { FuselinkError } from './usecases/error.ts';
export { wire } from './wiring.ts';

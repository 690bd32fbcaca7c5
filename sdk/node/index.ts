/** The device SDK for Node: zero run-time dependencies. Types in `api.ts`; `published.ts` is what users get. */
export * from './api.ts';
export { writeFileAtomic } from './atomic-file.ts';
export { createClient, parseServerUrl, receive, transportOptions } from './client.ts';
export { type CollectMinor, fullCollector, minorCollector } from './collectors.ts';
export * from './credentials/index.ts';
export { FuselinkError, systemCode } from './errors.ts';
export { type ProxyTarget, proxyFor } from './http/proxy.ts';
export { createTransport, type HttpAnswer, type Transport } from './http/transport.ts';
export { acknowledge, claimLink, openContent, parseLink } from './receive/link.ts';
export { countRecords, defaultStateFolder } from './record-store.ts';
export * from './rotation/index.ts';
export { loadSeal, type SealLibrary } from './seal/library.ts';
export { type OpenedFile, openSealedFile } from './seal/open-file.ts';
export { type AnswerFacts, problemOf, readAnswer, reprDigestField } from './send/answer.ts';
export { bufferSource } from './send/buffer-source.ts';
export { fileSource } from './send/file-source.ts';
export { apiUrl, describeRequest, type RequestEffect, type TransferOptions } from './send/request.ts';
export type { Source } from './send/source.ts';
export { type Finished, type JobHooks, Uploader, type UploaderOptions } from './send/uploader.ts';
export {
  DEFAULT_LANES,
  fileSpoolStorage,
  type LaneStats,
  type LeasedReadings,
  nodeFileSystem,
  type OpenSpoolOptions,
  openSpool,
  type Spool,
  type SpoolClock,
  SpoolError,
  type SpoolErrorCode,
  type SpoolFileSystem,
  type SpoolNotice,
  type SpoolStats,
  systemClock,
} from './spool/index.ts';
export { credentialFolder, storedKey } from './stored-key.ts';

import { FuselinkError, systemCode } from '../errors.ts';

/** `sdk/seal` with what Node adds. Loaded only where something is sealed or opened: the client itself stays small. */
export type SealLibrary = typeof import('#sdk/seal/node');

let loaded: Promise<SealLibrary> | null = null;

/** The library; in a built program a file of its own beside it. Throws `seal_library_missing`. */
export function loadSeal(): Promise<SealLibrary> {
  loaded ??= import('#sdk/seal/node').catch((cause: unknown) => {
    loaded = null;
    throw new FuselinkError('seal_library_missing', 'sealing needs the file seal/node.mjs of this SDK', { cause });
  });
  return loaded;
}

/** An error of the seal library, or of the file system under it, in the form all of the SDK throws. */
export function sealError(seal: SealLibrary, error: unknown, what: string): unknown {
  if (error instanceof FuselinkError) return error;
  if (error instanceof seal.SealError) {
    return new FuselinkError(error.code, `${what}: ${error.message}`, { cause: error });
  }
  if (error instanceof RangeError || error instanceof TypeError || systemCode(error) === '') return error;
  const missing = systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR';
  const text = error instanceof Error ? error.message : String(error);
  return new FuselinkError(missing ? 'source_missing' : 'source_unreadable', `${what}: ${text}`, { cause: error });
}

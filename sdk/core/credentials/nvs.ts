import {
  NVS_INVALID_HANDLE,
  NVS_INVALID_NAME,
  NVS_KEY_TOO_LONG,
  NVS_NOT_FOUND,
  NVS_READ_ONLY,
  NVS_VALUE_TOO_LONG,
  nvsError,
} from './errors.ts';

/** Characters of a namespace or a name (ESP-IDF: NVS_KEY_NAME_MAX_SIZE − 1). */
export const NVS_NAME_CHARS_MAX = 15;
/** Bytes of one blob: what fits one 4096-byte page beside its bookkeeping, as for ESP-IDF's strings. */
export const NVS_BLOB_BYTES_MAX = 4000;

/** `r` = NVS_READONLY, `rw` = NVS_READWRITE. */
export type NvsMode = 'r' | 'rw';

/**
 * The port of a credential store: ESP-IDF's NVS, blobs only, synchronous because a key must be durable before the
 * next line runs. What every backend owes (`nvs.contract.ts`):
 * - after `commit` returned, a power cut at any moment leaves what was committed;
 * - a cut during `set`, `erase` or `commit` of one name never changes another name;
 * - the name being written reads as the old value, as the new value, or as absent: never as a mix;
 * - nothing is ever erased to make room.
 */
export interface Nvs {
  /** Throws NVS_NOT_FOUND when `r` is asked of a namespace with nothing in it; NVS_INVALID_NAME, NVS_KEY_TOO_LONG. */
  open(namespace: string, mode: NvsMode): NvsHandle;
}

export interface NvsHandle {
  /** A fresh copy of the blob, read from the medium. Throws NVS_NOT_FOUND. */
  get(name: string): Uint8Array;
  /** Throws NVS_READ_ONLY, NVS_VALUE_TOO_LONG, NVS_NOT_ENOUGH_SPACE, NVS_NO_FREE_PAGES. */
  set(name: string, blob: Uint8Array): void;
  /** Throws NVS_NOT_FOUND when there is nothing to erase, NVS_READ_ONLY. */
  erase(name: string): void;
  /** Returns when all that was set and erased is durable. */
  commit(): void;
  /** Afterwards every call throws NVS_INVALID_HANDLE; what was not committed may be gone. */
  close(): void;
}

/** What a backend does for one namespace; names and limits were checked before. */
export interface NvsBackend {
  /** The blob, or null where there is none that passes its checksum. */
  read(name: string): Uint8Array | null;
  write(name: string, blob: Uint8Array): void;
  remove(name: string): void;
  commit(): void;
}

/** Throws NVS_KEY_TOO_LONG over 15 characters, NVS_INVALID_NAME for anything but 1 to 15 of printable ASCII. */
export function checkNvsName(name: string): void {
  if (name.length > NVS_NAME_CHARS_MAX) {
    throw nvsError(NVS_KEY_TOO_LONG, 'a name has at most 15 characters, this one has ' + name.length);
  }
  let printable = name.length > 0;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code < 33 || code > 126) printable = false;
  }
  if (!printable) throw nvsError(NVS_INVALID_NAME, 'a name is 1 to 15 characters of printable ASCII');
}

/** The checks that all backends share, around one backend's raw reading and writing. */
export function nvsHandle(mode: NvsMode, backend: NvsBackend): NvsHandle {
  let open = true;
  const check = function (name: string, writes: boolean): void {
    if (!open) throw nvsError(NVS_INVALID_HANDLE, 'this handle was closed');
    if (writes && mode !== 'rw') throw nvsError(NVS_READ_ONLY, 'this handle was opened read-only');
    checkNvsName(name);
  };
  const get = function (name: string): Uint8Array {
    check(name, false);
    const blob = backend.read(name);
    if (!blob) throw nvsError(NVS_NOT_FOUND, 'nothing is stored as ' + name);
    return blob;
  };
  return {
    get: get,
    set: function (name, blob) {
      check(name, true);
      if (blob.length > NVS_BLOB_BYTES_MAX) {
        throw nvsError(NVS_VALUE_TOO_LONG, 'a blob has at most 4000 bytes, this one has ' + blob.length);
      }
      backend.write(name, blob);
    },
    erase: function (name) {
      check(name, true);
      get(name);
      backend.remove(name);
    },
    commit: function () {
      check('-', true);
      backend.commit();
    },
    close: function () {
      check('-', false);
      open = false;
    },
  };
}

import { crc32, fromAscii, readU32le, toAscii, toHex, writeU32le } from '../bytes/index.ts';
import { NVS_NOT_ENOUGH_SPACE, NVS_NOT_FOUND, nvsError } from './errors.ts';
import type { Nvs } from './nvs.ts';
import { checkNvsName, NVS_BLOB_BYTES_MAX, nvsHandle } from './nvs.ts';

/**
 * One folder of a file system, as little of it as an append-only store needs. Synchronous. A cut may lose, tear and
 * reorder whatever was not synced, and a name (create, rename) lives only once its folder was synced.
 */
export interface NvsFiles {
  /** The whole file, or null when there is none. */
  read(name: string): Uint8Array | null;
  append(name: string, bytes: Uint8Array): void;
  /** Returns when the file's bytes and length are durable (fdatasync). */
  sync(name: string): void;
  /** Replaces `to` by `from`, in one step for whoever reads. */
  rename(from: string, to: string): void;
  remove(name: string): void;
  /** Returns when creates, renames and removes are durable (fsync of the folder). */
  syncFolder(): void;
}

/**
 * One entry of the log. The last valid entry of a name wins. Entries begin at multiples of 4, so that after a damaged
 * one the next can be found by looking at every word.
 *
 *   offset  bytes
 *        0      2  magic 0x4E 0x56 ("NV")
 *        2      1  kind: 1 = set, 2 = erased
 *        3      1  name length n (namespace, "/", name: at most 31)
 *        4      4  blob length b, u32 LE
 *        8      4  CRC-32 over the entry without these 4 bytes, u32 LE
 *       12      n  namespace "/" name, ASCII
 *     12+n      b  blob, then zeros to a multiple of 4
 */
const HEADER_BYTES = 12;
const SET = 1;
const ERASED = 2;
/** Over this the log is written afresh with only what still counts: 64 KiB, some 700 updates of a slot. */
const LOG_BYTES_MAX = 65536;
/** Names one store may hold: it is for credentials, not for data. */
const NAMES_MAX = 64;

interface Entry {
  kind: number;
  path: string;
  blob: Uint8Array;
}

const encode = function (entry: Entry): Uint8Array {
  const bytes = new Uint8Array((HEADER_BYTES + entry.path.length + entry.blob.length + 3) & ~3);
  bytes[0] = 0x4e;
  bytes[1] = 0x56;
  bytes[2] = entry.kind;
  bytes[3] = entry.path.length;
  writeU32le(bytes, 4, entry.blob.length);
  bytes.set(fromAscii(entry.path), HEADER_BYTES);
  bytes.set(entry.blob, HEADER_BYTES + entry.path.length);
  writeU32le(bytes, 8, crc32(bytes, HEADER_BYTES, bytes.length, crc32(bytes, 0, 8, 0)));
  return bytes;
};

const decode = function (bytes: Uint8Array, at: number): { entry: Entry; end: number } | null {
  if (bytes[at] !== 0x4e || bytes[at + 1] !== 0x56 || at + HEADER_BYTES > bytes.length) return null;
  const pathLength = bytes[at + 3] as number;
  const blobLength = readU32le(bytes, at + 4);
  if (blobLength > NVS_BLOB_BYTES_MAX) return null;
  const blobAt = at + HEADER_BYTES + pathLength;
  const end = at + ((HEADER_BYTES + pathLength + blobLength + 3) & ~3);
  if (end > bytes.length) return null;
  if (crc32(bytes, at + HEADER_BYTES, end, crc32(bytes, at, at + 8, 0)) !== readU32le(bytes, at + 8)) return null;
  const path = toAscii(bytes.subarray(at + HEADER_BYTES, blobAt));
  return {
    entry: { kind: bytes[at + 2] as number, path: path, blob: bytes.subarray(blobAt, blobAt + blobLength) },
    end: end,
  };
};

interface Log {
  /** Live entries in the order of their last change. */
  live: Entry[];
  bytes: number;
  /** False when a part was not an entry: a torn end or damage. Nothing is appended behind such a part. */
  clean: boolean;
}

const scan = function (bytes: Uint8Array): Log {
  const live: Entry[] = [];
  let clean = true;
  let at = 0;
  while (at < bytes.length) {
    const found = decode(bytes, at);
    if (!found) {
      clean = false;
      at += 4;
      continue;
    }
    for (let i = 0; i < live.length; i++) {
      if ((live[i] as Entry).path === found.entry.path) {
        live.splice(i, 1);
        break;
      }
    }
    if (found.entry.kind === SET) live.push(found.entry);
    at = found.end;
  }
  return { live: live, bytes: bytes.length, clean: clean };
};

/**
 * A text that is equal for logs this store cannot tell apart: of a clean one its bytes; of one with damage, which is never
 * appended to, what still counts in it.
 */
export function fileNvsMeaning(bytes: Uint8Array): string {
  const log = scan(bytes);
  if (log.clean) return 'clean ' + toHex(bytes);
  let text = 'damaged';
  for (let i = 0; i < log.live.length; i++) text += ' ' + toHex(encode(log.live[i] as Entry));
  return text;
}

/**
 * A store in an append-only file: an update is appended and synced; a new, damaged or grown log is written beside the
 * old one, synced, renamed over it, and the folder synced. Every read goes to the medium: nothing is cached, so that
 * reading back proves something. Each name is atomic: a cut leaves its old or its new value.
 */
export function fileNvs(files: NvsFiles, name: string): Nvs {
  /**
   * How far what is read can be trusted to be there tomorrow. A process that was killed may have left it in the cache
   * (`unsynced`: sync before use); after a failed sync the cache lies, and syncing again proves nothing (`failed`:
   * write it afresh).
   */
  let trust: 'unsynced' | 'failed' | 'durable' = 'unsynced';
  const load = function (): Log | null {
    const bytes = files.read(name);
    return bytes && scan(bytes);
  };
  const findIn = function (entries: Entry[], path: string): Entry | null {
    let found: Entry | null = null;
    for (let i = 0; i < entries.length; i++) if ((entries[i] as Entry).path === path) found = entries[i] as Entry;
    return found;
  };
  const rewrite = function (live: Entry[]): void {
    const fresh = name + '.new';
    files.remove(fresh);
    files.append(fresh, new Uint8Array(0));
    for (let i = 0; i < live.length; i++) files.append(fresh, encode(live[i] as Entry));
    files.sync(fresh);
    // Until here the old log is what it was: a full disk costs the change and not what can be read.
    trust = 'failed';
    files.rename(fresh, name);
    files.syncFolder();
    trust = 'durable';
  };
  const loadDurable = function (): Log | null {
    let log = load();
    if (log && trust === 'unsynced') {
      files.sync(name);
      files.syncFolder();
    }
    if (log && trust === 'failed') {
      rewrite(log.live);
      log = load();
    }
    trust = 'durable';
    return log;
  };

  return {
    open: function (namespace, mode) {
      checkNvsName(namespace);
      const prefix = namespace + '/';
      let pending: Entry[] = [];
      if (mode === 'r') {
        const log = load();
        let blobs = 0;
        for (let i = 0; log && i < log.live.length; i++) if ((log.live[i] as Entry).path.indexOf(prefix) === 0) blobs++;
        if (!blobs) throw nvsError(NVS_NOT_FOUND, 'nothing is stored in ' + namespace);
      }
      return nvsHandle(mode, {
        read: function (key) {
          let entry = findIn(pending, prefix + key);
          if (!entry) {
            const log = mode === 'rw' ? loadDurable() : load();
            entry = log && findIn(log.live, prefix + key);
          }
          return entry && entry.kind === SET ? new Uint8Array(entry.blob) : null;
        },
        write: function (key, blob) {
          pending.push({ kind: SET, path: prefix + key, blob: new Uint8Array(blob) });
        },
        remove: function (key) {
          pending.push({ kind: ERASED, path: prefix + key, blob: new Uint8Array(0) });
        },
        commit: function () {
          // Taken out first: what a failed commit did not store must not be read as if it were there.
          const changes = pending;
          pending = [];
          if (!changes.length) return;
          const log = loadDurable();
          const live = log ? log.live : [];
          let bytes = log ? log.bytes : 0;
          for (let i = 0; i < changes.length; i++) {
            const entry = changes[i] as Entry;
            const before = findIn(live, entry.path);
            if (before) live.splice(live.indexOf(before), 1);
            if (entry.kind === SET) live.push(entry);
            bytes += encode(entry).length;
          }
          if (live.length > NAMES_MAX) throw nvsError(NVS_NOT_ENOUGH_SPACE, 'a store holds at most 64 names');
          if (!log || !log.clean || bytes > LOG_BYTES_MAX) rewrite(live);
          else {
            // A disk that is full may have taken a part: what stands before it was durable, and is synced again.
            trust = 'unsynced';
            for (let i = 0; i < changes.length; i++) files.append(name, encode(changes[i] as Entry));
            trust = 'failed';
            files.sync(name);
            trust = 'durable';
          }
        },
      });
    },
  };
}

import { copyBytes } from '../../bytes/index.ts';
import type { NvsFiles } from '../file-nvs.ts';
import type { Power } from './power.ts';
import { spend, spendAll } from './power.ts';

/**
 * What may be left of writes that were not synced, for data (units of 4 bytes or more, in the order of their offsets) and for
 * names (creates, renames, removes). Taken from what real file systems do after a cut.
 */
export const FILE_VARIANTS = [
  'synced', // nothing but what was synced
  'all', // everything, though nothing said so
  'names', // a new name with an empty file behind it
  'data', // old names, all of the data
  'even', // every other word, the rest zeros, full length
  'odd', // the other words
  'late', // later words before earlier ones, names kept
  'zeros', // the full length, and zeros in it
  'killed', // no cut at all: the process died, its writes live on in the cache without being durable
];

interface Inode {
  /** What a reader sees now. */
  now: Uint8Array;
  /** What is certain to survive. */
  durable: Uint8Array;
  /** What `now` shows the beginning of, with space behind it that nobody else writes to: appending need not copy the file. */
  room: Uint8Array;
  /** Something was appended since it was made, and so may be again: only then is space made ahead. */
  appended: boolean;
}

interface NamedInode {
  name: string;
  inode: Inode;
}

/** A folder of files in memory with a cut emulator: the `NvsFiles` port, and what the spool's storage needs as well. */
export interface CutFiles extends NvsFiles {
  power: Power;
  list(): string[];
  size(name: string): number;
  readRange(name: string, from: number, to: number): Uint8Array;
  /** Writes at an offset at most the file's length, making the file when there is none. */
  write(name: string, at: number, bytes: Uint8Array): void;
  /** The power comes back; of what was not synced that is left which the variant says. */
  reboot(variant: number): void;
  copy(power: Power): CutFiles;
  /** Bit rot, in what is read and in what is durable. */
  flipBit(name: string, bit: number): void;
  /** A text that is equal for folders that hold the same. */
  fingerprint(): string;
  /** As `fingerprint`, with what `meaningOf` makes of a file's bytes where a cut can no longer change them. */
  meaning(meaningOf: (bytes: Uint8Array) => string): string;
  /** Bytes in all files: a disk with `bytesMax` refuses a write beyond it with an error of code `ENOSPC`. */
  bytes(): number;
  bytesMax: number;
}

type Names = NamedInode[];

/** Space is made for appending in steps of the file's size, but no larger ones. */
const ROOM_STEP_BYTES_MAX = 1024;

const inodeWith = function (bytes: Uint8Array): Inode {
  return { now: bytes, durable: bytes, room: bytes, appended: false };
};

const inodeOf = function (names: Names, name: string): Inode | null {
  for (let i = 0; i < names.length; i++)
    if ((names[i] as NamedInode).name === name) return (names[i] as NamedInode).inode;
  return null;
};

const without = function (names: Names, name: string): Names {
  return names.filter(function (entry) {
    return entry.name !== name;
  });
};

/** One character a byte, in pieces that an argument list can take. */
const textOf = function (bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4096) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + 4096) as unknown as number[]);
  }
  return text;
};

const survivor = function (inode: Inode, variant: string, unit: number): Uint8Array {
  const now = inode.now;
  if (variant === 'synced' || variant === 'names') return inode.durable;
  if (variant === 'all' || variant === 'data') return now;
  const left = new Uint8Array(now.length);
  const dirty: number[] = [];
  for (let at = 0; at < now.length; at += unit) {
    let same = at < inode.durable.length;
    for (let i = at; i < at + unit && i < now.length; i++) {
      if (inode.durable[i] !== now[i]) same = false;
      if (i < inode.durable.length) left[i] = inode.durable[i] as number;
    }
    if (!same) dirty.push(at);
  }
  for (let d = 0; d < dirty.length; d++) {
    const at = dirty[d] as number;
    const kept =
      (variant === 'even' && d % 2 === 0) ||
      (variant === 'odd' && d % 2 === 1) ||
      (variant === 'late' && 2 * d >= dirty.length);
    for (let i = at; kept && i < at + unit && i < now.length; i++) left[i] = now[i] as number;
  }
  return left;
};

/** An empty folder. `unitBytes`: what is written whole or not at all, 4 for a flash word, more to explore deeper. */
export function cutFiles(power: Power, unitBytes: number): CutFiles {
  let now: Names = [];
  let durable: Names = [];
  const nothing = function (): void {};

  const demand = function (name: string): Inode {
    const inode = inodeOf(now, name);
    if (!inode) throw new Error('expected a file called ' + name + ', there is none');
    return inode;
  };
  const create = function (name: string): Inode {
    const found = inodeOf(now, name);
    if (found) return found;
    spend(power, nothing);
    const inode = inodeWith(new Uint8Array(0));
    now.push({ name: name, inode: inode });
    return inode;
  };
  const total = function (): number {
    let sum = 0;
    for (let i = 0; i < now.length; i++) sum += (now[i] as NamedInode).inode.now.length;
    return sum;
  };
  const fits = function (inode: Inode, length: number): boolean {
    return files.bytesMax < 0 || total() - inode.now.length + length <= files.bytesMax;
  };
  /** Only the end of a file is written to in place: what an earlier view of it shows does not change. */
  const roomFor = function (inode: Inode, at: number, end: number): Uint8Array {
    const now = inode.now;
    if (at === now.length && end <= inode.room.length) return inode.room;
    const step = inode.appended && end > now.length ? Math.min(end, ROOM_STEP_BYTES_MAX) : 0;
    const room = new Uint8Array(Math.max(now.length, end + step));
    room.set(now, 0);
    return room;
  };
  /** Where the power goes, or the disk is full, on the way. */
  const writeWordByWord = function (inode: Inode, at: number, bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; from += unitBytes) {
      const to = Math.min(from + unitBytes, bytes.length);
      const length = Math.max(inode.now.length, at + to);
      if (!fits(inode, length)) {
        const full = new Error('ENOSPC: the emulated disk is full') as Error & { code: string };
        full.code = 'ENOSPC';
        throw full;
      }
      spend(power, nothing);
      const room = roomFor(inode, at + from, at + to);
      room.set(bytes.subarray(from, to), at + from);
      inode.room = room;
      inode.now = room.subarray(0, length);
    }
  };
  const files: CutFiles = {
    power: power,
    bytesMax: -1,
    bytes: total,
    list: function () {
      return now.map(function (entry) {
        return entry.name;
      });
    },
    size: function (name) {
      return demand(name).now.length;
    },
    read: function (name) {
      const inode = inodeOf(now, name);
      return inode && copyBytes(inode.now, 0, inode.now.length);
    },
    readRange: function (name, from, to) {
      const bytes = demand(name).now;
      return copyBytes(bytes, Math.min(from, bytes.length), Math.min(to, bytes.length));
    },
    append: function (name, bytes) {
      const inode = inodeOf(now, name);
      files.write(name, inode ? inode.now.length : 0, bytes);
    },
    write: function (name, at, bytes) {
      const inode = create(name);
      if (at > inode.now.length) throw new RangeError('expected an offset up to ' + inode.now.length + ', got ' + at);
      const room = roomFor(inode, at, at + bytes.length);
      // Appending, the words that come one by one find their space made.
      if (at === inode.now.length) {
        inode.room = room;
        inode.appended = true;
      }
      const length = Math.max(inode.now.length, at + bytes.length);
      if (!fits(inode, length) || !spendAll(power, Math.ceil(bytes.length / unitBytes))) {
        writeWordByWord(inode, at, bytes);
        return;
      }
      room.set(bytes, at);
      inode.room = room;
      inode.now = room.subarray(0, length);
    },
    sync: function (name) {
      const inode = demand(name);
      spend(power, nothing);
      inode.durable = inode.now;
    },
    rename: function (from, to) {
      const inode = demand(from);
      spend(power, nothing);
      now = without(without(now, from), to);
      now.push({ name: to, inode: inode });
    },
    remove: function (name) {
      if (!inodeOf(now, name)) return;
      spend(power, nothing);
      now = without(now, name);
    },
    syncFolder: function () {
      spend(power, nothing);
      durable = now.concat();
    },
    reboot: function (variant) {
      const kind = FILE_VARIANTS[variant] as string;
      power.dark = false;
      power.left = -1;
      if (kind === 'killed') return;
      const names = kind === 'synced' || kind === 'data' ? durable : now;
      now = names.map(function (entry) {
        const left = survivor(entry.inode, kind, unitBytes);
        return { name: entry.name, inode: inodeWith(left) };
      });
      durable = now.concat();
    },
    copy: function (otherPower) {
      const other = cutFiles(otherPower, unitBytes) as CutFiles & { adopt(now: Names, durable: Names): void };
      const inodes: Inode[] = [];
      const twins: Inode[] = [];
      const twin = function (entry: NamedInode): NamedInode {
        let at = inodes.indexOf(entry.inode);
        if (at < 0) {
          at = inodes.length;
          inodes.push(entry.inode);
          twins.push({ now: entry.inode.now, durable: entry.inode.durable, room: entry.inode.now, appended: false });
        }
        return { name: entry.name, inode: twins[at] as Inode };
      };
      other.adopt(now.map(twin), durable.map(twin));
      other.bytesMax = files.bytesMax;
      return other;
    },
    flipBit: function (name, bit) {
      const inode = demand(name);
      const rotten = copyBytes(inode.now, 0, inode.now.length);
      rotten[bit >> 3] = (rotten[bit >> 3] as number) ^ (1 << (bit & 7));
      if (inode.durable === inode.now) inode.durable = rotten;
      inode.now = rotten;
      inode.room = rotten;
    },
    fingerprint: function () {
      return files.meaning(textOf);
    },
    meaning: function (meaningOf) {
      const text = function (entry: NamedInode): string {
        const inode = entry.inode;
        const settled = inode.durable === inode.now;
        return entry.name + '=' + (settled ? meaningOf(inode.now) : textOf(inode.now) + '|' + textOf(inode.durable));
      };
      return now.map(text).sort().join(';') + '#' + durable.map(text).sort().join(';');
    },
  };
  (files as CutFiles & { adopt(now: Names, durable: Names): void }).adopt = function (otherNow, otherDurable) {
    now = otherNow;
    durable = otherDurable;
  };
  return files;
}

import { copyBytes, toAscii } from '../../bytes/index.ts';
import type { FlashPages } from '../flash-pages.ts';
import type { Power } from './power.ts';
import { spend } from './power.ts';

/** What a cut can make of the one operation it hits: nothing yet, half done one way, half done the other way. */
export const FLASH_VARIANTS = 3;

/** NOR flash with a cut emulator: programming can only clear bits, an erase can stop anywhere. */
export interface CutFlash extends FlashPages {
  power: Power;
  /** The cells as they are; change them only through the port. */
  bytes: Uint8Array;
  /** The power comes back; the operation that was cut ended as variant 0, 1 or 2 says. */
  reboot(variant: number): void;
  copy(power: Power): CutFlash;
  /** A text that is equal for flash that holds the same. */
  fingerprint(): string;
  /** Bit rot: turns over one bit, counted from the first bit of the first page. */
  flipBit(bit: number): void;
}

/** The operation that a cut hit, kept until the reboot says how it ended. */
interface Torn {
  kind: 'erase' | 'program' | '';
  address: number;
  words: Uint8Array;
}

const NOTHING: Torn = { kind: '', address: 0, words: new Uint8Array(0) };

function blank(bytes: number): Uint8Array {
  const cells = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) cells[i] = 0xff;
  return cells;
}

function flashOf(power: Power, pageBytes: number, cells: Uint8Array, tornBefore: Torn): CutFlash {
  let torn = tornBefore;
  const inRange = function (address: number, length: number): void {
    if (address < 0 || (address & 3) !== 0 || address + length > cells.length) {
      throw new RangeError('expected a word address within ' + cells.length + ' bytes, got ' + address + '+' + length);
    }
  };
  return {
    power: power,
    bytes: cells,
    pageBytes: pageBytes,
    erase: function (page) {
      inRange(page * pageBytes, pageBytes);
      spend(power, function () {
        torn = { kind: 'erase', address: page * pageBytes, words: NOTHING.words };
      });
      for (let i = 0; i < pageBytes; i++) cells[page * pageBytes + i] = 0xff;
    },
    program: function (address, words) {
      inRange(address, words.length);
      if (words.length & 3) throw new RangeError('expected whole words of 4 bytes, got ' + words.length + ' bytes');
      let at = 0;
      const note = function (): void {
        torn = { kind: 'program', address: address + at, words: copyBytes(words, at, at + 4) };
      };
      for (; at < words.length; at += 4) {
        spend(power, note);
        for (let i = at; i < at + 4; i++) cells[address + i] = (cells[address + i] as number) & (words[i] as number);
      }
    },
    read: function (address, length) {
      inRange(address & ~3, length);
      return copyBytes(cells, address, address + length);
    },
    reboot: function (variant) {
      if (torn.kind === 'erase' && variant) {
        // Either half of the page is blank and the other has lost some of its zeros.
        const half = pageBytes / 2;
        for (let i = 0; i < pageBytes; i++) {
          const blank = (variant === 1) === i < half;
          cells[torn.address + i] = blank ? 0xff : (cells[torn.address + i] as number) | ((i * 37) & 0x55);
        }
      }
      if (torn.kind === 'program' && variant) {
        // Only the even, or only the odd, bits of the word were cleared.
        for (let i = 0; i < 4; i++) {
          const mask = (torn.words[i] as number) | (variant === 1 ? 0x55 : 0xaa);
          cells[torn.address + i] = (cells[torn.address + i] as number) & mask;
        }
      }
      torn = NOTHING;
      power.dark = false;
      power.left = -1;
    },
    copy: function (otherPower) {
      return flashOf(otherPower, pageBytes, copyBytes(cells, 0, cells.length), torn);
    },
    fingerprint: function () {
      return toAscii(cells);
    },
    flipBit: function (bit) {
      cells[bit >> 3] = (cells[bit >> 3] as number) ^ (1 << (bit & 7));
    },
  };
}

/** Blank flash of so many pages. */
export function cutFlash(power: Power, pages: number, pageBytes: number): CutFlash {
  return flashOf(power, pageBytes, blank(pages * pageBytes), NOTHING);
}

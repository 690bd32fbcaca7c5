import {
  type CutFiles,
  type CutFlash,
  cutFiles,
  cutFlash,
  FILE_VARIANTS,
  FLASH_VARIANTS,
  fileNvs,
  flashSlotStore,
  nvsSlotStore,
  type Power,
  type SlotStore,
  steadyPower,
} from '#sdk/core';

/** Small devices keep their slots in two pages of raw flash, computers in an append-only file. */
export type MediumKind = 'flash' | 'file';

/** The log of a computer's slots. */
export const KEYS_FILE = 'keys';
const PAGE_BYTES = 128;
/** What a write does whole or not at all: a flash word. Larger for fleets that only want speed. */
const UNIT_BYTES = 4;
const PAGES = 2;

/** Everything of a device that outlives a power cut, on emulated media that can be cut, rot and fill up. */
export class Medium {
  readonly kind: MediumKind;
  /** One supply for all of it: a cut is a cut for everything. */
  readonly power: Power = steadyPower();
  /** The spool, the count of boots and, on a computer, the log of the slots. */
  readonly files: CutFiles;
  readonly flash: CutFlash | null;

  constructor(kind: MediumKind, unitBytes = UNIT_BYTES, from: Medium | null = null) {
    this.kind = kind;
    this.files = from === null ? cutFiles(this.power, unitBytes) : from.files.copy(this.power);
    if (kind === 'file') this.flash = null;
    else this.flash = from?.flash?.copy(this.power) ?? cutFlash(this.power, PAGES, PAGE_BYTES);
  }

  /** The same bytes on a medium of their own: what somebody has who copied the device. */
  copy(): Medium {
    return new Medium(this.kind, UNIT_BYTES, this);
  }

  /** The store of the two slots, opened as at boot. */
  slotStore(): SlotStore {
    return this.flash === null ? nvsSlotStore(fileNvs(this.files, KEYS_FILE)) : flashSlotStore(this.flash);
  }

  /** The power comes back. `random` in [0, 1) says how what was under way ended. `killed`: only the process died. */
  reboot(random: number, killed: boolean): void {
    const killedVariant = FILE_VARIANTS.indexOf('killed');
    const cutVariants = FILE_VARIANTS.length - 1;
    this.files.reboot(killed ? killedVariant : Math.floor(random * cutVariants));
    this.flash?.reboot(killed ? 0 : Math.floor(random * FLASH_VARIANTS));
  }

  /** Turns over one bit of the slots' medium. `random` in [0, 1) says which. */
  rotSlots(random: number): void {
    if (this.flash !== null) {
      this.flash.flipBit(Math.floor(random * PAGES * PAGE_BYTES * 8));
      return;
    }
    this.#rotFile(KEYS_FILE, random);
  }

  /** Turns over one bit of the spool. False where it holds nothing. */
  rotSpool(random: number): boolean {
    const names = this.files.list().filter((name) => name.startsWith('lane-') && this.files.size(name) > 0);
    const name = names[Math.floor(random * names.length)];
    if (name === undefined) return false;
    this.#rotFile(name, random);
    return true;
  }

  #rotFile(name: string, random: number): void {
    if (!this.files.list().includes(name)) return;
    const bits = this.files.size(name) * 8;
    if (bits > 0) this.files.flipBit(name, Math.floor(random * bits));
  }
}

import { SLOT_BYTES, type SlotStore } from '#sdk/core';
import type { NativeFlash } from './platform.ts';

declare const $r: (name: 'Flash') => NativeFlash;

/**
 * The slots in two pages that the firmware must leave alone, a record at the start of each: from `address` on, or, without
 * one, the last two of the first area that the firmware says it does not use.
 */
export function slotsInFlash(given: number | undefined): SlotStore {
  const flash = $r('Flash');
  const free = flash.getFree()[0] as { addr: number; length: number };
  const pageBytes = flash.getPage(given || free.addr).length;
  const address = given || free.addr + free.length - 2 * pageBytes;
  return {
    read: (slot) => flash.read(SLOT_BYTES, address + slot * pageBytes),
    write: (slot, blob) => {
      flash.erasePage(address + slot * pageBytes);
      flash.write(blob, address + slot * pageBytes);
    },
  };
}

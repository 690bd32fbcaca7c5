import { NVS_NOT_ENOUGH_SPACE, NVS_NOT_FOUND, nvsError } from './errors.ts';
import type { FlashPages } from './flash-pages.ts';
import { pageRoom, readPage, writePage } from './flash-pages.ts';
import type { Nvs } from './nvs.ts';
import { checkNvsName, nvsHandle } from './nvs.ts';

/**
 * A store over as many flash pages as there are names: `names[i]` lives in page i, everything else is
 * NVS_NOT_ENOUGH_SPACE. A write is not atomic for its own name (erase, then program): the two-slot record above it is
 * what makes an update safe. `commit` has nothing to do, as in ESP-IDF: flash has no cache.
 */
export function flashNvs(flash: FlashPages, namespace: string, names: string[]): Nvs {
  const read = function (name: string): Uint8Array | null {
    const page = names.indexOf(name);
    return page < 0 ? null : readPage(flash, page);
  };
  return {
    open: function (asked, mode) {
      checkNvsName(asked);
      let found = asked === namespace;
      if (!found && mode === 'rw') throw nvsError(NVS_NOT_ENOUGH_SPACE, 'these pages belong to ' + namespace);
      if (mode === 'r') {
        let blobs = 0;
        for (let i = 0; found && i < names.length; i++) if (read(names[i] as string)) blobs++;
        found = blobs > 0;
      }
      if (!found) throw nvsError(NVS_NOT_FOUND, 'nothing is stored in ' + asked);
      return nvsHandle(mode, {
        read: read,
        write: function (name, blob) {
          const page = names.indexOf(name);
          if (page < 0 || blob.length > pageRoom(flash)) {
            throw nvsError(NVS_NOT_ENOUGH_SPACE, 'there is no page for ' + name);
          }
          writePage(flash, page, blob);
        },
        remove: function (name) {
          flash.erase(names.indexOf(name));
        },
        commit: function () {},
      });
    },
  };
}

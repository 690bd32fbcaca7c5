import { writeSync } from 'node:fs';
import { nodeFileSystem, type SpoolFileSystem } from '#sdk/node';

/** Up to here the bytes go into the system's own memory sooner than a thread could be woken for them. */
const AT_ONCE_BYTES_MAX = 65_536;

/**
 * The spools' files where a thousand of them are written to: small pieces at once, and only the syncs, which wait for the
 * disk, by the threads. Measured: 100 µs of CPU less a reading.
 */
export const spoolFiles: SpoolFileSystem = {
  ...nodeFileSystem,
  async write(handle, bytes, at) {
    if (bytes.length > AT_ONCE_BYTES_MAX) return nodeFileSystem.write(handle, bytes, at);
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(handle.fd, bytes, done, bytes.length - done, at + done);
    }
  },
};

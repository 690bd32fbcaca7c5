import { FILE_BYTES_MAX } from '#sdk/protocol';

/** What files of devices may take of the gateway's disk. */
export interface FileLimits {
  fileBytesMax: number;
  /** Of one device's files that are not on the server yet, as they are announced. */
  bytesPerDeviceMax: number;
  filesPerDeviceMax: number;
  /** A file of which nothing came for so long is forgotten. */
  abandonedSeconds: number;
  /** What came of a file goes on to the server when so many bytes of its beginning are here, or after so long. */
  aheadBytes: number;
  aheadMs: number;
  /** Bytes sent to a device before it is asked what it has: well below what waits for a subscriber at most. */
  windowBytes: number;
  /** How long a device that says nothing is waited for before it is told of its file again. */
  silenceMs: number;
}

export const FILE_LIMITS: FileLimits = {
  fileBytesMax: FILE_BYTES_MAX,
  bytesPerDeviceMax: 1_073_741_824,
  filesPerDeviceMax: 4,
  abandonedSeconds: 604_800,
  aheadBytes: 1_048_576,
  aheadMs: 2000,
  windowBytes: 262_144,
  silenceMs: 30_000,
};

import {
  FILE_BYTES_MAX,
  UPLOAD_WINDOW_SECONDS,
  UPLOADS_IN_FLIGHT_MAX,
  UPLOADS_KEPT_FOR_LANE_0,
  UPLOADS_PER_WINDOW,
} from '../../protocol/index.ts';

/** Every number the uploader decides by. A driver may lower them for its platform; tests shrink them. */
export interface UploadLimits {
  /** Larger than this goes out resumably (tus): losing this much costs less than the extra round trip. */
  oneShotBytesMax: number;
  fileBytesMax: number;
  /** What one PATCH becomes after it broke without progress, or a proxy refused its size. */
  chunkBytesShrunk: number;
  chunkBytesMin: number;
  /** Requests under way at once; lane 0 may have one more. */
  parallelMax: number;
  jobsMax: number;
  uploadsPerWindow: number;
  windowMs: number;
  uploadsKeptForLane0: number;
  /** Full jitter over [min, base · 2^attempt], capped: no two devices come back in step. */
  retryDelayMsMin: number;
  retryDelayMsBase: number;
  retryDelayMsMax: number;
  /** After a refused credential or a full store nothing mends itself in seconds. */
  refusedDelayMsBase: number;
  refusedDelayMsMax: number;
  /** A server cannot park a device for longer than this by Retry-After. */
  retryAfterMsMax: number;
  /** Requests in a row without any answer after which the path counts as down and is tried by one request at a time. */
  outageFailures: number;
  /** The first attempt after an outage waits a random part of this. */
  spreadMsMax: number;
  /** Fresh starts of one job: because its file changed, its upload was gone, or the server held other bytes. */
  restartsMax: number;
  /** Answers in a row that are not in the form of a Fuselink server (captive portals) before a patient job says so. */
  foreignMax: number;
  /** Tries to remove what must not stay (an upload whose file changed); it expires by itself otherwise. */
  removalsMax: number;
}

export const UPLOAD_LIMITS: UploadLimits = {
  oneShotBytesMax: 65536,
  fileBytesMax: FILE_BYTES_MAX,
  chunkBytesShrunk: 8388608,
  chunkBytesMin: 4096,
  parallelMax: 4,
  jobsMax: 1000,
  uploadsPerWindow: UPLOADS_PER_WINDOW,
  windowMs: UPLOAD_WINDOW_SECONDS * 1000,
  uploadsKeptForLane0: UPLOADS_KEPT_FOR_LANE_0,
  retryDelayMsMin: 100,
  retryDelayMsBase: 1000,
  retryDelayMsMax: 120000,
  refusedDelayMsBase: 60000,
  refusedDelayMsMax: 900000,
  retryAfterMsMax: 3600000,
  outageFailures: 3,
  spreadMsMax: 60000,
  restartsMax: 5,
  foreignMax: 5,
  removalsMax: 5,
};

/** The server's own ceiling: a driver that raises `parallelMax` past it only earns `too_many_in_flight`. */
export const PARALLEL_CEILING = UPLOADS_IN_FLIGHT_MAX;

/** Faults a store can meet. They are thrown; use cases turn them into 507 and 503 with a reason. */
export class StorageFullError extends Error {
  override name = 'StorageFullError';
}

export class StorageUnavailableError extends Error {
  override name = 'StorageUnavailableError';
}

/** The bytes that metadata speaks of are not there (deleted under us, or a lost disk). */
export class BlobMissingError extends Error {
  override name = 'BlobMissingError';
}

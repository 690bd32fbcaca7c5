export type SpoolErrorCode = 'spool_in_use' | 'spool_closed' | 'spool_folder' | 'spool_not_durable';

/** Why a spool could not be opened or used. Names the path and the remedy. */
export class SpoolError extends Error {
  override readonly name = 'SpoolError';
  readonly code: SpoolErrorCode;

  constructor(code: SpoolErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

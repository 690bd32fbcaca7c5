/** Why a credential file was refused or could not be used. */
export type CredentialErrorCode =
  | 'credentials_permissions'
  | 'credentials_not_a_file'
  | 'credentials_locked'
  | 'credentials_disk_full'
  | 'credentials_io';

/** A fault of the file behind the credential store. Names the path and the remedy, never what is in the file. */
export class CredentialFileError extends Error {
  override readonly name = 'CredentialFileError';
  readonly code: CredentialErrorCode;
  readonly path: string;

  constructor(code: CredentialErrorCode, path: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.path = path;
  }
}

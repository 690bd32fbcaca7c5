/** Branded ids: a DeviceId cannot be passed where a TransferId is meant. All are opaque text. */
declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type AccountId = Branded<'AccountId'>;
export type UserId = Branded<'UserId'>;
export type SessionId = Branded<'SessionId'>;
export type KeyId = Branded<'KeyId'>;
export type DeviceId = Branded<'DeviceId'>;
/** A bridge on somebody's site, with a key of its own. */
export type GatewayId = Branded<'GatewayId'>;
export type RecipientId = Branded<'RecipientId'>;
/** base64url(SHA-256("id" ‖ token)), 43 characters. Names a transfer; gives no access to its bytes. */
export type TransferId = Branded<'TransferId'>;
/** base64url(SHA-256("upload" ‖ secret)), 43 characters: finds a resumable upload from its Location. */
export type UploadId = Branded<'UploadId'>;
/** Whom an upload is charged to: the device, or the key where there is no device. */
export type Subject = Branded<'Subject'>;
